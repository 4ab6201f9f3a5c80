import ScenarioReports
import Simulator
import SpeculationCore
import Testing

/// Fault runs over the product's own codec.
@Suite struct ExchangeFrameCodecTests {
  @Test func noRuleIsBrokenOverTheRealCodec() {
    let summary = FaultCampaign.run(seeds: 1..<301, cores: 2, codec: ExchangeFrameCodec())
    if let failure = summary.failure { Issue.record("\(failure)") }
    #expect(summary.runs == 300)
    #expect(summary.counts[.undecodableFrames] > 0)
    #expect(summary.counts[.acceptedRemote] > 0)
  }

  /// What the simulator counts for a message is what the wire carries, near enough for a rate limit: protobuf's bytes,
  /// gRPC's five and an HTTP/2 frame's nine.
  @Test(arguments: [1, 2, 4, 8, 16]) func simulatedMessagesHaveTheirSize(candidates: Int) throws {
    let codec = ExchangeFrameCodec(vocabularySize: 151_936)
    var guesses: [Candidate] = []
    for index in 0..<candidates {
      let share: Float = 0.5 / Float(1 + 4 * index * index)
      guesses.append(Candidate(token: TokenID(90_000 + index * 991), probability: share))
    }
    let expansion = Expansion(
      site: .node(70_000), firstChild: 70_321, distribution: Distribution(entropy: 1.5, candidates: guesses),
      knownPosition: 900)
    let message = WorkerMessage.expansion(SessionID(300), expansion)
    let frames = try codec.encode([WorkerFrameItem.message(message)])
    let real = frames.reduce(0) { $0 + $1.count + 14 }
    #expect(
      abs(Double(WireSize.bytes(message)) / Double(real) - 1) < 0.3,
      "\(WireSize.bytes(message)), wire \(real)")

    let commit = ControllerMessage.commit(
      SessionID(300), .init(position: 900, tokens: (0..<TokenID(candidates)).map { 90_000 + $0 }))
    let commitFrames = try codec.encode([ControllerFrameItem.message(commit)])
    let realCommit = commitFrames.reduce(0) { $0 + $1.count + 14 }
    #expect(
      abs(Double(WireSize.bytes(commit)) / Double(realCommit) - 1) < 0.3,
      "\(WireSize.bytes(commit)), wire \(realCommit)")
  }
}
