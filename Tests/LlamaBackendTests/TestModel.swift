import Foundation
import LlamaBackend
import ModelBackend
import ModelStore
import Simulator
import SpeculationCore
import SpeculationTesting
import SplitMix
import Testing

/// The small real model that these tests run: SmolLM2-135M-Instruct, from the user's model cache.
enum TestModel {
  static let fileName = "smollm2-135m-instruct-q4_1.gguf"

  static var path: String { ModelStore.cacheDirectory().appending(path: "models/\(fileName)").path }

  static var isAvailable: Bool { FileManager.default.fileExists(atPath: path) }

  static let absence: Comment = "SmolLM2-135M is not in the model cache; fetch it with `wanspec models pull`"

  static func load(
    contextLength: Int = 512, sessions: Int = 4, cacheTokens: Int = 0, cacheType: CacheType = .f16,
    sharesPrefixes: Bool = true, treeNodes: Int = 128, sequences: Int = 64,
    fileName: String = TestModel.fileName, chatTemplate: String? = nil
  ) async throws -> LlamaEngine {
    try await LlamaEngine.load(
      path: ModelStore.cacheDirectory().appending(path: "models/\(fileName)").path,
      options: LlamaOptions(
        contextLength: contextLength, sessions: sessions, cacheTokens: cacheTokens, cacheType: cacheType,
        sharesPrefixes: sharesPrefixes, treeNodes: treeNodes, sequences: sequences, threads: 1,
        chatTemplate: chatTemplate))
  }

  /// Shared by the tests that compare choices: to the bit, whatever shapes the passes have.
  static func shared() async throws -> LlamaEngine { try await sharedEngine.value }

  private static let sharedEngine = Task { try await load(contextLength: 512, sessions: 8) }

  static func tokens(_ engine: LlamaEngine, _ text: String = "The capital of France is") throws -> [TokenID] {
    try engine.tokenizer.encode(text, addSpecial: true, parseSpecial: false)
  }
}

/// Seeds of a test that goes over many: 0, 1, 2..., or the one that the environment names.
enum TestSeeds {
  /// - Environment: `WANSPEC_TEST_SEED` is the only one; `WANSPEC_TEST_SEEDS` replaces `count`.
  static func first(_ count: Int) -> [UInt64] {
    let environment = ProcessInfo.processInfo.environment
    if let only = environment["WANSPEC_TEST_SEED"].flatMap({ UInt64($0) }) { return [only] }
    let count = environment["WANSPEC_TEST_SEEDS"].flatMap { Int($0) } ?? count
    return (0..<max(1, count)).map { UInt64($0) }
  }
}

extension SplitMix64 {
  /// Tokens from a small alphabet, so that paths often meet again.
  mutating func token() -> TokenID { TokenID(100 + Int.random(in: 0..<4, using: &self)) }

  /// A text that begins like others: one of the beginnings, or a text that was used before, cut anywhere.
  mutating func prompt(_ beginnings: [[TokenID]], _ finished: [[TokenID]]) -> [TokenID] {
    let texts = beginnings + finished.suffix(3)
    let text = texts[Int.random(in: 0..<texts.count, using: &self)]
    let length = Int.random(in: 4...text.count, using: &self)
    return text.prefix(length) + (0...Int.random(in: 0..<6, using: &self)).map { _ in token() }
  }

  mutating func tree(_ count: Int) -> DraftTree {
    DraftTree(
      tokens: (0..<count).map { _ in token() },
      parents: (0..<count).map { Int32.random(in: -1..<Int32($0), using: &self) })
  }
}

extension DraftTree {
  /// Tokens from below the root to each node.
  var paths: [[TokenID]] {
    var result: [[TokenID]] = []
    for index in 0..<count {
      let parent = Int(parents[index])
      result.append((parent < 0 ? [] : result[parent]) + [tokens[index]])
    }
    return result
  }
}

extension VerificationRequest {
  static func greedy(_ session: UInt64, _ prefix: [TokenID], _ draft: DraftTree = DraftTree()) -> Self {
    VerificationRequest(session: SessionID(session), prefix: prefix, draft: draft, sampling: .greedy)
  }
}

extension LlamaEngine {
  /// One session's verification.
  func choices(
    _ session: UInt64, _ prefix: [TokenID], _ draft: DraftTree = DraftTree(),
    sampling: SamplingSettings = .greedy
  ) async throws -> [TargetChoice] {
    let request = VerificationRequest(
      session: SessionID(session), prefix: prefix, draft: draft, sampling: sampling)
    return try verify([request], prefillBudget: .max).results[0].choices
  }

  func expansions(
    _ session: UInt64, _ prefix: [TokenID], _ paths: [[TokenID]], candidates: Int = 4
  ) async throws -> [Distribution] {
    try expand(
      paths.map {
        ExpansionRequest(
          session: SessionID(session), prefix: prefix, path: $0, sampling: .greedy, candidates: candidates)
      }
    ).results
  }
}

/// The same choice, by the same margin to the bit.
func expectSame(
  _ a: TargetChoice, _ b: TargetChoice, _ note: @autoclosure () -> String,
  sourceLocation: SourceLocation = #_sourceLocation
) {
  #expect(a == b, "\(note()): \(a) and \(b)", sourceLocation: sourceLocation)
}
