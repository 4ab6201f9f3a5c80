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
    let targetBeside = try await measure(target, beside: draft)
    let draftBeside = try await measure(draft, beside: target)
    return CostProfile(
      name: name, hardware: hardware, source: source,
      target: CostProfile.Engine(
        model: target.model.name, pass: CostCurve(measured: targetAlone),
        prefill: try await prefill(target, alone: targetAlone[1]!)),
      draft: CostProfile.Engine(
        model: draft.model.name, pass: CostCurve(measured: draftAlone),
        prefill: try await prefill(draft, alone: draftAlone[1]!)),
      contention: Self.ratio(targetBeside, targetAlone), draftContention: Self.ratio(draftBeside, draftAlone))
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
    await engine.release(session)
    return max(.zero, pass.duration - single) / count
  }

  /// Costs of small passes while the other engine never rests.
  private func measure(_ engine: LlamaEngine, beside other: LlamaEngine) async throws -> [Int: Duration] {
    try await withThrowingTaskGroup(of: [Int: Duration]?.self) { group in
      group.addTask {
        while !Task.isCancelled { _ = try await other.measureCosts(maxBatch: 4, budget: .milliseconds(500)) }
        return nil
      }
      group.addTask {
        // The other one's first pass allocates; it is under way by the second measurement of each size.
        try await engine.measureCosts(maxBatch: 6, budget: .seconds(6))
      }
      defer { group.cancelAll() }
      while let result = try await group.next() { if let result { return result } }
      throw CancellationError()
    }
  }

  /// The mean ratio over the sizes that both have, 1 at least.
  private static func ratio(_ beside: [Int: Duration], _ alone: [Int: Duration]) -> Double {
    let ratios = beside.compactMap { size, time in alone[size].map { time / $0 } }
    return ratios.isEmpty ? 1 : max(1, ratios.reduce(0, +) / Double(ratios.count))
  }
}
