import Foundation
import LlamaBackend
import ModelBackend
import ModelStore
import SpeculationCore
import SplitMix
import Testing

/// What the engine says of a text is the same to the bit, whatever else is in its passes.
@Suite(.enabled(if: TestModel.isAvailable, TestModel.absence), .serialized)
struct DeterminismTests {
  private static let models = ["smollm2-135m-instruct", "smollm2-135m-instruct-q2_k"]
  private static let large = [
    "qwen2.5-coder-1.5b-instruct-bf16", "qwen2.5-coder-1.5b-instruct", "qwen2.5-coder-0.5b-instruct",
  ]
  private static let testsLarge = ProcessInfo.processInfo.environment["WANSPEC_TEST_LARGE"] == "1"

  private static func load(
    _ name: String, cacheType: CacheType, threads: Int = 1
  ) async throws -> LlamaEngine? {
    let store = ModelStore()
    let path = store.path(for: try store.entry(named: name)).path
    guard FileManager.default.fileExists(atPath: path) else { return nil }
    return try await LlamaEngine.load(
      path: path,
      options: LlamaOptions(contextLength: 512, sessions: 8, cacheType: cacheType, threads: threads))
  }

  @Test(arguments: models, [CacheType.f16, .bf16, .q8, .f32])
  func shapesAgree(model: String, cacheType: CacheType) async throws {
    let engine = try #require(try await Self.load(model, cacheType: cacheType))
    try #require(engine.capabilities.isDeterministic, "built without our patches, or for another processor")
    // Beyond a tile of 64 keys.
    let others = cacheType == .f16 ? 15 : 3
    let report = try await engine.checkDeterminism(prompt: 68, positions: 4, others: others)
    #expect(report.isDeterministic, "\(report.verdict)")
    #expect(report.shapes.count == 8)
  }

  @Test(.enabled(if: testsLarge, "WANSPEC_TEST_LARGE=1"), arguments: large)
  func shapesOfLargeModelsAgree(model: String) async throws {
    guard let engine = try await Self.load(model, cacheType: .f16) else { return }
    let report = try await engine.checkDeterminism(prompt: 70, positions: 6, others: 15)
    #expect(report.isDeterministic, "\(report.verdict)")
  }

  /// Threads, trees, others that come and go, texts that are read again: the choices after a text are those of a fresh
  /// engine.
  @Test func historiesDoNotMatter() async throws {
    let fresh = try await TestModel.load(contextLength: 256, sharesPrefixes: false)
    for seed in TestSeeds.first(2) {
      var random = SplitMix64(seed: seed)
      let engine = try #require(
        try await Self.load("smollm2-135m-instruct", cacheType: .f16, threads: 1 + Int(seed) % 2))
      var texts: [[TokenID]] = (0..<6).map { _ in
        (0..<Int.random(in: 4...70, using: &random)).map { _ in random.token() }
      }
      for step in 0..<10 {
        let members = texts.indices.filter { _ in Bool.random(using: &random) }
        guard !members.isEmpty else { continue }
        let requests = members.map { index in
          VerificationRequest.greedy(
            UInt64(index + 1), texts[index], random.tree(Int.random(in: 0...5, using: &random)))
        }
        let results = try await engine.verify(requests).results
        for (request, result) in zip(requests, results) {
          let at = Int.random(in: 0...request.draft.count, using: &random)
          let path = at == 0 ? [] : request.draft.paths[at - 1]
          let alone = try await fresh.choices(1, request.prefix + path)
          await fresh.discard(SessionID(1))
          expectSame(
            result.choices[at], alone[0], "seed \(seed), step \(step), \(request.session), \(path)")
          texts[Int(request.session.rawValue) - 1].append(result.choices[0].token)
        }
        if Int.random(in: 0..<3, using: &random) == 0 {
          await engine.release(SessionID(UInt64(Int.random(in: 1...texts.count, using: &random))))
        }
      }
    }
  }
}
