import Simulator
import SpeculationCore
import Testing
import WideArea

/// What it costs a simulated draft to read, and what it says meanwhile.
struct ReadingTests {
  /// Texts whose draft is right nine times out of ten, with prompts of so many tokens.
  private func source(prompt: Int, texts: Int = 2, sharing: Int = 0) -> TokenSource {
    var source = TokenSource(MatchChain(afterHit: 0.9, afterMiss: 0.9), texts: texts, length: 256, seed: 3)
    for index in source.texts.indices {
      source.texts[index].prompt = (0..<prompt).map { TokenID($0 < sharing ? $0 : 1000 * index + $0) }
    }
    return source
  }

  private func run(_ source: TokenSource, prefill: Duration, roundTrip: Double = 30) -> SimulationResult {
    let plan = SimulationPlan(
      settings: .wideArea(), targetCost: CostCurve(measured: [1: .milliseconds(100)]),
      workers: [
        SimulationPlan.Worker(
          cost: CostCurve(measured: [1: .milliseconds(20)]), prefillPerToken: prefill,
          link: LinkModel(roundTripMilliseconds: roundTrip))
      ])
    return Simulation.run(plan, source)
  }

  private func milliseconds(_ result: SimulationResult) -> Double {
    result.sessions.reduce(0) { $0 + Double($1.decodeTime) / 1e6 } / Double(result.statistics.tokens)
  }

  /// With 1,500 tokens at 9 ms a text of 256 tokens was over before the first guess. Now it is faster than plain
  /// decoding at 100 ms from its first steps on, if not as fast as where nothing has to be read.
  @Test func aLongContextIsOfUseFromItsFirstStepsOn() {
    let warm = milliseconds(run(source(prompt: 1500), prefill: .zero))
    let cold = milliseconds(run(source(prompt: 1500), prefill: .milliseconds(9)))
    #expect(warm < 45)
    #expect(cold > warm && cold < 75)
  }

  /// A text that long is not read to its end while its answer is written: it takes two of them until the third is warm.
  @Test func theThirdTextThatBeginsAlikeIsWarm() {
    let apart = run(source(prompt: 1500, texts: 3), prefill: .milliseconds(9))
    let alike = run(source(prompt: 1500, texts: 3, sharing: 1490), prefill: .milliseconds(9))
    #expect(alike.sessions[2].decodeTime < apart.sessions[2].decodeTime * 2 / 3)
  }

  /// What is read beside other tokens costs what a pass of that size costs, as far as those were measured, and never
  /// more than the two one after the other.
  @Test func readingRidesAlong() {
    func first(_ prompt: Int, sharing: Int = 0) -> [Int64] {
      var plan = SimulationPlan(
        settings: .plain,
        targetCost: CostCurve(
          measured: [1: .milliseconds(100), 16: .milliseconds(130), 32: .milliseconds(200)]))
      plan.targetPrefillPerToken = .milliseconds(10)
      return Simulation.run(plan, source(prompt: prompt, sharing: sharing)).sessions.map(\.timeToFirstToken)
    }
    #expect(first(1) == [100_000_000, 100_000_000])
    #expect(first(16) == [130_000_000, 130_000_000])
    #expect(first(132) == [1_200_000_000, 1_200_000_000])
    // The second prompt begins as the first did: only the rest is read.
    #expect(first(132, sharing: 116) == [1_200_000_000, 130_000_000])
  }

  @Test func runsAreTheSameEachTime() {
    let source = source(prompt: 700, texts: 3)
    let first = run(source, prefill: .milliseconds(5))
    let second = run(source, prefill: .milliseconds(5))
    #expect(first.elapsed == second.elapsed && first.statistics == second.statistics)
  }
}
