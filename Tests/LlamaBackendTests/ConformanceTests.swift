import LlamaBackend
import ModelBackend
import SpeculationTesting
import Testing

/// The embedded engine keeps the rules that the scripted ones keep: the same checks as in `ModelBackendTests`.
@Suite(.enabled(if: TestModel.isAvailable, TestModel.absence), .serialized)
struct ConformanceTests {
  private static func engine(_ size: EngineSize) async throws -> LlamaEngine {
    try await TestModel.load(
      contextLength: size.contextLength, cacheTokens: size.cacheTokens, sharesPrefixes: size.sharesPrefixes,
      sequences: size.branches)
  }

  @Test(arguments: EngineCheck.allCases)
  func engines(_ check: EngineCheck) async throws {
    try await check.run(EngineFixture(make: { try await Self.engine($0) }))
  }

  @Test(arguments: TargetCheck.allCases)
  func targets(_ check: TargetCheck) async throws {
    try await check.run(EngineFixture(make: { try await Self.engine($0) }))
  }

  @Test(arguments: DraftCheck.allCases)
  func drafts(_ check: DraftCheck) async throws {
    try await check.run(EngineFixture(make: { try await Self.engine($0) }))
  }
}
