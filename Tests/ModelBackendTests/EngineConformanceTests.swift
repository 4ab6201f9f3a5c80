import ModelBackend
import Simulator
import SpeculationCore
import SpeculationTesting
import Testing

/// The scripted engines keep the rules that the real ones keep; `LlamaBackendTests` runs the same checks.
@Suite struct EngineConformanceTests {
  private static let script = ScriptedModel(seed: 5, vocabularySize: 4000, endProbability: 0)

  private static func cache(_ size: EngineSize) -> ScriptedCache {
    ScriptedCache(
      contextLength: size.contextLength, tokens: size.cacheTokens, branches: size.branches,
      sharesPrefixes: size.sharesPrefixes)
  }

  @Test(arguments: EngineCheck.allCases)
  func engines(_ check: EngineCheck) async throws {
    try await check.run(EngineFixture(make: { ScriptedTarget(Self.script, cache: Self.cache($0)) }))
    try await check.run(EngineFixture(make: { ScriptedDraft(Self.script, cache: Self.cache($0)) }))
  }

  @Test(arguments: TargetCheck.allCases)
  func targets(_ check: TargetCheck) async throws {
    try await check.run(EngineFixture(make: { ScriptedTarget(Self.script, cache: Self.cache($0)) }))
  }

  @Test(arguments: DraftCheck.allCases)
  func drafts(_ check: DraftCheck) async throws {
    try await check.run(EngineFixture(make: { ScriptedDraft(Self.script, cache: Self.cache($0)) }))
  }

  /// A failure of its own leaves a target's sessions as they were, and the same seed fails the same passes.
  @Test func failedPassesChangeNothing() async throws {
    func failures() async throws -> [Int] {
      let target = ScriptedTarget(
        Self.script, timing: ScriptedTiming(failures: [3], failureRate: 0.3, failureSeed: 8))
      var text: [TokenID] = [1, 2, 3]
      var failed: [Int] = []
      for pass in 0..<40 {
        let before = await target.ledger
        let request = VerificationRequest(
          session: SessionID(1), prefix: text, draft: DraftTree(tokens: [7], parents: [-1]), sampling: .greedy
        )
        do {
          text.append(try await target.verify([request]).results[0].choices[0].token)
        } catch let error as ModelError {
          #expect(error.code == .engineFailed)
          #expect(await target.ledger == before)
          failed.append(pass)
        }
      }
      return failed
    }
    let failed = try await failures()
    #expect(failed.contains(3) && (5..<25).contains(failed.count))
    #expect(try await failures() == failed)
  }
}
