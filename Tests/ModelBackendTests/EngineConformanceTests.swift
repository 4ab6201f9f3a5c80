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

  /// An engine that says that its passes agree, and lies, is found out; what it does is not hidden in an average.
  @Test func whoLiesAboutShapesIsFoundOut() async throws {
    // It decides by another margin beside anything else.
    let liar = AlteredTarget(ScriptedTarget(Self.script)) { requests, results in
      for index in requests.indices where requests.count > 1 || requests[index].draft.count > 0 {
        for choice in results[index].choices.indices { results[index].choices[choice].margin += 0.25 }
      }
    }
    let report = try await liar.checkDeterminism()
    #expect(!report.isDeterministic && report.largest == 0.25)
    let differing = report.shapes.filter { $0.differing > 0 }.map(\.name)
    #expect(
      differing == [
        "all at once", "in pieces of 3, with wrong guesses", "cells in another order", "beside 1 other",
        "beside 3 others",
      ])
    #expect(report.verdict.contains("up to 0.25 nats (all at once; in pieces"))
    #expect(try await ScriptedTarget(Self.script).checkDeterminism().isDeterministic)
  }
}
