import ModelBackend
import Simulator
import SpeculationCore

/// Measures how long the passes of two engines take on this machine: alone, over a prompt, and while the other one
/// computes.
package struct CostProfiler: Sendable {
  package let target: any TargetModel
  package let draft: any DraftModel
  /// Nodes of the largest draft pass and tokens of the largest target pass to measure.
  package var maxBatch = 16

  package init(
    target: any TargetModel, draft: any DraftModel, maxBatch: Int = 16
  ) {
    self.target = target
    self.draft = draft
    self.maxBatch = maxBatch
  }

  private static let promptTokens = 256

  package func profile(name: String, hardware: String, source: String) async throws -> CostProfile {
    let targetAlone = try await target.measureCosts(maxBatch: maxBatch)
    let draftAlone = try await draft.measureCosts(maxBatch: maxBatch, budget: .seconds(3))
    let targetBeside = try await Self.beside(targetPasses, draftPasses)
    let draftBeside = try await Self.beside(draftPasses, targetPasses)
    return CostProfile(
      name: name, hardware: hardware, source: source,
      target: CostProfile.Engine(
        model: target.model.name, pass: Self.usual(targetAlone, targetBeside.usual),
        prefill: try await targetPrefill(alone: targetAlone[1]!),
        attention: try await Self.attention(target, targetAlone),
        output: try await targetOutput(alone: targetAlone) * targetBeside.usual),
      draft: CostProfile.Engine(
        model: draft.model.name, pass: Self.usual(draftAlone, draftBeside.usual),
        prefill: try await draft.measureReading(of: Self.promptTokens)
          / min(Self.promptTokens, draft.model.contextLength - 1),
        attention: try await Self.attention(draft, draftAlone)),
      contention: targetBeside.slowdown, draftContention: draftBeside.slowdown,
      variation: PassVariation(target: targetBeside.variation, draft: draftBeside.variation))
  }

  /// What of a wide pass is for saying what comes after each of its tokens: it against one of the same size that only reads.
  private func targetOutput(alone: [Int: Duration]) async throws -> Duration {
    guard let size = alone.keys.max(), size > 1, let asked = alone[size] else { return .zero }
    var read = Duration.seconds(3600)
    for run in 0..<Self.turns {
      let session = SessionID(.max - 7)
      // Below a text as long as that of the other passes.
      let before = AttentionCost.none.measuredAt
      let text = CostMeasurement.text(before + size, of: target.model, step: 104_729 + TokenID(run))
      _ = try await readingPass(session, Array(text.prefix(before)))
      read = min(read, try await readingPass(session, text))
      await target.discard(session)
    }
    return max(.zero, asked - read) / (size - 1)
  }

  /// What each token of a prompt adds to a pass.
  private func targetPrefill(alone single: Duration) async throws -> Duration {
    let session = SessionID(.max - 7)
    let count = min(Self.promptTokens, target.model.contextLength - 2)
    let duration = try await readingPass(
      session, CostMeasurement.text(count + 1, of: target.model, step: 104_729))
    await target.discard(session)
    return max(.zero, duration - single) / count
  }

  /// A pass that reads what the target does not have of a text, and asks what comes after it.
  private func readingPass(_ session: SessionID, _ text: [TokenID]) async throws -> Duration {
    try await target.verify([
      VerificationRequest(session: session, prefix: text, draft: DraftTree(), sampling: .greedy)
    ]).duration
  }

  /// What each token of a text adds for each token of a pass: from passes over a few tokens below a longer text.
  private static func attention(_ engine: any Engine, _ short: [Int: Duration]) async throws -> AttentionCost
  {
    var cost = AttentionCost.none
    let longer = min(longText, engine.model.contextLength - 16) - cost.measuredAt
    guard longer > 0 else { return cost }
    let long = try await engine.measureCosts(
      maxBatch: passTokens, budget: .seconds(3), contextLength: longer + cost.measuredAt)
    guard let a = short[passTokens], let b = long[passTokens], b > a else { return cost }
    cost.perToken = (b - a) / (passTokens * longer)
    return cost
  }

  private static let longText = 640

  /// Runs so many passes and says how long each took.
  private typealias Passes = @Sendable (_ count: Int) async throws -> [Duration]

  /// How much longer one engine's passes take while the other never rests, how much they then vary, and how far the mean of
  /// undisturbed ones is above the fastest. Means, since a pass that happened to be fast says nothing of the others. Taken
  /// in turns, so that drift cancels.
  private static func beside(
    _ passes: @escaping Passes, _ others: @escaping Passes
  ) async throws -> (slowdown: Double, variation: Double, usual: Double) {
    var alone: [Duration] = []
    var beside: [Duration] = []
    for _ in 0..<turns {
      alone += try await passes(passCount)
      beside += try await withThrowingTaskGroup(of: [Duration]?.self) { group in
        group.addTask {
          while !Task.isCancelled { _ = try await others(passTokens) }
          return nil
        }
        group.addTask { try await passes(passCount) }
        defer { group.cancelAll() }
        while let result = try await group.next() { if let result { return result } }
        throw CancellationError()
      }
    }
    func mean(_ times: [Duration]) -> Double {
      times.reduce(0) { $0 + $1.inSeconds } / Double(times.count)
    }
    return (
      max(1, mean(beside) / mean(alone)), variation(beside), max(1, mean(alone) / alone.min()!.inSeconds)
    )
  }

  /// How long passes usually take: `measureCosts` tells the fastest of each size.
  private static func usual(_ fastest: [Int: Duration], _ ratio: Double) -> CostCurve {
    CostCurve(measured: fastest.mapValues { $0 * ratio })
  }

  /// The relative standard deviation, from the middle two thirds: one pass that the system held up for long is no
  /// measure of the others.
  private static func variation(_ times: [Duration]) -> Double {
    let sorted = times.map(\.inSeconds).sorted()
    let (low, high) = (sorted[sorted.count / 6], sorted[sorted.count - 1 - sorted.count / 6])
    return min((high - low) / 2 / sorted[sorted.count / 2], 0.5)
  }

  private static let turns = 3
  private static let passCount = 12
  /// Tokens of each: a usual verification set, a usual draft pass.
  private static let passTokens = 4

  /// Passes over a chain below a text that is cached.
  private var targetPasses: Passes {
    let prefix = CostMeasurement.text(128, of: target.model)
    let draft = DraftTree(
      tokens: Array(prefix.prefix(Self.passTokens - 1)),
      parents: (0..<Int32(Self.passTokens - 1)).map { $0 - 1 })
    let request = VerificationRequest(
      session: SessionID(.max - 8), prefix: prefix, draft: draft, sampling: .greedy)
    return { [target] count in
      _ = try await target.verify([request])
      var times: [Duration] = []
      for _ in 0..<count { times.append(try await target.verify([request]).duration) }
      return times
    }
  }

  /// Passes over children of a text that is cached, each time others: the last ones are cached.
  private var draftPasses: Passes {
    let prefix = CostMeasurement.text(128, of: draft.model)
    let vocabulary = draft.model.vocabulary.size
    return { [draft] count in
      var times: [Duration] = []
      for pass in 0...count {
        let requests = (0..<Self.passTokens).map { child in
          ExpansionRequest(
            session: SessionID(.max - 8), prefix: prefix,
            path: [TokenID(clamping: (pass * Self.passTokens + child) % vocabulary)], sampling: .greedy,
            candidates: 4)
        }
        let pass = try await draft.expand(requests)
        times.append(pass.duration)
      }
      await draft.release(SessionID(.max - 8))
      return Array(times.dropFirst())
    }
  }
}
