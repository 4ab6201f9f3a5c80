import Simulator
import SplitMix
import StudyStatistics
import Testing

/// Whether intervals hold the truth as often as they say, on series whose truth is known.
@Suite struct IntervalTests {
  /// The goal is 88% on series with a correlation of an hour; independent ones must come close to the nominal 95%.
  @Test(arguments: [(0.0, 0.5, 0.92), (0, 0.95, 0.92), (3600, 0.5, 0.88), (3600, 0.95, 0.88)])
  func quantileIntervalsCoverTheTruth(correlation: Double, p: Double, least: Double) {
    let truth = SimulatedSeries(correlation: correlation)
    let coverage = share(of: 400) { seed in
      var generator = SplitMix64(seed: seed &+ 1_000_000)
      let estimate = BlockBootstrap(replicates: 299).quantile(
        p, of: truth.draw(seed: seed), using: &generator)
      return estimate?.interval?.contains(truth.truth(p)) == true
    }
    print("p\(Int(p * 100)), correlation \(Int(correlation)) s: the interval covers \(coverage)")
    #expect(coverage >= least)
    // An interval that always covers says nothing.
    #expect(coverage < 0.995)
  }

  @Test func gapsAndTimeoutsDoNotBreakCoverage() {
    let truth = SimulatedSeries(missed: 0.2, timeout: 1.2)
    let coverage = share(of: 300) { seed in
      var generator = SplitMix64(seed: seed &+ 1_000_000)
      let estimate = BlockBootstrap(replicates: 299).quantile(
        0.5, of: truth.draw(seed: seed), using: &generator)
      return estimate?.interval?.contains(truth.truth(0.5)) == true
    }
    print("a fifth missed: covers \(coverage)")
    #expect(coverage >= 0.88)
  }

  /// Two regions disturbed by the same weather: pairing must not lose coverage.
  @Test func differencesCoverTheTruth() {
    let model = SimulatedSeries()
    let coverage = share(of: 300) { seed in
      let first = model.draw(seed: seed)
      let other = SimulatedSeries(sigma: 0.2).draw(seed: seed &+ 500_000)
      // The second shares the first's noise, and is half again as slow.
      let second = SlotSeries(
        interval: first.interval, values: zip(first.values, other.values).map { $0! * $1! / 0.4 * 1.5 })
      var generator = SplitMix64(seed: seed &+ 1_000_000)
      let estimate = BlockBootstrap(replicates: 299).difference(
        0.5, of: second, less: first, using: &generator)
      return estimate?.interval?.contains(model.median * 1.5 - model.median) == true
    }
    print("difference of medians: covers \(coverage)")
    #expect(coverage >= 0.88 && coverage < 0.995)
  }

  @Test func anEffectiveSizeFollowsFromTheCorrelation() {
    var generator = SplitMix64(seed: 1)
    let bootstrap = BlockBootstrap(replicates: 99)
    let independent = bootstrap.quantile(
      0.5, of: SimulatedSeries(correlation: 0).draw(seed: 3), using: &generator)!
    let dependent = bootstrap.quantile(0.5, of: SimulatedSeries().draw(seed: 3), using: &generator)!
    #expect(independent.effectiveCount > 1200)
    // A Gaussian series' integrated time is 24 slots; that of its signs about 17.
    #expect((50...250).contains(dependent.effectiveCount))
    #expect(dependent.blockLength > 20 && independent.blockLength < 10)
  }

  private func share(of count: Int, _ body: (UInt64) -> Bool) -> Double {
    Double((1...UInt64(count)).count { body($0) }) / Double(count)
  }
}
