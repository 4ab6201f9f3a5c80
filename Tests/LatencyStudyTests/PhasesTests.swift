import LatencyStudy
import Simulator
import SplitMix
import Testing

@Suite struct PhasesTests {
  @Test func eachPhaseBeginsWhereTheOneBeforeEnded() {
    var phases = Phases(start: 1000)
    phases.stamp(.connect, at: 1100)
    phases.stamp(.written, at: 1150)
    phases.stamp(.headers, at: 1400)
    phases.stamp(.firstEvent, at: 1400)
    phases.stamp(.firstContent, at: 1500)
    phases.stamp(.lastContent, at: 1500)
    phases.stamp(.lastContent, at: 1800)
    phases.stamp(.end, at: 1900)
    #expect(phases.durations == [nil, 100, nil, 50, 250, 0, 100, 300, 100])
    #expect(phases.coldTTFT == 500)
    #expect(phases.requestTTFT == 350)
    #expect(phases.total == 900)
  }

  @Test func anAnswerBeforeTheRequestIsWritten() {
    var phases = Phases(start: 0)
    phases.stamp(.connect, at: 10)
    phases.stamp(.headers, at: 30)
    // Too late: the answer is there.
    phases.stamp(.written, at: 40)
    phases.stamp(.end, at: 50)
    #expect(phases[.written] == nil)
    #expect(phases[.headers] == 20)
    #expect(phases.total == 50)
    #expect(phases.requestTTFT == nil)
  }

  /// Whatever comes in whatever order, at whatever times: the parts sum to the whole, and nothing is negative.
  @Test(arguments: 1...50)
  func partsSumToTheTotal(seed: UInt64) {
    var random = SplitMix64(seed: seed)
    var phases = Phases(start: 500)
    var time: Int64 = 500
    for _ in 0..<30 {
      time += Int64.random(in: -20...100, using: &random)
      phases.stamp(Phase.allCases.randomElement(using: &random)!, at: time)
      #expect(phases.durations.reduce(0) { $0 + ($1 ?? 0) } == phases.total)
      #expect(phases.durations.allSatisfy { ($0 ?? 0) >= 0 })
    }
    let stored = Phases(durations: phases.durations)
    #expect(stored.total == phases.total)
    #expect(stored.requestTTFT == phases.requestTTFT)
  }
}
