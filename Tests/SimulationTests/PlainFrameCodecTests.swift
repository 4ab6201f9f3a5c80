import Simulator
import SpeculationCore
import SplitMix
import Testing

@Suite struct PlainFrameCodecTests {
  private let codec = PlainFrameCodec()

  private let worker: [WorkerFrameItem] = [
    .pong(7),
    .message(
      .expansion(
        SessionID(3),
        Expansion(
          site: .root(position: 12), firstChild: 1,
          distribution: Distribution(
            entropy: 1.5,
            candidates: [Candidate(token: 4, probability: 0.5), Candidate(token: 9, probability: 0.1)]),
          knownPosition: 12))),
    .message(
      .expansion(
        SessionID(3),
        Expansion(
          site: .node(2), firstChild: 3, distribution: Distribution(entropy: 0, candidates: []),
          knownPosition: 12, forgotten: [1, 2, 1 << 40]))),
    .message(.declined(SessionID(.max), reason: "voll – danke")),
  ]

  private let controller: [ControllerFrameItem] = [
    .ping(1),
    .message(
      .open(
        SessionID(3),
        .init(
          context: [1, 2, -1], sampling: SamplingSettings(temperature: 0.7, topK: 40, seed: 9),
          maxNodes: 24))),
    .message(
      .open(
        SessionID(4),
        .init(
          context: [1],
          sampling: SamplingSettings(
            adjustments: LogitAdjustments(
              promptLength: 1, repetition: 1.1, presence: -0.5, frequency: 0.25,
              biases: [
                LogitAdjustments.Bias(token: 7, value: -100), LogitAdjustments.Bias(token: 9, value: 2),
              ])
          )))),
    .message(.commit(SessionID(3), .init(position: 5, tokens: [8, 9, 10], pause: true))),
    .message(.close(SessionID(3))),
  ]

  @Test func whatGoesInComesOut() throws {
    #expect(try codec.decodeWorkerFrame(codec.encode(worker)[0][...]) == worker)
    #expect(try codec.decodeControllerFrame(codec.encode(controller)[0][...]) == controller)
  }

  /// Whatever bytes arrive, there is an answer: messages or an error.
  @Test func anyBytesCanBeRead() {
    var random = SplitMix64(seed: 11)
    let frames = codec.encode(worker) + codec.encode(controller)
    var refused = 0
    for _ in 0..<20_000 {
      var bytes = frames.randomElement(using: &random)!
      for _ in 0..<Int.random(in: 0...3, using: &random) {
        bytes[Int.random(in: 0..<bytes.count, using: &random)] = UInt8.random(in: 0...255, using: &random)
      }
      bytes.removeLast(Int.random(in: 0...bytes.count, using: &random))
      if (try? codec.decodeWorkerFrame(bytes[...])) == nil { refused += 1 }
      if (try? codec.decodeControllerFrame(bytes[...])) == nil { refused += 1 }
    }
    #expect((20_000..<40_000).contains(refused))
  }
}
