import Simulator
import SpeculationCore
import Testing
import WideArea

/// Workers that keep to the protocol and mean no good: how much of the speed they can take, alone and beside an honest one.
struct LyingWorkerTests {
  /// Guesses cost the target something, as on a CPU.
  static let target = CostCurve(measured: [
    1: .milliseconds(30), 2: .milliseconds(34), 4: .milliseconds(42), 8: .milliseconds(60),
    16: .milliseconds(100),
  ])
  static let plain = 30.0

  static let lies: [Deceit] = [
    .wrongGuesses(after: 0), .wrongGuesses(after: 2_000), .wrongByTurns(50), .wrongByTurns(400),
    .buriedGuesses, .hedgedGuesses(3), .hedgedGuesses(15),
    .silence(after: 0), .silence(after: 500), .lateAnswers(.milliseconds(300)), .lateAnswers(.seconds(30)),
  ]

  /// The liar is nearer and says that it is faster than the honest ones, who are 30 ms away.
  static func plan(_ lie: Deceit?, honest: Int, sessions: Int = 2) -> SimulationPlan {
    var workers = (0..<honest).map { _ in
      SimulationPlan.Worker(
        cost: CostCurve(measured: [1: .milliseconds(5), 8: .milliseconds(8)]),
        link: LinkModel(roundTripMilliseconds: 30))
    }
    if let lie {
      var liar = SimulationPlan.Worker(
        cost: CostCurve(measured: [1: .milliseconds(1)]), link: LinkModel(roundTripMilliseconds: 1))
      liar.deceit = lie
      workers.insert(liar, at: 0)
    }
    return SimulationPlan(
      settings: .wideArea(), targetCost: Self.target, workers: workers, sessions: sessions,
      sharesTarget: false)
  }

  static func millisecondsPerToken(_ plan: SimulationPlan, texts: Int = 6, length: Int = 800) -> Double {
    let chain = MatchChain(afterHit: 0.9, afterMiss: 0.7)
    return Simulation.run(plan, TokenSource(chain, texts: texts, length: length, seed: 5))
      .millisecondsPerToken
  }

  @Test(arguments: lies) func aloneItCostsHardlyMoreThanDecodingPlainly(lie: Deceit) {
    let time = Self.millisecondsPerToken(Self.plan(lie, honest: 0))
    #expect(time < 1.05 * Self.plain)
  }

  @Test(arguments: lies) func besideAnHonestOneItTakesHardlyAnything(lie: Deceit) {
    let time = Self.millisecondsPerToken(Self.plan(lie, honest: 1))
    // Who names four tokens as alike, one of them right, seems of use to placement; it costs no more than alone.
    #expect(time < (lie == .hedgedGuesses(3) ? 1.05 : 1) * Self.plain)
  }
}
