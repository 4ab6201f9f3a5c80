import Simulator
import StudyStatistics
import Testing

/// Daily patterns, changes of level, the network's share.
@Suite struct PatternTests {
  /// Nominal 5%; a plain cosinor regression alarms in more than half of such series.
  @Test(arguments: [(0.0, 0.5), (3600.0, 0.5), (3600.0, 1.2), (14_400.0, 0.5)])
  func theDiurnalTestKeepsItsFalseAlarmRate(correlation: Double, sigma: Double) {
    let model = SimulatedSeries(sigma: sigma, correlation: correlation)
    let alarms = share(of: 600) { DiurnalTest(model.draw(seed: $0))!.pValue < 0.05 }
    print("false alarms, correlation \(Int(correlation)) s, sigma \(sigma): \(alarms)")
    #expect(alarms <= 0.08)
  }

  @Test func theDiurnalTestFindsAWaveOfThirtyPercent() {
    // Noise of a third, all of it with a memory of an hour; with a half, which no test of seven days can beat at this
    // level, it finds three waves in four.
    let model = SimulatedSeries(sigma: 0.35, amplitude: 0.3, missed: 0.05)
    var covered = 0
    var hours = 0
    let power = share(of: 400) {
      let test = DiurnalTest(model.draw(seed: $0))!
      if test.amplitudeInterval.contains(0.3) { covered += 1 }
      if abs(test.peakHour - 15) < 3 { hours += 1 }
      return test.pValue < 0.05
    }
    print(
      "power at 30%: \(power), amplitude covered \(Double(covered) / 400), peak hour \(Double(hours) / 400)")
    #expect(power >= 0.9)
    #expect(Double(covered) / 400 >= 0.88)
    #expect(Double(hours) / 400 >= 0.95)
  }

  @Test func sixDaysAreTooFewForAPattern() {
    #expect(DiurnalTest(SimulatedSeries(days: 6).draw(seed: 1)) == nil)
    #expect(DiurnalTest(SimulatedSeries(missed: 0.5).draw(seed: 1)) == nil)
  }

  @Test func manyTestsKeepTheShareOfFalseDiscoveries() {
    #expect(DiurnalTest.discoveries([0.001, 0.02, 0.03, 0.9]) == [true, true, true, false])
    #expect(DiurnalTest.discoveries([0.04, 0.04, 0.9, 0.9]) == [false, false, false, false])
    #expect(DiurnalTest.discoveries([]) == [])
  }

  @Test func changesAreFoundWhereTheyAre() {
    let model = SimulatedSeries(sigma: 0.3, amplitude: 0.3, change: (slot: 1200, factor: 1.6))
    let found = share(of: 200) {
      let changes = ChangePoint.find(in: model.draw(seed: $0))
      return changes.contains { abs($0.slot - 1200) <= 144 && (1.3...2).contains($0.after / $0.before) }
    }
    print("changes by 1.6 found within 12 h: \(found)")
    #expect(found >= 0.9)
  }

  @Test func aDailyPatternIsNoChange() {
    let model = SimulatedSeries(sigma: 0.3, amplitude: 0.5)
    let alarms = share(of: 200) { !ChangePoint.find(in: model.draw(seed: $0)).isEmpty }
    print("changes found where there are none: \(alarms)")
    #expect(alarms <= 0.05)
  }

  @Test func theNetworksShareIsSplitFromTheService() {
    typealias Probe = NetworkShare.Probe
    let far = (0..<100).map { i in
      Probe(nameLookup: 0, connect: 0.1, handshake: 0.1, request: 0.3 + Double(i % 10) / 100, roundTrip: 0.1)
    }
    let share = NetworkShare(far)!
    #expect(abs(share.ofCold - 0.3 / 0.545) < 1e-9)
    #expect(abs(share.ofRequest - 0.1 / 0.345) < 1e-9)
    // The network is constant: it explains nothing of the variation.
    #expect(share.ofVariation == 0)
    let driven = (0..<100).map { i in
      Probe(nameLookup: 0, connect: 0.01 * Double(i), handshake: 0, request: 0.2 + 0.01 * Double(i))
    }
    #expect(NetworkShare(driven)!.ofVariation > 0.999)
    #expect(NetworkShare([]) == nil)
  }

  private func share(of count: Int, _ body: (UInt64) -> Bool) -> Double {
    Double((1...UInt64(count)).count { body($0) }) / Double(count)
  }
}
