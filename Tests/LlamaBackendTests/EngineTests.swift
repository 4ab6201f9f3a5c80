import Foundation
import LlamaBackend
import ModelBackend
import SpeculationCore
import Testing

@Suite(.enabled(if: TestModel.isAvailable, TestModel.absence), .serialized)
struct EngineTests {
  @Test func costsAreMeasuredWithinTheBudget() async throws {
    let engine = try await TestModel.load()
    let start = ContinuousClock.now
    let costs = try await engine.measureCosts(maxBatch: 8, budget: .seconds(1), contextLength: 64)
    #expect(ContinuousClock.now - start < .seconds(10))
    #expect(costs[1] != nil)
    #expect(costs.values.allSatisfy { $0 > .zero })
    #expect(costs.keys.allSatisfy { $0 <= 8 })
    #expect(try await engine.cacheUsage().used == 0)
  }

  @Test func anotherFormatIsWrittenAndLoads() async throws {
    let folder = FileManager.default.temporaryDirectory.appendingPathComponent("wanspec-\(UUID().uuidString)")
    try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
    defer { try? FileManager.default.removeItem(at: folder) }
    let output = folder.appendingPathComponent("draft.gguf").path
    try LlamaQuantizer.quantize(input: TestModel.path, output: output, format: "q2_k", threads: 1)
    #expect(try FileManager.default.contentsOfDirectory(atPath: folder.path) == ["draft.gguf"])
    let draft = try await LlamaEngine.load(
      path: output, options: LlamaOptions(contextLength: 128, threads: 1))
    let target = try await TestModel.load()
    #expect(draft.model.vocabulary == target.model.vocabulary)
    let text = try TestModel.tokens(target)
    let distribution = try await draft.expansions(1, text, [[]])[0]
    #expect(distribution.candidates.count == 4)
  }

  @Test func conversionErrorsLeaveNothingBehind() throws {
    let folder = FileManager.default.temporaryDirectory.appendingPathComponent("wanspec-\(UUID().uuidString)")
    try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
    defer { try? FileManager.default.removeItem(at: folder) }
    let output = folder.appendingPathComponent("out.gguf").path
    #expect(throws: ModelError.self) {
      try LlamaQuantizer.quantize(input: TestModel.path, output: output, format: "q17")
    }
    #expect(throws: ModelError.self) {
      try LlamaQuantizer.quantize(input: folder.path + "/none.gguf", output: output, format: "f16")
    }
    #expect(throws: ModelError.self) {
      try LlamaQuantizer.quantize(input: TestModel.path, output: folder.path + "/no/out.gguf", format: "f16")
    }
    #expect(try FileManager.default.contentsOfDirectory(atPath: folder.path).isEmpty)
  }

  @Test func theSystemIsDescribed() {
    #expect(!LlamaSystem.version.isEmpty)
    #expect(LlamaSystem.devices.contains { $0.kind == "cpu" })
  }

  /// Engines come and go; each frees its thread, its context and its weights.
  @Test func enginesCanBeReplaced() async throws {
    for _ in 0..<4 {
      let engine = try await TestModel.load(contextLength: 64, sessions: 1)
      _ = try await engine.choices(1, [100, 101])
    }
  }
}
