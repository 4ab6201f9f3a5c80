import Foundation
import Placement
import Simulator
import SplitMix
import StudyAnalysis
import Testing

@Suite struct PlanHourTests {
  static let sites = """
    sites:
    - {region: us-east-1, controller: true}
    - {region: us-east-2, worker: true}
    - {region: ap-south-1, worker: true}

    """

  /// Probes from one end of a link to the other, four slots an hour.
  ///
  /// - Parameters:
  ///   - first: hours since 1970
  ///   - roundTrip: seconds in an hour of the day; nil: none was measured
  static func study(
    _ source: String, _ target: String, first: Int = 490_000 / 24 * 24, days: Int = 2, perHour: Int = 4,
    handshakesOnly: Bool = false, roundTrip: (Int) -> Double?
  ) -> StudyData {
    let slots = first * perHour..<(first + 24 * days) * perHour
    var data = StudyData(
      name: "known", fingerprint: "", slotLength: 3600 / Double(perHour), slots: slots, emulated: nil,
      timeout: 60,
      sources: [Region.known[source]!], targets: [.init(name: "model", region: Region.known[target]!)])
    var pair = StudyData.Pair(source: 0, target: 0)
    for slot in slots {
      guard let time = roundTrip(Int(data.hour(of: slot))) else { continue }
      var probe = StudyData.Probe()
      // One in four is far off, which a median does not mind.
      let measured = slot % 4 == 0 ? time * 3 : time
      if handshakesOnly { probe.connect = measured } else { probe.roundTrip = measured }
      pair.append(slot: slot, probe)
    }
    data.pairs = [pair]
    return data
  }

  @Test(arguments: [(false, false), (true, false), (false, true)])
  func takesAStudysRoundTripsByHour(reversed: Bool, handshakesOnly: Bool) async throws {
    func time(_ hour: Int) -> Double { hour < 12 ? 0.0101 : 0.2498 }
    let study =
      reversed
      ? Self.study("us-east-1", "us-east-2", handshakesOnly: handshakesOnly, roundTrip: time)
      : Self.study("us-east-2", "us-east-1", handshakesOnly: handshakesOnly, roundTrip: time)
    let result = try await Plans.result(Self.sites, study: study)
    let pair = try #require(result.pair("us-east-1", "us-east-2"))
    #expect(pair.origin == .study && pair.hours.map(\.hour) == Array(0..<24))
    #expect(pair.hours.map(\.roundTripMilliseconds) == (0..<24).map { $0 < 12 ? 10 : 250 })
    #expect(pair.slowHours == Array(12..<24))
    #expect(pair.hours[3].millisecondsPerToken == pair.hours[4].millisecondsPerToken)
    #expect(pair.hours[3].millisecondsPerToken < pair.hours[13].millisecondsPerToken)
    let mean = (pair.hours[0].millisecondsPerToken + pair.hours[12].millisecondsPerToken) / 2
    #expect(abs(pair.millisecondsPerToken - mean) < 1e-9)
    #expect(abs(pair.ratio - pair.localMillisecondsPerToken / pair.millisecondsPerToken) < 1e-9)
    // Two round trips, the third pair's guess from its distance, ten baselines.
    #expect(result.simulations == 2 + 1 + 10)
    #expect(result.pair("us-east-1", "ap-south-1")?.origin == .distance)
  }

  @Test func hoursWithFewProbesHaveTheDays() async throws {
    // One day has four probes an hour, and a median's interval needs six.
    let result = try await Plans.result(
      Self.sites, study: Self.study("us-east-1", "us-east-2", days: 1) { $0 < 6 ? 0.2 : 0.05 })
    let pair = try #require(result.pair("us-east-1", "us-east-2"))
    #expect(pair.hours.count == 1 && pair.hours[0].hour == nil && pair.roundTripMilliseconds == 50)
    let hole = try await Plans.result(
      Self.sites, study: Self.study("us-east-1", "us-east-2") { $0 == 7 ? nil : $0 < 6 ? 0.2 : 0.05 })
    let gap = try #require(hole.pair("us-east-1", "us-east-2"))
    #expect(gap.hours.map(\.roundTripMilliseconds) == (0..<24).map { $0 < 6 ? 200 : 50 })
  }

  /// What light could not do is not planned with: the distance is guessed, and the plan says why.
  @Test func whatCannotBeTrueIsNotUsed() async throws {
    let result = try await Plans.result(
      Self.sites.replacing("us-east-2", with: "eu-west-2"),
      study: Self.study("us-east-1", "eu-west-2") { _ in 0.0001 })
    let pair = try #require(result.pair("us-east-1", "eu-west-2"))
    #expect(pair.origin == .distance && pair.roundTripMilliseconds > 58)
    let refused = try #require(result.falseRoundTrips.first)
    #expect(result.falseRoundTrips.count == 1)
    #expect(refused.source == "us-east-1" && refused.region == "eu-west-2")
    #expect(abs(refused.milliseconds - 0.1) < 0.01 && abs(refused.shortestPossibleMilliseconds - 58) < 1)
    // Between sites that the plan has not, it is no matter.
    let other = try await Plans.result(
      Self.sites.replacing("us-east-2", with: "eu-west-2"),
      study: Self.study("us-east-1", "eu-north-1") { _ in 0.0001 })
    #expect(other.falseRoundTrips.isEmpty)
  }

  @Test func whatIsGivenGoesAhead() async throws {
    let result = try await Plans.result(
      Self.sites + "rtt: {us-east-2: {us-east-1: 70ms}}",
      study: Self.study("us-east-1", "us-east-2") { _ in 0.02 })
    let pair = try #require(result.pair("us-east-1", "us-east-2"))
    #expect(pair.origin == .given && pair.roundTripMilliseconds == 70)
  }

  /// Berlin's nine to five, in winter and in summer; half an hour counts by its middle.
  @Test(arguments: [
    ("eu-central-1", nil, 8, 16), ("eu-central-1", 1_783_944_000, 7, 15), ("ap-south-1", nil, 3, 11),
    ("us-west-2", nil, 17, 25),
  ])
  func busyHoursAreLocal(region: String, seconds: Int?, first: Int, end: Int) async throws {
    let study = seconds.map {
      Self.study("us-east-2", "eu-north-1", first: $0 / 86_400 * 24) { _ in 0.1 }
    }
    let result = try await Plans.result(
      """
      sites:
      - {region: \(region), controller: true, busy: [{from: 9, to: 17, target: 2}]}
      - {region: eu-west-2, worker: true}
      rtt: {\(region): {eu-west-2: 40ms}}
      """, study: study)
    let pair = try #require(result.pairs.first)
    let busy = Set((first..<end).map { $0 % 24 })
    #expect(pair.hours.map(\.plainMillisecondsPerToken) == (0..<24).map { busy.contains($0) ? 80 : 40 })
    #expect(result.simulations == 2 * (10 + 1))
  }

  @Test func aBusyWorkerIsTheWorkersMatter() async throws {
    let result = try await Plans.result(
      """
      sites:
      - {region: us-east-1, controller: true}
      - {region: eu-west-2, worker: true, busy: [{from: 22, to: 6, draft: 4}]}
      rtt: {us-east-1: {eu-west-2: 40ms}}
      """)
    let pair = try #require(result.pairs.first)
    let slow = (0..<24).filter { $0 >= 22 || $0 < 6 }
    let quick = pair.hours[12].millisecondsPerToken
    #expect(pair.hours.filter { $0.millisecondsPerToken > quick }.compactMap(\.hour) == slow)
    #expect(Set(pair.hours.map(\.localMillisecondsPerToken)).count == 1)
  }

  /// The interval holds the true ratio about as often as it says.
  @Test func ratiosHaveIntervals() throws {
    var random = SplitMix64(seed: 7)
    var held = 0
    let trials = 2000
    for _ in 0..<trials {
      var numerators: [Double] = []
      var denominators: [Double] = []
      for _ in 0..<12 {
        let length = 50 + 100 * random.uniform()
        denominators.append(length)
        numerators.append(length * (0.9 + 0.4 * random.uniform()))
      }
      let interval = try #require(RatioEstimate(numerators, denominators).interval)
      if interval.contains(1.1) { held += 1 }
    }
    #expect((0.93...0.97).contains(Double(held) / Double(trials)), "\(held)")
    #expect(RatioEstimate([2, 4], [1, 2]).interval == nil && RatioEstimate([2, 4], [1, 2]).value == 2)
    let exact = RatioEstimate(Array(repeating: 3, count: 8), Array(repeating: 2, count: 8))
    #expect(exact.value == 1.5 && exact.interval == 1.5...1.5)
  }
}
