import ModelBackend
import SpeculationCore

extension LlamaEngine {
  /// Batch sizes that are worth measuring: small ones one by one, where every node counts.
  static let measuredSizes = [1, 2, 3, 4, 5, 6, 8, 12, 16, 24, 32, 48, 64]

  /// Measures how long passes over n new tokens take, T(n) of a target and d(n) of a draft, and ends with an
  /// empty cache for its scratch session.
  ///
  /// Each size is repeated in turn, so that a disturbance spoils one repeat of all sizes, not all of one; the
  /// fastest repeat is returned, since disturbances only ever add. Larger sizes that no longer fit into the
  /// budget are left out.
  ///
  /// - Parameters:
  ///   - maxBatch: the largest size to measure
  ///   - budget: time to spend. At least size 1 is measured, however long it takes.
  ///   - contextLength: tokens already in the cache, since a pass over a longer text costs more
  /// - Returns: durations by size.
  public func measureCosts(
    maxBatch: Int = 16, budget: Duration = .seconds(4), contextLength: Int = 128
  ) throws -> [Int: Duration] {
    let clock = ContinuousClock()
    let scratch = SessionID(.max)
    defer { discard(scratch) }
    let room = max(1, min(contextLength, model.contextLength - 1))
    let sizes = LlamaEngine.measuredSizes.filter { $0 <= max(1, maxBatch) && $0 <= options.treeNodes }
    // Any ids will do: the time does not depend on which tokens they are.
    let vocabulary = TokenID(clamping: weights.vocabularySize)
    let prefix = (0..<TokenID(clamping: room)).map { ($0 &* 7919 &+ 13) % vocabulary }
    // Prefill and warm-up: memory is touched, the compute graphs of a prefill and of a single token allocated.
    for _ in 0..<2 { try measure(1, prefix: prefix, scratch) }
    // The clock starts here: reading the weights for the first time may take longer than the whole budget.
    let deadline = clock.now + budget

    var fastest: [Int: Duration] = [:]
    repeats: for repeatIndex in 0..<5 {
      for size in sizes {
        if let expected = fastest[size] ?? fastest[size / 2], clock.now + expected > deadline {
          break repeats
        }
        if repeatIndex > 0 && fastest[size] == nil { continue }
        let start = clock.now
        try measure(size, prefix: prefix, scratch)
        let taken = clock.now - start
        fastest[size] = min(fastest[size] ?? taken, taken)
      }
      if clock.now > deadline { break }
    }
    return fastest
  }

  /// Measures how long a pass takes that reads `count` tokens of a prompt.
  public func measureReading(of count: Int) throws -> Duration {
    let scratch = SessionID(.max)
    defer { discard(scratch) }
    let vocabulary = TokenID(clamping: weights.vocabularySize)
    let size = max(1, min(count, model.contextLength - 1))
    let text = (0...TokenID(clamping: size)).map { ($0 &* 104_729 &+ 11) % vocabulary }
    return try read(ReadingRequest(session: scratch, tokens: text, limit: size)).duration
  }

  /// One pass over `size` new tokens: the root and a chain below it.
  private func measure(_ size: Int, prefix: [TokenID], _ scratch: SessionID) throws {
    let draft = DraftTree(
      tokens: Array(prefix.prefix(size - 1)) + Array(repeating: 0, count: max(0, size - 1 - prefix.count)),
      parents: (0..<Int32(size - 1)).map { $0 - 1 })
    _ = try verify(
      [VerificationRequest(session: scratch, prefix: prefix, draft: draft, sampling: .greedy)],
      prefillBudget: .max)
  }
}
