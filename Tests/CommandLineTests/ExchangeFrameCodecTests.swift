import Simulator
import Testing
import wanspec

/// Fault runs over the product's own codec.
@Suite struct ExchangeFrameCodecTests {
  @Test func noRuleIsBrokenOverTheRealCodec() {
    let summary = FaultCampaign.run(seeds: 1..<301, cores: 2, codec: ExchangeFrameCodec())
    if let failure = summary.failure { Issue.record("\(failure)") }
    #expect(summary.runs == 300)
    #expect(summary.counts[.undecodableFrames] > 0)
    #expect(summary.counts[.acceptedRemote] > 0)
  }
}
