import Foundation
import Spelling
import StudyStatistics

/// A sentence that the data support, with its figure.
public struct Finding: Sendable, Equatable {
  public enum Topic: String, Sendable, CaseIterable {
    case emulated, roundTrips = "round trips", tails, daily, network, changes, failures, quality
  }

  public var topic: Topic
  /// Short, to be set large: "9 of 24 h".
  public var figure: String
  public var sentence: String
}

extension StudySummary {
  /// The most important first; at most three of a topic.
  public var findings: [Finding] {
    let all = [roundTrips, tails, daily, network, changes, failures, quality]
    return (emulated.map { [$0] } ?? []) + all.flatMap { $0.prefix(3) }
  }

  private var emulated: Finding? {
    data.emulated.map {
      Finding(
        topic: .emulated, figure: "emulated",
        sentence: """
          These data were made by an emulator (\($0)) on one machine: they say how the tools work, and nothing of \
          any provider.
          """)
    }
  }

  func name(source: Int) -> String { data.sources[source].name }
  func name(target: Int) -> String { data.targets[target].name }

  /// Where users are better off far away.
  private var tails: [Finding] {
    comparisons.compactMap { each in
      each.ofDays.flatMap { each.isDiscovery && $0.mean < 0 ? (each, $0) : nil }
    }
    .sorted { ($0.0.lowerHours, -$0.1.mean) > ($1.0.lowerHours, -$1.1.mean) }
    .map { each, days in
      let (other, own) = (name(target: each.other), name(target: each.own))
      let hours = each.lowerHoursInterval.map { " (95%: \($0.lowerBound) to \($0.upperBound))" } ?? ""
      let interval = -days.interval.upperBound ... -days.interval.lowerBound
      return Finding(
        topic: .tails, figure: "\(each.lowerHours) of \(each.hours) h",
        sentence: """
          \(other) from \(name(source: each.source)) has a lower p90 than \(own) itself in \
          \(each.lowerHours) of \(each.hours) hours\(hours); over a day its p90 is \(TimeText.seconds(-days.mean)) lower \
          (95% over \(days.days.counted("day")): \(TimeText.range(interval))), network included.
          """)
    }
  }

  /// One sentence for each target that breathes with the day, and one for those that do not.
  private var daily: [Finding] {
    let tested = Dictionary(grouping: pairs.filter { $0.daily != nil }, by: \.target)
    var findings: [(Double, Finding)] = []
    var flat: [String] = []
    for (target, group) in tested.sorted(by: { $0.key < $1.key }) {
      let found = group.filter { $0.daily?.isDiscovery == true }
      // The median source: the strongest would owe its place to chance.
      let ordered = group.sorted { ($0.daily?.test.amplitude ?? 0) < ($1.daily?.test.amplitude ?? 0) }
      let typical = ordered[ordered.count / 2]
      guard let daily = typical.daily, found.count * 2 > group.count else {
        if found.isEmpty { flat.append(name(target: target)) }
        continue
      }
      findings.append((daily.test.amplitude, breathing(typical, daily, from: found.count, of: group.count)))
    }
    var result = findings.sorted { $0.0 > $1.0 }.map(\.1)
    if !flat.isEmpty {
      let places = flat.listed(before: "and")
      result.insert(
        Finding(
          topic: .daily, figure: "\(flat.count) flat",
          sentence: """
            No daily pattern was found in \(places), from any source (\(tested.count.counted("target")) tested, false \
            discoveries held to 5%).
            """), at: min(2, result.count))
    }
    return result
  }

  private func breathing(_ pair: PairSummary, _ daily: PairSummary.Daily, from found: Int, of count: Int)
    -> Finding
  {
    let (test, region) = (daily.test, data.targets[pair.target].region)
    let hour: Double = test.peakHour + region.utcOffset(at: data.middle) + 48
    let local = hour.truncatingRemainder(dividingBy: 24)
    let swing = TimeText.percent(test.amplitude)
    let low = TimeText.percent(test.amplitudeInterval.lowerBound)
    let high = TimeText.percent(test.amplitudeInterval.upperBound)
    let place =
      "\(name(target: pair.target)) breathes with the day, seen from \(found) of \(count.counted("source"))"
    let size =
      "from \(name(source: pair.source)) its time to first token swings by \(swing) (95%: \(low) to \(high))"
    let peak = "highest at \(TimeText.clock(test.peakHour)) UTC, \(TimeText.clock(local)) there"
    return Finding(
      topic: .daily, figure: "±\(swing)", sentence: "\(place): \(size) around its level, \(peak).")
  }

  /// What neither the network's share nor a plan may rest on.
  private var roundTrips: [Finding] {
    let checks = pairs.compactMap { pair in pair.roundTripCheck.map { (pair, $0) } }
    let wrong = checks.filter { !$0.1.isBelievable }
    func lack(_ check: RoundTripCheck) -> Double { check.shortestPossible - check.median }
    guard let (pair, check) = wrong.max(by: { lack($0.1) < lack($1.1) }) else { return [] }
    return [
      Finding(
        topic: .roundTrips, figure: "\(wrong.count) of \(checks.count)",
        sentence: """
          The round trips of \(wrong.count) of \(checks.count.counted("pair")) cannot be those between the regions \
          (\(name(target: pair.target)) from \(name(source: pair.source)): \(TimeText.seconds(check.median)), where \
          light in fibre needs \(TimeText.seconds(check.shortestPossible))): what answered stands nearer, as the edge of \
          a content network, a proxy or an emulator without --network does, or a region's coordinates are wrong. They are \
          used neither for the network's share nor for plans.
          """)
    ]
  }

  private var network: [Finding] {
    let shares = pairs.compactMap { pair in pair.network.map { (pair, $0) } }.filter { $0.1.count >= 36 }
    guard let share = Quantile.of(shares.map(\.1.ofRequest), 0.5),
      let variation = Quantile.of(shares.map(\.1.ofVariation), 0.5),
      let most = shares.max(by: { $0.1.ofRequest < $1.1.ofRequest })
    else { return [] }
    return [
      Finding(
        topic: .network, figure: TimeText.percent(share),
        sentence: """
          The network is \(TimeText.percent(share)) of the time to first token in the median \
          \(roundTrips.isEmpty ? "pair" : "pair whose round trips can be true"), and explains \
          \(TimeText.percent(variation)) of its variation; at most it is \(TimeText.percent(most.1.ofRequest)) \
          (\(name(target: most.0.target)) from \(name(source: most.0.source))). The rest is queueing and service.
          """)
    ]
  }

  /// A change at a target is seen from many sources at about the same time; what one of several sees alone is more
  /// likely chance, and stays in the table.
  private var changes: [Finding] {
    var said: [(target: Int, date: Date)] = []
    return pairs.flatMap { pair in pair.changes.filter(\.isDiscovery).map { (pair, $0) } }
      .sorted { abs(log($0.1.after / $0.1.before)) > abs(log($1.1.after / $1.1.before)) }
      .compactMap { pair, change in
        let witnesses = pairs.filter { $0.target == pair.target }
        let agreeing = witnesses.filter { $0.changes.contains { $0.agrees(with: change) } }
        guard agreeing.count * 2 > witnesses.count,
          !said.contains(where: {
            $0.target == pair.target && abs($0.date.timeIntervalSince(change.date)) < 86_400
          })
        else { return nil }
        said.append((pair.target, change.date))
        return Finding(
          topic: .changes, figure: "×\(TimeText.ratio(change.after / change.before))",
          sentence: """
            \(name(target: pair.target)) changed for good around \(TimeText.date(change.date)), seen from \
            \(agreeing.count) of \(witnesses.count.counted("source")): from \(name(source: pair.source)) its median went from \
            \(TimeText.seconds(change.before)) to \(TimeText.seconds(change.after)).
            """)
      }
  }

  private var failures: [Finding] {
    pairs.filter { $0.censored * 100 > $0.count && $0.censored > 1 }
      .sorted { Double($0.censored) / Double($0.count) > Double($1.censored) / Double($1.count) }
      .map { pair in
        let share = Double(pair.censored) / Double(pair.count)
        let kinds = exclusions.filter { $0.source == pair.source && $0.target == pair.target && $0.censored }
          .sorted { $0.count > $1.count }.map { "\($0.count) \($0.outcome)" }.joined(separator: ", ")
        let unknown = share > 0.05 ? " Its p95 is only known to be above the timeout." : ""
        return Finding(
          topic: .failures, figure: TimeText.percent(share),
          sentence: """
            \(TimeText.percent(share)) of the probes of \(name(target: pair.target)) from \
            \(name(source: pair.source)) brought no text (\(kinds)).\(unknown)
            """)
      }
  }

  private var quality: [Finding] {
    var findings: [Finding] = []
    func count(_ outcome: String) -> Int {
      exclusions.filter { $0.outcome == outcome }.reduce(0) { $0 + $1.count }
    }
    let (missed, saturated) = (count("missed"), count("saturated"))
    if saturated > 0 {
      findings.append(
        Finding(
          topic: .quality, figure: "\(saturated)",
          sentence: """
            \(saturated.counted("probe was", "probes were")) not sent, since the target owed answers to as many as may \
            be under way (--concurrency): they count as infinitely slow, or slow times would be sampled less than others.
            """))
    }
    if missed * 50 > data.sent + missed {
      let share = Double(missed) / Double(data.sent + missed)
      findings.append(
        Finding(
          topic: .quality, figure: "\(missed)",
          sentence:
            "\(missed.counted("probe")) (\(TimeText.percent(share))) \(missed == 1 ? "was" : "were") never sent; the table of exclusions says why."
        ))
    }
    if data.bursts * 20 > data.sent {
      findings.append(
        Finding(
          topic: .quality, figure: TimeText.percent(Double(data.bursts) / Double(data.sent)),
          sentence: """
            Of the answers, \(TimeText.percent(Double(data.bursts) / Double(data.sent))) came in fewer pieces than half \
            their tokens, as behind a buffer: their times between \
            tokens mean little.
            """))
    }
    if data.emulated == nil, data.sent > 0, (data.clockAge ?? .infinity) > 86_400 {
      let age =
        data.clockAge.map { "was last set right up to \(Int($0 / 3600)) hours before a run" }
        ?? "is kept by nobody"
      findings.append(
        Finding(
          topic: .quality, figure: "clock",
          sentence: """
            A source's clock \(age): its times of day may be off (durations are not: they come from a monotonic clock).
            """))
    }
    let long = pairs.count { $0.p50.hasLongDependence }
    if long > 0 {
      findings.append(
        Finding(
          topic: .quality, figure: "\(long) of \(pairs.count)",
          sentence:
            "\(long) of \(pairs.count.counted("pair")) depend on their past for so long that their intervals are a lower bound of what is unknown."
        ))
    }
    let changing = Set(data.targets.map(\.region)).filter {
      $0.utcOffset(at: data.begin) != $0.utcOffset(at: data.end)
    }.map(\.name).sorted()
    if !changing.isEmpty {
      findings.append(
        Finding(
          topic: .quality, figure: "summer time",
          sentence: """
            Summer time begins or ends during the study in \(changing.listed(before: "and")): hours of the day are UTC, \
            and local hours are those of its middle, \(TimeText.date(data.middle)).
            """))
    }
    return findings
  }
}

extension PairSummary.Change {
  /// Within half a day, in the same direction.
  fileprivate func agrees(with other: PairSummary.Change) -> Bool {
    abs(date.timeIntervalSince(other.date)) < 43_200 && (after > before) == (other.after > other.before)
  }
}
