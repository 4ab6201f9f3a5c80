import Simulator
import SpeculationCore
import SpeculationTesting
import SplitMix
import Testing

@Suite struct CostCurveTests {
  private let curve = CostCurve(measured: [1: .milliseconds(10), 4: .milliseconds(16), 8: .milliseconds(32)])

  @Test func knowsNothingAtFirst() {
    #expect(!CostCurve().isKnown && CostCurve().seconds(for: 3) == nil && CostCurve().points.isEmpty)
    let ignored = CostCurve(measured: [0: .seconds(1), -2: .seconds(1), 3: .zero])
    #expect(!ignored.isKnown)
  }

  @Test(arguments: [(0, 10.0), (1, 10), (2, 12), (3, 14), (4, 16), (6, 24), (8, 32), (15, 54)])
  func interpolates(_ size: Int, _ milliseconds: Double) {
    #expect(abs(curve.seconds(for: size)! * 1000 - milliseconds) < 1e-6)
  }

  @Test func startsFromAnObservation() {
    var curve = CostCurve()
    curve.observe(size: 3, duration: .milliseconds(7))
    #expect(curve.seconds(for: 100) == 0.007)
    curve.observe(size: 0, duration: .seconds(1))
    curve.observe(size: 3, duration: .zero)
    #expect(curve.seconds(for: 3) == 0.007)
  }

  @Test func converges() {
    var curve = curve
    for _ in 0..<300 {
      for size in [1, 2, 4, 8] { curve.observe(size: size, duration: .milliseconds(20 + 5 * size)) }
    }
    for size in [1, 2, 4, 8] { #expect(abs(curve.seconds(for: size)! * 1000 - Double(20 + 5 * size)) < 2) }
  }

  @Test func oneSlowPassMovesItLittle() {
    var disturbed = curve
    disturbed.observe(size: 4, duration: .seconds(60))
    for size in 1...10 {
      let ratio = disturbed.seconds(for: size)! / curve.seconds(for: size)!
      #expect(ratio >= 1 && ratio < 1.11)
    }
    var prefilled = curve
    prefilled.observe(size: 500, duration: .seconds(3))
    #expect(prefilled == curve)
  }

  /// A pass over more tokens never takes less: the point that says so was measured at a bad moment.
  @Test func aPointAboveALaterOneIsLowered() {
    var curve = CostCurve(measured: [1: .milliseconds(280), 2: .milliseconds(195), 4: .milliseconds(250)])
    #expect(curve.seconds(for: 1) == 0.195)
    for _ in 0..<200 { curve.observe(size: 2, duration: .milliseconds(100)) }
    #expect(abs(curve.seconds(for: 2)! - 0.1) < 0.001 && curve.seconds(for: 1)! <= curve.seconds(for: 2)!)
  }

  /// Whatever is observed, times stay positive and finite, and the table bounded.
  @Test func staysSane() throws {
    try forEachSeed(count: 100) { seed in
      var random = SplitMix64(seed: seed)
      var curve = CostCurve()
      for _ in 0..<400 {
        curve.observe(
          size: Int.random(in: -2...300, using: &random), duration: random.duration(.zero...(.seconds(2))))
        let seconds = curve.seconds(for: Int.random(in: 1...500, using: &random)) ?? 1
        if !(seconds > 0 && seconds.isFinite) { throw CheckFailure("a pass takes \(seconds) s") }
      }
      if curve.points.count > 64 { throw CheckFailure("\(curve.points.count) points") }
      if curve.points.map(\.duration) != curve.points.map(\.duration).sorted() {
        throw CheckFailure("falls with the size")
      }
      if curve.points.map(\.size) != curve.points.map(\.size).sorted() { throw CheckFailure("out of order") }
    }
  }
}

@Suite struct MatchEstimatorTests {
  @Test func startsAtTheDraftsOwnWord() {
    let estimator = MatchEstimator()
    for confidence: Float in [0.01, 0.3, 0.5, 0.99] {
      #expect(abs(estimator.probability(confidence: confidence) - confidence) < 1e-6)
    }
    #expect(estimator.probability(confidence: 0) > 0 && estimator.probability(confidence: 1) < 1)
  }

  @Test(arguments: [0.05, 0.5, 0.95])
  func learnsTheTruth(_ truth: Double) {
    var estimator = MatchEstimator()
    var random = SplitMix64(seed: 1)
    for _ in 0..<5000 { estimator.observe(confidence: 0.75, matched: random.chance(truth)) }
    #expect(abs(Double(estimator.probability(confidence: 0.75)) - truth) < 0.05)
    // Other confidences are not touched.
    #expect(abs(estimator.probability(confidence: 0.35) - 0.35) < 1e-6)
  }

  @Test func forgets() {
    var estimator = MatchEstimator()
    for _ in 0..<20_000 { estimator.observe(confidence: 0.75, matched: true) }
    for _ in 0..<10_000 { estimator.observe(confidence: 0.75, matched: false) }
    #expect(estimator.probability(confidence: 0.75) < 0.1)
  }

  @Test func staysAProbability() throws {
    try forEachSeed(count: 100) { seed in
      var random = SplitMix64(seed: seed)
      var estimator = MatchEstimator(priorWeight: 1, memory: 10)
      for _ in 0..<300 {
        estimator.observe(confidence: Float(random.uniform()), matched: random.chance(0.5))
        let confidence = Float(random.uniform())
        let probability = estimator.probability(confidence: confidence)
        if !(0.0005...0.9995).contains(probability) {
          throw CheckFailure("\(confidence) gives \(probability)")
        }
      }
    }
  }
}

@Suite struct RoundTripEstimatorTests {
  /// The worked rules of RFC 6298, section 2.
  @Test func followsTheStandard() {
    var estimator = RoundTripEstimator()
    #expect(estimator.smoothed == nil && estimator.minimum == nil)
    estimator.observe(.milliseconds(100))
    #expect(estimator.smoothed == .milliseconds(100) && estimator.deviation == .milliseconds(50))
    estimator.observe(.milliseconds(180))
    #expect(estimator.deviation == .microseconds(57_500))
    #expect(estimator.smoothed == .milliseconds(110))
    #expect(estimator.minimum == .milliseconds(100))
    let before = estimator
    estimator.observe(.milliseconds(-1))
    #expect(estimator == before)
  }

  @Test func settlesBetweenTheExtremes() throws {
    try forEachSeed(count: 100) { seed in
      var random = SplitMix64(seed: seed)
      var estimator = RoundTripEstimator()
      for _ in 0..<200 {
        estimator.observe(random.duration(.milliseconds(40)...(.milliseconds(60))))
        let smoothed = estimator.smoothed!
        if smoothed < .milliseconds(40) || smoothed > .milliseconds(60) { throw CheckFailure("\(smoothed)") }
        if estimator.minimum! > smoothed || estimator.deviation < .zero { throw CheckFailure("\(estimator)") }
      }
    }
  }
}

@Suite struct DraftWidthTests {
  private let processor = CostCurve(measured: [
    1: .milliseconds(30), 2: .milliseconds(42), 4: .milliseconds(55), 8: .milliseconds(114),
  ])
  private let frontier = [0.7, 0.6, 0.5, 0.45, 0.4, 0.35, 0.3, 0.25]

  private func width(_ cost: CostCurve, surprises: Double) -> Int {
    DraftLimits(passWidth: 8).width(
      probabilities: frontier, cost: cost, continuation: 0.5, surprises: surprises)
  }

  /// A pass that takes as long whatever its width keeps nobody waiting longer.
  @Test func flatPassesAreAlwaysFull() {
    let flat = CostCurve(measured: [1: .milliseconds(5)])
    for surprises in [0, 1, 10, 1000.0] { #expect(width(flat, surprises: surprises) == 8) }
  }

  /// The more often news has to wait for the end of a pass, the shorter it should be.
  @Test func newsThatWaitsMakesPassesNarrower() {
    let widths = [0, 1, 2, 4, 8, 1000.0].map { width(processor, surprises: $0) }
    #expect(widths == widths.sorted(by: >))
    #expect(widths.first! >= 4 && widths.last! == 1)
  }
}

@Suite struct SurpriseRateTests {
  @Test func isSurprisesOverDraftingTime() {
    var rate = SurpriseRate()
    #expect(rate.perSecond == 0)
    rate.committed(isSurprise: true)
    #expect(rate.perSecond == 0)
    // Every other commit of one each 100 ms.
    for turn in 0..<1000 {
      rate.drafted(seconds: 0.1)
      rate.committed(isSurprise: turn % 2 == 0)
    }
    #expect(abs(rate.perSecond - 5) < 0.5)
    // And it follows: from now on none.
    for _ in 0..<200 {
      rate.drafted(seconds: 0.1)
      rate.committed(isSurprise: false)
    }
    #expect(rate.perSecond < 0.05)
  }
}
