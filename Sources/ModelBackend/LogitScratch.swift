import ConstrainedDecoding
import SpeculationCore

/// Room for one changed copy of a row of logits, used again for every row.
///
/// A row that was handed out is valid until the next call.
public final class LogitScratch {
  /// What changed logits are held within: far beyond any model's logits, and still finite when they are scaled
  /// and added up. A token that may not be chosen gets the lower one.
  static let bound: Float = 1e30

  private var row = UnsafeMutableBufferPointer<Float>(start: nil, count: 0)

  public init() {}

  deinit { row.deallocate() }

  /// A copy of the logits with biases and penalties, in the order bias, repetition, presence, frequency.
  ///
  /// Repetition, presence and frequency are those of vLLM (`vllm/model_executor/layers/utils.py`,
  /// `apply_penalties`). O(vocabulary) for the copy; beyond it only tokens are touched that are biased or occur
  /// in the text.
  ///
  /// - Parameter counts: of the text before the position; not looked at where there are no penalties
  public func adjusted(
    _ logits: UnsafeBufferPointer<Float>, by adjustments: LogitAdjustments, counts: TokenCounts?
  ) -> UnsafeBufferPointer<Float> {
    let row = copy(of: logits)
    for bias in adjustments.biases where row.indices.contains(Int(bias.token)) {
      row[Int(bias.token)] += bias.value
    }
    if adjustments.hasPenalties, let counts {
      for (token, count) in counts.counts where row.indices.contains(Int(token)) {
        var logit = row[Int(token)]
        logit = logit > 0 ? logit / adjustments.repetition : logit * adjustments.repetition
        if count.generated > 0 {
          logit -= adjustments.presence
          logit -= adjustments.frequency * Float(count.generated)
        }
        // Written so that a NaN stays one, and is found.
        row[Int(token)] = logit > Self.bound ? Self.bound : logit < -Self.bound ? -Self.bound : logit
      }
    }
    return UnsafeBufferPointer(row)
  }

  /// The logits that a choice after `prefix` and `path` is made from: `logits` themselves without adjustments.
  ///
  /// - Parameter counts: of the prefix; made here when penalties first need them
  func adjusted(
    _ logits: UnsafeBufferPointer<Float>, settings: SamplingSettings, prefix: [TokenID],
    path: @autoclosure () -> [TokenID], counts: inout TokenCounts?
  ) -> UnsafeBufferPointer<Float> {
    guard let adjustments = settings.adjustments else { return logits }
    guard adjustments.hasPenalties else { return adjusted(logits, by: adjustments, counts: nil) }
    let promptLength = Int(adjustments.promptLength)
    var own = counts ?? TokenCounts(text: prefix, promptLength: promptLength)
    // Moved out and in again, so that the dictionary is never copied.
    counts = nil
    defer { counts = own }
    return own.with(path: path(), isGenerated: { prefix.count + $0 >= promptLength }) {
      adjusted(logits, by: adjustments, counts: $0)
    }
  }

  /// A copy of the logits in which tokens that may not be chosen are out of reach. `logits` may be the row that
  /// was handed out last.
  func masked(_ logits: UnsafeBufferPointer<Float>, allowed: TokenSet) -> UnsafeBufferPointer<Float> {
    let row = logits.baseAddress == UnsafePointer(row.baseAddress) ? self.row : copy(of: logits)
    for token in row.indices where !allowed.contains(token) { row[token] = -Self.bound }
    return UnsafeBufferPointer(row)
  }

  private func copy(of logits: UnsafeBufferPointer<Float>) -> UnsafeMutableBufferPointer<Float> {
    if row.count != logits.count {
      row.deallocate()
      row = .allocate(capacity: logits.count)
    }
    _ = row.update(fromContentsOf: logits)
    return row
  }
}
