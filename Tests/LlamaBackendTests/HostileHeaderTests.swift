import Foundation
import LlamaBackend
import ModelBackend
import Testing

/// The test model with one number of its header changed, in place: each would end the process if llama.cpp took it at
/// its word. `Benchmarks/fuzz-models` finds more.
@Suite(.serialized, .enabled(if: TestModel.isAvailable, TestModel.absence)) struct HostileHeaderTests {
  private static let lies: [(key: String, value: UInt32)] = [
    ("llama.block_count", 0x7FFF_FFFF), ("llama.block_count", 0), ("llama.context_length", .max),
    ("llama.context_length", 0), ("llama.embedding_length", 0x7FFF_FFFF), ("llama.vocab_size", .max),
    ("llama.attention.head_count", 0), ("llama.attention.head_count_kv", 7),
    ("llama.rope.dimension_count", 7),
    ("llama.attention.layer_norm_rms_epsilon", Float.nan.bitPattern),
    ("llama.attention.layer_norm_rms_epsilon", Float(-1).bitPattern),
  ]

  @Test(arguments: lies.indices) func isRefusedInOneLine(index: Int) async throws {
    let lie = Self.lies[index]
    let copy = FileManager.default.temporaryDirectory.appending(path: "wanspec-\(UUID().uuidString).gguf")
    try FileManager.default.copyItem(atPath: TestModel.path, toPath: copy.path)
    defer { try? FileManager.default.removeItem(at: copy) }
    let file = try FileHandle(forUpdating: copy)
    defer { try? file.close() }
    let head = try #require(try file.read(upToCount: 1 << 16))
    // Behind the key come its type and its value, 32 bits each.
    let key = try #require(head.range(of: Data(lie.key.utf8)), "the test model has no \(lie.key)")
    try file.seek(toOffset: UInt64(key.upperBound + 4))
    try file.write(contentsOf: withUnsafeBytes(of: lie.value.littleEndian) { Data($0) })
    let error = await #expect(throws: ModelError.self) { _ = try await LlamaEngine.load(path: copy.path) }
    #expect(error?.code == .notAModel, "\(error.map(String.init(describing:)) ?? "loaded")")
    #expect(error?.description.contains("\n") == false)
    #expect(error?.description.contains("/src/") == false, "no folder of whoever built llama.cpp")
  }
}
