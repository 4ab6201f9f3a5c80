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

  @Test func theSecondTextThatBeginsAlikeIsWarm() {
    let apart = run(source(prompt: 1500), prefill: .milliseconds(9))
    let alike = run(source(prompt: 1500, sharing: 1490), prefill: .milliseconds(9))
    #expect(alike.sessions[1].decodeTime < apart.sessions[1].decodeTime * 9 / 10)
  }

  @Test func runsAreTheSameEachTime() {
    let source = source(prompt: 700, texts: 3)
    let first = run(source, prefill: .milliseconds(5))
    let second = run(source, prefill: .milliseconds(5))
    #expect(first.elapsed == second.elapsed && first.statistics == second.statistics)
  }
}
