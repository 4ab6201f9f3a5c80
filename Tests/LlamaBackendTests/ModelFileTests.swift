import Foundation
import LlamaBackend
import ModelBackend
import Testing

/// A small GGUF file, written field by field.
private struct GGUFWriter {
  private var pairs = Data()
  private var count: UInt64 = 0

  private static func bytes(_ value: some FixedWidthInteger) -> Data {
    withUnsafeBytes(of: value.littleEndian) { Data($0) }
  }

  private static func string(_ text: String) -> Data { bytes(UInt64(text.utf8.count)) + Data(text.utf8) }

  mutating func add(_ key: String, _ value: String) {
    pairs += Self.string(key) + Self.bytes(UInt32(8)) + Self.string(value)
    count += 1
  }

  mutating func add(_ key: String, _ value: UInt32) {
    pairs += Self.string(key) + Self.bytes(UInt32(4)) + Self.bytes(value)
    count += 1
  }

  mutating func add(_ key: String, _ value: Float) {
    pairs += Self.string(key) + Self.bytes(UInt32(6)) + Self.bytes(value.bitPattern)
    count += 1
  }

  var file: Data {
    Data("GGUF".utf8) + Self.bytes(UInt32(3)) + Self.bytes(UInt64(0)) + Self.bytes(count) + pairs
  }
}

@Suite struct ModelFileTests {
  private func error(loading data: Data?, name: String = "model.gguf") async throws -> ModelError {
    let folder = FileManager.default.temporaryDirectory.appendingPathComponent("wanspec-\(UUID().uuidString)")
    try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
    defer { try? FileManager.default.removeItem(at: folder) }
    let file = folder.appendingPathComponent(name)
    try data?.write(to: file)
    return try #require(
      await #expect(throws: ModelError.self) { _ = try await LlamaEngine.load(path: file.path) })
  }

  @Test func missing() async throws {
    let error = try await error(loading: nil)
    #expect(error.code == .fileUnreadable)
    #expect(error.message.contains("model.gguf") && error.hint != nil)
  }

  @Test func folder() async throws {
    let error = try #require(
      await #expect(throws: ModelError.self) { _ = try await LlamaEngine.load(path: NSTemporaryDirectory()) })
    #expect(error.code == .fileUnreadable)
  }

  @Test(arguments: [Data(), Data("GG".utf8), Data("PK\u{3}\u{4} not a model at all".utf8)])
  func notGGUF(data: Data) async throws {
    #expect(try await error(loading: data).code == .notAModel)
  }

  @Test func otherVersion() async throws {
    let error = try await error(loading: Data("GGUF".utf8) + Data([9, 0, 0, 0]) + Data(count: 64))
    #expect(error.code == .notAModel)
    #expect(error.message.contains("version 9"))
  }

  @Test func headerCutShort() async throws {
    var writer = GGUFWriter()
    writer.add("general.architecture", "llama")
    writer.add("general.name", "cut")
    #expect(try await error(loading: writer.file.dropLast(5)).code == .notAModel)
  }

  @Test func noArchitecture() async throws {
    var writer = GGUFWriter()
    writer.add("general.name", "nameless")
    #expect(try await error(loading: writer.file).code == .notAModel)
  }

  @Test func unknownArchitecture() async throws {
    var writer = GGUFWriter()
    writer.add("general.architecture", "abacus")
    let error = try await error(loading: writer.file)
    #expect(error.code == .unsupportedModel)
    #expect(error.message.contains("abacus"))
  }

  /// A recurrent model is refused from its header, before its weights load.
  @Test func recurrent() async throws {
    var writer = GGUFWriter()
    writer.add("general.architecture", "mamba")
    for (key, value) in [
      ("context_length", UInt32(64)), ("embedding_length", 16), ("block_count", 1),
      ("feed_forward_length", 0),
      ("attention.head_count", 0), ("ssm.conv_kernel", 4), ("ssm.inner_size", 32), ("ssm.state_size", 16),
      ("ssm.time_step_rank", 1), ("vocab_size", 32),
    ] {
      writer.add("mamba." + key, value)
    }
    writer.add("mamba.attention.layer_norm_rms_epsilon", Float(1e-5))
    writer.add("tokenizer.ggml.model", "none")
    let error = try await error(loading: writer.file)
    #expect(error.code == .unsupportedModel, "\(error)")
    #expect(error.message.contains("rolled back"), "\(error)")
  }

  @Test(.enabled(if: TestModel.isAvailable, TestModel.absence), arguments: [1000, 1_000_000, 98_362_431])
  func truncated(length: Int) async throws {
    let whole = try #require(FileHandle(forReadingAtPath: TestModel.path))
    defer { try? whole.close() }
    let data = try #require(try whole.read(upToCount: length))
    #expect(try await error(loading: data).code == .notAModel)
  }

  @Test(.enabled(if: TestModel.isAvailable, TestModel.absence))
  func badOptions() async throws {
    for options in [
      LlamaOptions(threads: -1), LlamaOptions(threads: 100_000), LlamaOptions(cores: [-1]),
      LlamaOptions(cores: [7000]), LlamaOptions(contextLength: 1 << 20), LlamaOptions(sessions: 0),
      LlamaOptions(sessions: 9, sequences: 8), LlamaOptions(sequences: 257), LlamaOptions(treeNodes: 0),
      LlamaOptions(cacheTokens: -1), LlamaOptions(contextLength: 512, cacheTokens: 511),
    ] {
      let error = await #expect(throws: ModelError.self) {
        _ = try await LlamaEngine.load(path: TestModel.path, options: options)
      }
      #expect(error?.code == .invalidRequest)
    }
  }
}
