import SpeculationCore

/// Measures the passes of an engine.
public enum CostMeasurement {
  /// Batch sizes that are worth measuring: small ones one by one, where every node counts.
  static let sizes = [1, 2, 3, 4, 5, 6, 8, 12, 16, 24, 32, 48, 64]
  private static let repeats = 5

  /// The fastest pass of each size.
  ///
  /// Each size is repeated in turn, so that a disturbance spoils one repeat of all sizes, not all of one; the fastest
  /// repeat counts, since disturbances only ever add. Sizes that no longer fit into the budget, and those that the engine
  /// has no room for, are left out.
  ///
  /// - Parameter pass: runs a pass of a size and says how long the engine took
  static func fastest(
    maxBatch: Int, budget: Duration, pass: (_ size: Int) async throws -> Duration
  ) async throws -> [Int: Duration] {
    let clock = ContinuousClock()
    let sizes = sizes.filter { $0 <= max(1, maxBatch) }
    // Prefill and warm-up: memory is touched, the graphs of a prefill and of a single token allocated.
    for _ in 0..<2 { _ = try await pass(1) }
    // The clock starts here: reading the weights for the first time may take longer than the whole budget.
    let deadline = clock.now + budget
    var fastest: [Int: Duration] = [:]
    repeats: for index in 0..<repeats {
      for size in sizes {
        if let expected = fastest[size] ?? fastest[size / 2], clock.now + expected > deadline {
          break repeats
        }
        if index > 0 && fastest[size] == nil { continue }
        try Task.checkCancellation()
        do {
          let taken = try await pass(size)
          fastest[size] = min(fastest[size] ?? taken, taken)
        } catch let error as ModelError where size > 1 && error.code == .contextFull {
          break
        }
      }
      if clock.now > deadline { break }
    }
    return fastest
  }

  /// A text that stands for any other: the time does not depend on which tokens they are. Another step gives one that no
  /// engine holds.
  package static func text(_ count: Int, of model: ModelDescription, step: TokenID = 7919) -> [TokenID] {
    let vocabulary = TokenID(clamping: model.vocabulary.size)
    return (0..<TokenID(clamping: count)).map { ($0 &* step &+ 13) % vocabulary }
  }

  static let session = SessionID(.max)
}

extension TargetModel {
  /// By passes over the root and a chain below it.
  public func measureCosts(
    maxBatch: Int, budget: Duration, contextLength: Int
  ) async throws -> [Int: Duration] {
    let text = CostMeasurement.text(max(1, min(contextLength, model.contextLength - 1)), of: model)
    return try await discardingAfter {
      try await CostMeasurement.fastest(maxBatch: maxBatch, budget: budget) { size in
        let chain = DraftTree(
          tokens: (0..<size - 1).map { text[$0 % text.count] }, parents: (0..<Int32(size - 1)).map { $0 - 1 })
        return try await verify([
          VerificationRequest(
            session: CostMeasurement.session, prefix: text, draft: chain, sampling: .greedy)
        ]).duration
      }
    }
  }
}

extension DraftModel {
  /// d(n) by expansions: what `measureCosts` is to engines that only draft.
  public func measureExpansions(
    maxBatch: Int, budget: Duration, contextLength: Int
  ) async throws -> [Int: Duration] {
    let text = CostMeasurement.text(max(1, min(contextLength, model.contextLength - 1)), of: model)
    let vocabulary = max(1, model.vocabulary.size)
    var asked = 0
    return try await discardingAfter {
      try await CostMeasurement.fastest(maxBatch: maxBatch, budget: budget) { size in
        // Children of the root, each time others: those of the last pass may be cached.
        let children = (asked..<asked + size).map { TokenID(clamping: $0 % vocabulary) }
        asked += size
        return try await expand(
          children.map {
            ExpansionRequest(
              session: CostMeasurement.session, prefix: text, path: [$0], sampling: .greedy, candidates: 1)
          }
        ).duration
      }
    }
  }

  /// Measures how long a pass takes that reads `count` tokens of a prompt. Nothing stays cached.
  public func measureReading(of count: Int) async throws -> Duration {
    let size = max(1, min(count, model.contextLength - 1))
    return try await discardingAfter {
      try await read(
        ReadingRequest(
          session: CostMeasurement.session, tokens: CostMeasurement.text(size + 1, of: model), limit: size)
      ).duration
    }
  }
}

extension Engine {
  fileprivate func discardingAfter<Result>(_ body: () async throws -> Result) async throws -> Result {
    do {
      let result = try await body()
      await discard(CostMeasurement.session)
      return result
    } catch {
      await discard(CostMeasurement.session)
      throw error
    }
  }
}
