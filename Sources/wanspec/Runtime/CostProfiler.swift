import LlamaBackend
import ModelBackend
import Simulator
import SpeculationCore

/// Measures how long the passes of two engines take on this machine: alone, over a prompt, and while the other one
/// computes.
struct CostProfiler: Sendable {
  let target: LlamaEngine
  let draft: LlamaEngine
  /// Nodes of the largest draft pass and tokens of the largest target pass to measure.
  var maxBatch = 16

  private static let promptTokens = 256

  func profile(name: String, hardware: String, source: String) async throws -> CostProfile {
    let targetAlone = try await target.measureCosts(maxBatch: maxBatch)
    let draftAlone = try await draft.measureCosts(maxBatch: maxBatch, budget: .seconds(3))
    let targetBeside = try await beside(target, draft)
    let draftBeside = try await beside(draft, target)
    return CostProfile(
      name: name, hardware: hardware, source: source,
      target: CostProfile.Engine(
        model: target.model.name, pass: CostCurve(measured: targetAlone),
        prefill: try await prefill(target, alone: targetAlone[1]!)),
      draft: CostProfile.Engine(
        model: draft.model.name, pass: CostCurve(measured: draftAlone),
        prefill: try await prefill(draft, alone: draftAlone[1]!)),
      contention: targetBeside.slowdown, draftContention: draftBeside.slowdown,
      variation: PassVariation(target: targetBeside.variation, draft: draftBeside.variation))
  }

  /// What each token of a prompt adds to a pass.
  private func prefill(_ engine: LlamaEngine, alone single: Duration) async throws -> Duration {
    let session = SessionID(.max - 7)
    let count = min(Self.promptTokens, engine.model.contextLength - 2)
    let vocabulary = TokenID(clamping: engine.model.vocabulary.size)
    let prompt = (0...TokenID(clamping: count)).map { ($0 &* 104_729 &+ 11) % vocabulary }
    let pass = try await engine.verify([
      VerificationRequest(session: session, prefix: prompt, draft: DraftTree(), sampling: .greedy)
    ])
    await engine.discard(session)
    return max(.zero, pass.duration - single) / count
  }

  /// How much longer one engine's passes take while the other never rests, and how much they then vary. Means, not the
  /// fastest, since a pass that happened to be undisturbed says nothing of the others. Taken in turns, so that drift
  /// cancels.
  private func beside(
    _ engine: LlamaEngine, _ other: LlamaEngine
  ) async throws -> (slowdown: Double, variation: Double) {
    var alone: [Duration] = []
    var beside: [Duration] = []
    for _ in 0..<Self.turns {
      alone += try await Self.times(Self.passes, of: engine)
      beside += try await withThrowingTaskGroup(of: [Duration]?.self) { group in
        group.addTask {
          while !Task.isCancelled { _ = try await Self.times(4, of: other) }
          return nil
        }
        group.addTask { try await Self.times(Self.passes, of: engine) }
        defer { group.cancelAll() }
        while let result = try await group.next() { if let result { return result } }
        throw CancellationError()
      }
    }
    func sum(_ times: [Duration]) -> Double { times.reduce(0) { $0 + $1.inSeconds } }
    return (max(1, sum(beside) / sum(alone)), Self.variation(beside))
  }

  /// The relative standard deviation, from the middle two thirds: one pass that the system held up for long is no
  /// measure of the others.
  private static func variation(_ times: [Duration]) -> Double {
    let sorted = times.map(\.inSeconds).sorted()
    let (low, high) = (sorted[sorted.count / 6], sorted[sorted.count - 1 - sorted.count / 6])
    return min((high - low) / 2 / sorted[sorted.count / 2], 0.5)
  }

  private static let turns = 3
  private static let passes = 12
  /// Tokens of each: a usual verification set, a usual draft pass.
  private static let passTokens = 4

  /// The times of so many passes, prefill apart.
  private static func times(_ count: Int, of engine: LlamaEngine) async throws -> [Duration] {
    let vocabulary = TokenID(clamping: engine.model.vocabulary.size)
    let prefix = (0..<TokenID(128)).map { ($0 &* 7919 &+ 13) % vocabulary }
    let draft = DraftTree(
      tokens: Array(prefix.prefix(passTokens - 1)), parents: (0..<Int32(passTokens - 1)).map { $0 - 1 })
    let request = VerificationRequest(
      session: SessionID(.max - 8), prefix: prefix, draft: draft, sampling: .greedy)
    _ = try await engine.verify([request])
    var times: [Duration] = []
    for _ in 0..<count { times.append(try await engine.verify([request]).duration) }
    return times
  }
}
