import Foundation
import LlamaBackend
import ModelBackend
import Simulator
import SpeculationCore
import SpeculationTesting
import SplitMix
import Testing

/// What a pass costs beside llama.cpp's decode. `WANSPEC_MEASURE=1 swift test --filter EngineMeasurements`
@Suite(
  .serialized,
  .enabled(if: TestModel.isAvailable && ProcessInfo.processInfo.environment["WANSPEC_MEASURE"] != nil))
struct EngineMeasurements {
  @Test(arguments: [1, 16, 32], [0, 7])
  func overhead(sessions: Int, nodes: Int) async throws {
    let engine = try await TestModel.load(
      contextLength: 4096, cacheTokens: 32_768, sequences: 256, fileName: "smollm2-135m-instruct-q2_k.gguf")
    var generator = SplitMix64(seed: 1)
    var texts = (0..<sessions).map { _ in
      (0..<150).map { _ in TokenID.random(in: 200..<3000, using: &generator) }
    }
    // As target: verify a tree, commit two tokens of it and one more.
    var figures: [(all: Duration, decode: Duration)] = []
    for _ in 0..<12 {
      let drafts = texts.map { _ in generator.tree(nodes) }
      let requests = texts.indices.map { VerificationRequest.greedy(UInt64($0), texts[$0], drafts[$0]) }
      figures.append(try await Self.timed(engine) { try await engine.verify(requests) })
      for index in texts.indices {
        texts[index] +=
          (drafts[index].paths.max { $0.count < $1.count } ?? []).prefix(2) + [generator.token()]
      }
    }
    Self.report("verify, \(sessions) sessions, \(nodes) nodes", figures)
    guard nodes > 0 else { return }
    // As draft: four nodes of each session a pass, below those of the last one; the guesses are kept.
    figures = []
    for step in 0..<12 {
      let requests = texts.indices.flatMap { session in
        (0..<(sessions > 1 ? 4 : 8)).map { index in
          ExpansionRequest(
            session: SessionID(UInt64(session)), prefix: texts[session],
            path: (0...(step % 4)).map { TokenID(500 + index * 7 + $0) }, sampling: .greedy, candidates: 4)
        }
      }
      figures.append(try await Self.timed(engine) { try await engine.expand(requests) })
      if step % 4 == 3 { for index in texts.indices { texts[index] += [500, 501] } }
    }
    Self.report("expand, \(sessions) sessions", figures)
  }

  private static func timed<Result>(
    _ engine: LlamaEngine, _ body: () async throws -> Result
  ) async throws -> (all: Duration, decode: Duration) {
    let decoded = try await engine.decodeTime()
    let start = ContinuousClock.now
    _ = try await body()
    return (ContinuousClock.now - start, try await engine.decodeTime() - decoded)
  }

  /// Medians over the passes after the first, which evaluates the prompts.
  private static func report(_ name: String, _ figures: [(all: Duration, decode: Duration)]) {
    func median(_ values: [Duration]) -> Double { values.sorted()[values.count / 2] / .milliseconds(1) }
    let passes = figures.dropFirst()
    let own = median(passes.map { $0.all - $0.decode })
    print("MEASURED \(name): \(own) ms beside \(median(passes.map(\.decode))) ms of decode")
  }
}
