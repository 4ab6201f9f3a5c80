import Foundation
import Simulator
import SplitMix
import StudyAnalysis
import Testing

/// Studies whose truth is known: log-normal times with a memory of an hour.
struct SimulatedStudy {
  var days = 7
  /// Slots in an hour.
  var perHour = 6
  /// For each source and target: level in seconds, relative height of the daily wave (peak at 15:00 UTC), factor from
  /// half of the study on, share of failures.
  var pairs: [(source: String, target: String, level: Double, wave: Double, change: Double, failures: Double)]
  var seed: UInt64 = 1
  /// Seconds of a round trip; nil: what the distance makes likely.
  var roundTrip: Double?
  /// Hours since 1970, whole days.
  var firstHour: Int?
  /// Local to the target, of the wave; nil: 15:00 UTC.
  var localPeak: Double?

  func data() -> StudyData {
    let sources = unique(pairs.map(\.source))
    let targets = unique(pairs.map(\.target))
    let first = firstHour.map { $0 * perHour } ?? 2_920_000 * perHour / 6
    let slots = first..<first + days * 24 * perHour
    var data = StudyData(
      name: "simulated", fingerprint: "", slotLength: 3600 / Double(perHour), slots: slots, emulated: nil,
      timeout: 60,
      sources: sources.compactMap { Region.known[$0] },
      targets: targets.compactMap { name in
        Region.known[name].map { StudyData.Target(name: name, region: $0) }
      })
    data.clockAge = 60
    var random = SplitMix64(seed: seed)
    func gaussian() -> Double {
      let (a, b) = (
        Double.random(in: Double.leastNonzeroMagnitude...1, using: &random),
        Double.random(in: 0...1, using: &random)
      )
      return (-2 * log(a)).squareRoot() * cos(2 * .pi * b)
    }
    for each in pairs {
      let (source, target) = (Region.known[each.source]!, Region.known[each.target]!)
      let near = roundTrip ?? source.typicalRoundTrip(to: target) / .seconds(1)
      var pair = StudyData.Pair(
        source: sources.firstIndex(of: each.source)!, target: targets.firstIndex(of: each.target)!)
      let memory = exp(-1 / Double(perHour))
      var state = gaussian()
      for slot in slots {
        state = memory * state + (1 - memory * memory).squareRoot() * gaussian()
        let peak = localPeak.map { $0 - target.utcOffset(at: data.date(of: slot)) } ?? 15
        let wave = log(1 + each.wave * cos((data.hour(of: slot) - peak) / 24 * 2 * .pi))
        let change = slot >= slots.lowerBound + slots.count / 2 ? each.change : 1
        var probe = StudyData.Probe()
        probe.requestTTFT = each.level * exp(0.25 * state + wave) * change
        if Double.random(in: 0..<1, using: &random) < each.failures {
          probe.requestTTFT = .infinity
        } else {
          probe.connect = near
        }
        probe.coldTTFT = probe.requestTTFT + 0.01
        pair.append(slot: slot, probe)
      }
      data.pairs.append(pair)
      data.sent += slots.count
    }
    return data
  }

  private func unique(_ names: [String]) -> [String] {
    names.reduce(into: []) { if !$0.contains($1) { $0.append($1) } }
  }
}

@Suite struct StudyAnalysisTests {
  private func summary(_ study: SimulatedStudy) async -> StudySummary {
    await StudySummary.make(study.data())
  }

  /// A busy region beside a quiet one that is farther away: the tail, the day, and nothing else.
  @Test func whatIsThereIsFound() async throws {
    let summary = await summary(
      SimulatedStudy(
        pairs: [
          ("eu-west-2", "eu-west-2", 0.4, 0.7, 1, 0), ("eu-west-2", "ap-south-1", 0.35, 0, 1, 0),
          ("us-east-1", "eu-west-2", 0.5, 0.7, 1, 0), ("us-east-1", "ap-south-1", 0.5, 0, 1, 0.1),
        ], seed: 3))
    let pair = try #require(summary.pair(source: 0, target: 0))
    #expect(pair.isIntra)
    #expect(pair.count == 1008)
    #expect(try #require(pair.p50.interval).contains(0.36))
    let daily = try #require(pair.daily)
    #expect(daily.isDiscovery)
    #expect(abs(daily.test.peakHour - 15) < 1.5)
    #expect(summary.pair(source: 0, target: 1)?.daily?.isDiscovery == false)

    let comparison = try #require(summary.comparisons.first)
    #expect(summary.comparisons.count == 1)
    #expect(comparison.isDiscovery)
    let days = try #require(comparison.ofDays)
    #expect(days.mean < -0.1 && days.interval.upperBound < 0)
    #expect((8...16).contains(comparison.lowerHours))
    #expect(try #require(comparison.lowerHoursInterval).contains(comparison.lowerHours))

    let findings = summary.findings
    #expect(findings.map(\.topic) == [.tails, .daily, .daily, .network, .failures], "\(findings)")
    #expect(
      findings[0].sentence.hasPrefix("ap-south-1 from eu-west-2 has a lower p90 than eu-west-2 itself in "))
    #expect(findings[1].sentence.hasPrefix("eu-west-2 breathes with the day, seen from 2 of 2 sources"))
    #expect(findings[2].sentence.hasPrefix("No daily pattern was found in ap-south-1"))
    #expect(findings[4].sentence.contains("of the probes of ap-south-1 from us-east-1 brought no text"))
    // A tenth failed: its p95 is not known.
    #expect(summary.pair(source: 1, target: 1)?.p95.value == .infinity)
  }

  @Test func aChangeIsSeenFromAllSources() async throws {
    let summary = await summary(
      SimulatedStudy(pairs: [
        ("eu-west-2", "ap-south-1", 0.4, 0, 1.6, 0), ("us-east-1", "ap-south-1", 0.5, 0, 1.6, 0),
        ("eu-west-2", "eu-west-1", 0.4, 0, 1, 0), ("us-east-1", "eu-west-1", 0.5, 0, 1, 0),
      ]))
    let changes = summary.findings.filter { $0.topic == .changes }
    #expect(changes.count == 1)
    #expect(changes[0].sentence.contains("ap-south-1 changed for good"))
    #expect(changes[0].sentence.contains("2 of 2 sources"))
  }

  // MARK: Round trips that cannot be true

  private static let atlantic = SimulatedStudy(
    pairs: [
      ("eu-west-2", "eu-west-2", 0.4, 0, 1, 0), ("eu-west-2", "us-east-1", 0.4, 0, 1, 0),
      ("us-east-1", "eu-west-2", 0.4, 0, 1, 0), ("us-east-1", "us-east-1", 0.4, 0, 1, 0),
    ])

  @Test func lightNeedsItsTime() throws {
    let (london, virginia) = (Region.known["eu-west-2"]!, Region.known["us-east-1"]!)
    // 5,920 km, of which 100 are not counted.
    #expect(abs(london.shortestRoundTrip(to: virginia) - 0.0582) < 0.0005)
    #expect(london.shortestRoundTrip(to: london) == 0)
    for source in Region.known.values {
      for target in Region.known.values {
        #expect(source.shortestRoundTrip(to: target) <= source.typicalRoundTrip(to: target) / .seconds(1))
      }
    }
  }

  /// An emulator that delays no packet: 0.1 ms across the Atlantic. Nothing is said of the network, not even of the pairs
  /// within a region, which might be as near.
  @Test func anEmulatorWithoutANetworkHasNoShareOfIt() async throws {
    var study = Self.atlantic
    study.roundTrip = 0.0001
    var data = study.data()
    data.emulated = "short"
    let summary = await StudySummary.make(data)
    #expect(!summary.findings.contains { $0.topic == .network })
    #expect(summary.pairs.allSatisfy { $0.network == nil })
    let finding = try #require(summary.findings.first { $0.topic == .roundTrips })
    #expect(finding.figure == "4 of 4")
    #expect(finding.sentence.contains("0.1 ms, where light in fibre needs 58 ms"), "\(finding.sentence)")
  }

  /// Behind the edge of a content network one target is too near, and the others are what they are.
  @Test func aTargetThatAnswersFromTooNearIsNamed() async throws {
    var data = Self.atlantic.data()
    #expect(!(await StudySummary.make(data)).findings.contains { $0.topic == .roundTrips })
    var edge = StudyData.Pair(source: 0, target: 1)
    for (index, slot) in data.pairs[1].slots.enumerated() {
      var probe = StudyData.Probe()
      probe.requestTTFT = data.pairs[1].requestTTFT[index]
      probe.connect = 0.08
      // One in ten came from the edge.
      probe.roundTrip = index % 10 == 0 ? 0.002 : 0.08
      edge.append(slot: Int(slot), probe)
    }
    data.pairs[1] = edge
    let summary = await StudySummary.make(data)
    #expect(summary.findings.first?.topic == .roundTrips && summary.findings[0].figure == "1 of 4")
    #expect(summary.pairs.map { $0.network == nil } == [false, true, false, false])
    let network = try #require(summary.findings.first { $0.topic == .network })
    #expect(network.sentence.contains("the median pair whose round trips can be true"))
  }

  // MARK: Summer time

  /// A fortnight around the last Sunday of March: hours are UTC, and what they are in London is said of its middle.
  @Test func localHoursAreThoseOfTheMiddle() async throws {
    // 2026-03-26 to 2026-04-09: three days before the change, eleven after it.
    var study = SimulatedStudy(days: 14, pairs: [("us-east-1", "eu-west-2", 0.4, 0.7, 1, 0)])
    study.firstHour = 20_538 * 24
    study.localPeak = 14
    let summary = await summary(study)
    let daily = try #require(summary.findings.first { $0.topic == .daily })
    let clock = try #require(daily.sentence.firstMatch(of: /highest at (\d+):\d\d UTC, (\d+):\d\d there/))
    #expect(Int(clock.2)! == Int(clock.1)! + 1 && (13...14).contains(Int(clock.2)!), "\(daily.sentence)")
    let change = try #require(summary.findings.first { $0.figure == "summer time" })
    #expect(
      change.sentence.contains("in eu-west-2") && change.sentence.contains("2026-04-02"), "\(change.sentence)"
    )
    // January has none.
    #expect(!(await self.summary(Self.atlantic)).findings.contains { $0.figure == "summer time" })
  }

  /// Twelve studies of four equal regions, 144 comparisons and as many daily tests: what is said of them is not true, so
  /// little may be said.
  @Test func whereNothingIsThereLittleIsFound() async {
    var topics: [Finding.Topic: Int] = [:]
    for seed in 1...12 as ClosedRange<UInt64> {
      let names = ["eu-west-1", "eu-west-2", "eu-west-3", "eu-central-1"]
      let pairs = names.flatMap { source in names.map { (source, $0, 0.4, 0.0, 1.0, 0.0) } }
      for finding in await summary(SimulatedStudy(pairs: pairs, seed: seed)).findings {
        topics[finding.topic, default: 0] += 1
      }
    }
    #expect(topics[.tails, default: 0] <= 3, "\(topics)")
    #expect(topics[.changes, default: 0] == 0, "\(topics)")
    // One sentence each that says "none", and one on the network.
    #expect(topics[.daily, default: 0] <= 13, "\(topics)")
  }

  @Test func theSameStudyGivesTheSameSummary() async {
    let study = SimulatedStudy(
      days: 5,
      pairs: [("eu-west-2", "eu-west-2", 0.4, 0.2, 1, 0.01), ("eu-west-2", "us-east-1", 0.5, 0, 1, 0)])
    let (first, second) = (await summary(study), await summary(study))
    #expect(first.findings == second.findings)
    #expect(first.pairs.map(\.p95) == second.pairs.map(\.p95))
    #expect(first.comparisons.map(\.p50) == second.comparisons.map(\.p50))
  }

  @Test func smallAndEmptyStudiesAreNoTrouble() async throws {
    var study = SimulatedStudy(days: 1, perHour: 1, pairs: [("eu-west-2", "eu-west-2", 0.4, 0, 1, 0)])
    var data = study.data()
    data.pairs = []
    #expect(await StudySummary.make(data).findings.isEmpty)
    var one = StudyData.Pair(source: 0, target: 0)
    var probe = StudyData.Probe()
    probe.requestTTFT = 0.5
    one.append(slot: data.slots.lowerBound, probe)
    data.pairs = [one]
    let summary = await StudySummary.make(data)
    #expect(summary.pairs[0].p50.value == 0.5)
    #expect(summary.pairs[0].p50.interval == nil)
    #expect(summary.pairs[0].daily == nil)
    // Who does not know whether a clock is right says so.
    data.clockAge = nil
    #expect(await StudySummary.make(data).findings.contains { $0.topic == .quality && $0.figure == "clock" })
    // All failed.
    study.pairs[0].failures = 1.1
    let failed = await StudySummary.make(study.data())
    #expect(failed.pairs[0].p50.value == .infinity)
    #expect(failed.findings.map(\.topic) == [.failures])
  }

  @Test func regionsKnowTheirDistanceAndTime() throws {
    let (london, mumbai) = (try #require(Region.known["eu-west-2"]), try #require(Region.known["ap-south-1"]))
    #expect(abs(london.distance(to: mumbai) - 7190) < 60)
    #expect(london.distance(to: london) == 0)
    // January: GMT; July: summer time.
    #expect(london.utcOffset(at: Date(timeIntervalSince1970: 1_767_571_200)) == 0)
    #expect(london.utcOffset(at: Date(timeIntervalSince1970: 1_783_123_200)) == 1)
    #expect(mumbai.utcOffset(at: Date(timeIntervalSince1970: 1_767_571_200)) == 5.5)
    for region in Region.known.values {
      #expect(TimeZone(identifier: region.timeZone) != nil, "\(region.name)")
    }
  }
}
