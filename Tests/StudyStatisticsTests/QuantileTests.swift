import Simulator
import SplitMix
import StudyStatistics
import Testing

@Suite struct QuantileTests {
  @Test func quantilesAreMeasuredValues() {
    let values = (1...20).map(Double.init).shuffled()
    #expect(Quantile.of(values, 0.95) == 19)
    #expect(Quantile.of(values, 0.5) == 10)
    #expect(Quantile.of(values, 1) == 20)
    #expect(Quantile.of(values, 0) == 1)
    #expect(Quantile.of([], 0.5) == nil)
  }

  @Test func timeoutsCountAboveEverything() {
    let values = (1...94).map(Double.init) + Array(repeating: Double.infinity, count: 6)
    #expect(Quantile.of(values, 0.94) == 94)
    #expect(Quantile.of(values, 0.95) == .infinity)
  }

  @Test(arguments: [(0.5, 6), (0.9, 36), (0.95, 72), (0.99, 368)])
  func intervalsNeedALeastNumber(p: Double, count: Int) {
    #expect(Quantile.minimumCount(p) == count)
    var generator = SplitMix64(seed: 1)
    func interval(_ size: Int) -> ClosedRange<Double>? {
      let values = (0..<size).map { _ in Optional(generator.uniform()) }
      return BlockBootstrap(replicates: 99, blockLength: 1).quantile(
        p, of: SlotSeries(interval: 300, values: values), using: &generator)!.interval
    }
    #expect(interval(count - 1) == nil)
    // Dependence that chance shows in the sample may ask for more.
    #expect(interval(count * 4) != nil)
  }

  /// Replicates whose quantiles are found in the index must be those that sorting finds: whole bootstraps agree.
  @Test func theBootstrapAgreesWithSortedResamples() {
    for seed in UInt64(1)...40 {
      var draw = SplitMix64(seed: seed)
      let values = (0..<Int.random(in: 1...80, using: &draw)).map { _ -> Double? in
        draw.chance(0.2) ? nil : Double(Int.random(in: 0...9, using: &draw))
      }
      let length = Int.random(in: 1...8, using: &draw)
      let p = [0.1, 0.5, 0.9].randomElement(using: &draw)!
      let series = SlotSeries(interval: 60, values: values)
      let bootstrap = BlockBootstrap(replicates: 99, confidence: 0.5, blockLength: length)
      var one = SplitMix64(seed: seed)
      let estimate = bootstrap.quantile(p, of: series, using: &one)
      guard let interval = estimate?.interval else { continue }
      // The same draws, spelt out.
      var other = SplitMix64(seed: seed)
      var drawn: [Double] = []
      for _ in 0..<99 {
        var sample: [Double] = []
        var left = values.count
        while left > 0 {
          let take = min(min(length, values.count), left)
          let start = Int(other.next().multipliedFullWidth(by: UInt64(values.count)).high)
          for place in start..<start + take {
            if let value = values[place % values.count] { sample.append(value) }
          }
          left -= take
        }
        if let value = Quantile.of(sample, p) { drawn.append(value) }
      }
      #expect(drawn.contains(interval.lowerBound) && drawn.contains(interval.upperBound), "seed \(seed)")
      let inside = drawn.count { interval.contains($0) }
      #expect(Double(inside) >= 0.45 * Double(drawn.count), "seed \(seed)")
    }
  }

  /// Tables: Student's t and Fisher's F at 5%, Kolmogorov's distribution.
  @Test func distributionsAgreeWithTables() {
    #expect(abs(ReferenceDistribution.studentQuantile(0.975, freedom: 1) - 12.7062) < 1e-3)
    #expect(abs(ReferenceDistribution.studentQuantile(0.975, freedom: 27) - 2.0518) < 1e-3)
    #expect(abs(ReferenceDistribution.fisherTail(3.8853, 2, 12) - 0.05) < 1e-4)
    #expect(abs(ReferenceDistribution.fisherTail(5.7861, 2, 5) - 0.05) < 1e-4)
    #expect(abs(ReferenceDistribution.kolmogorovTail(1.3581) - 0.05) < 1e-4)
    #expect(abs(ReferenceDistribution.kolmogorovTail(1.6276) - 0.01) < 1e-4)
    #expect(abs(ReferenceDistribution.normal(1.959964) - 0.975) < 1e-6)
  }
}
