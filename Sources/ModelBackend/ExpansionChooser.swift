import SpeculationCore

/// Ranks candidates for the nodes of one draft pass, with the biases and penalties that the target applies, so that
/// guesses agree with its choices.
public final class ExpansionChooser {
  private let requests: [ExpansionRequest]
  private let scratch: LogitScratch
  /// Of each session's prefix; made when first needed. All requests of a session have the same prefix.
  private var counts: [SessionID: TokenCounts] = [:]

  public init(_ requests: [ExpansionRequest], scratch: LogitScratch) {
    self.requests = requests
    self.scratch = scratch
  }

  /// - Parameters:
  ///   - index: of the request
  ///   - position: index, in the sequence of prefix and path, of the token being guessed
  /// - Throws: `ModelError.engineFailed` when a logit is NaN or infinite.
  public func distribution(
    _ index: Int, position: Int, logits: UnsafeBufferPointer<Float>
  ) throws -> Distribution {
    let request = requests[index]
    let row = scratch.adjusted(
      logits, settings: request.sampling, prefix: request.prefix, path: request.path,
      counts: &counts[request.session])
    return try TokenChooser.distribution(
      row, settings: request.sampling, position: request.skipped + position, candidates: request.candidates)
  }
}
