import Foundation
import Reporting
import StudyAnalysis
import StudyStatistics

/// A study's summary for people and scripts: text, a page, rows.
public struct StudyReport: Sendable {
  public let summary: StudySummary
  let version: String
  /// What makes the same report again.
  let command: String

  public init(_ summary: StudySummary, version: String, command: String) {
    self.summary = summary
    self.version = version
    self.command = command
  }

  var facts: StudySummary.Facts { summary.data }
  func name(source: Int) -> String { facts.sources[source].name }
  func name(target: Int) -> String { facts.targets[target].name }

  // MARK: Tables

  /// One row for each pair.
  public var pairTable: DataTable {
    var table = DataTable([
      "source", "target", DataTable.Column("n", title: "probes", decimals: 0),
      DataTable.Column("failed", unit: "%", decimals: 2), DataTable.Column("p50", unit: "ms", decimals: 0),
      DataTable.Column("p50_low", title: "p50 from", unit: "ms", decimals: 0),
      DataTable.Column("p50_high", title: "to", unit: "ms", decimals: 0),
      DataTable.Column("p90", unit: "ms", decimals: 0), DataTable.Column("p95", unit: "ms", decimals: 0),
      DataTable.Column("p95_low", title: "p95 from", unit: "ms", decimals: 0),
      DataTable.Column("p95_high", title: "to ", unit: "ms", decimals: 0),
      DataTable.Column("p99", unit: "ms", decimals: 0),
      DataTable.Column("cold_p50", title: "cold p50", unit: "ms", decimals: 0),
      DataTable.Column("connect", title: "TCP connect", unit: "ms", decimals: 1),
      DataTable.Column("rtt", title: "round trip", unit: "ms", decimals: 1),
      DataTable.Column("tpot", title: "per token", unit: "ms", decimals: 1),
      DataTable.Column("effective", title: "effective n", decimals: 0),
      DataTable.Column("block", title: "block", unit: "slots", decimals: 0),
      DataTable.Column("note", title: "remarks"),
    ])
    for pair in summary.pairs {
      table.append([
        .text(name(source: pair.source)), .text(name(target: pair.target)), .number(Double(pair.count)),
        .number(Double(pair.censored) / Double(pair.count) * 100), cell(pair.p50.value),
        cell(pair.p50.interval?.lowerBound), cell(pair.p50.interval?.upperBound), cell(pair.p90.value),
        cell(pair.p95.value), cell(pair.p95.interval?.lowerBound), cell(pair.p95.interval?.upperBound),
        cell(pair.p99),
        cell(pair.coldP50), cell(pair.connectP50), cell(pair.roundTripP50), cell(pair.timePerTokenP50),
        .number(pair.p50.effectiveCount), .number(Double(pair.p50.blockLength)),
        DataTable.Cell(remarks(pair)),
      ])
    }
    return table
  }

  /// Milliseconds; what is only known to be beyond the timeout says so.
  func cell(_ seconds: Double?) -> DataTable.Cell {
    guard let seconds, !seconds.isNaN else { return .empty }
    return seconds.isFinite ? .number(seconds * 1000) : .text("≥ \(TimeText.seconds(facts.timeout))")
  }

  func remarks(_ pair: PairSummary) -> String? {
    var remarks: [String] = []
    if pair.count < Quantile.minimumCount(0.95) { remarks.append("few probes: no interval for p95") }
    if pair.p50.hasLongDependence { remarks.append("long dependence: intervals are lower bounds") }
    if let check = pair.roundTripCheck, !check.isBelievable {
      remarks.append("round trip not the region's: light needs \(TimeText.seconds(check.shortestPossible))")
    }
    if pair.censored * 20 > pair.count { remarks.append("more than 5% failed: p95 is beyond the timeout") }
    return remarks.isEmpty ? nil : remarks.joined(separator: "; ")
  }

  public var comparisonTable: DataTable {
    var table = DataTable([
      "source", DataTable.Column("own", title: "own region"),
      DataTable.Column("other", title: "other region"),
      DataTable.Column("p50", title: "p50 difference", unit: "ms", decimals: 0),
      DataTable.Column("p50_low", title: "from", unit: "ms", decimals: 0),
      DataTable.Column("p50_high", title: "to", unit: "ms", decimals: 0),
      DataTable.Column("p95", title: "p95 difference", unit: "ms", decimals: 0),
      DataTable.Column("p95_low", title: "from ", unit: "ms", decimals: 0),
      DataTable.Column("p95_high", title: "to ", unit: "ms", decimals: 0),
      DataTable.Column("day", title: "p90 of a day", unit: "ms", decimals: 0),
      DataTable.Column("day_low", title: "from   ", unit: "ms", decimals: 0),
      DataTable.Column("day_high", title: "to   ", unit: "ms", decimals: 0),
      DataTable.Column("stands"), DataTable.Column("lower", title: "hours with lower p90", decimals: 0),
      DataTable.Column("lower_low", title: "from  ", decimals: 0),
      DataTable.Column("lower_high", title: "to  ", decimals: 0),
      DataTable.Column("hours", title: "hours compared", decimals: 0),
    ])
    for each in summary.comparisons {
      table.append([
        .text(name(source: each.source)), .text(name(target: each.own)), .text(name(target: each.other)),
        cell(each.p50?.value), cell(each.p50?.interval?.lowerBound), cell(each.p50?.interval?.upperBound),
        cell(each.p95?.value), cell(each.p95?.interval?.lowerBound), cell(each.p95?.interval?.upperBound),
        cell(each.ofDays?.mean), cell(each.ofDays?.interval.lowerBound),
        cell(each.ofDays?.interval.upperBound),
        .text(each.isDiscovery ? "yes" : "no"), .number(Double(each.lowerHours)),
        DataTable.Cell(each.lowerHoursInterval.map { Double($0.lowerBound) }),
        DataTable.Cell(each.lowerHoursInterval.map { Double($0.upperBound) }), .number(Double(each.hours)),
      ])
    }
    return table
  }

  public var dailyTable: DataTable {
    var table = DataTable([
      "source", "target",
      DataTable.Column(
        "p_value", title: "p", decimals: 5,
        meaning: "How often chance alone looks like this (F test over days)."),
      DataTable.Column(
        "found", title: "stands",
        meaning:
          "Whether the pattern is more than chance when all pairs are tested: of those that stand at most 5% are "
          + "false (Benjamini-Hochberg)."),
      DataTable.Column(
        "amplitude", unit: "ms", decimals: 0,
        meaning: "Half of what lies between the day's lowest and highest level."),
      DataTable.Column("low", title: "from", unit: "ms", decimals: 0),
      DataTable.Column("high", title: "to", unit: "ms", decimals: 0),
      DataTable.Column(
        "share", title: "of its level", unit: "%", decimals: 0,
        meaning: "The amplitude over the level of the day."),
      DataTable.Column("peak", title: "peak, UTC"), DataTable.Column("days", decimals: 0),
    ])
    for pair in summary.pairs {
      guard let daily = pair.daily else { continue }
      table.append([
        .text(name(source: pair.source)), .text(name(target: pair.target)), .number(daily.test.pValue),
        .text(daily.isDiscovery ? "yes" : "no"), .number(daily.amplitude * 1000),
        .number(daily.amplitudeInterval.lowerBound * 1000),
        .number(daily.amplitudeInterval.upperBound * 1000),
        .number(daily.test.amplitude * 100), .text(TimeText.clock(daily.test.peakHour)),
        .number(Double(daily.test.days)),
      ])
    }
    return table
  }

  public var networkTable: DataTable {
    var table = DataTable([
      "source", "target",
      DataTable.Column(
        "request", title: "of request TTFT", unit: "%", decimals: 1,
        meaning: "One round trip of the kernel over the time from the written request to the first text."),
      DataTable.Column(
        "cold", title: "of cold TTFT", unit: "%", decimals: 1,
        meaning: "Name lookup, handshakes and one round trip over the time from the start to the first text."),
      DataTable.Column(
        "variation", title: "of its variation", unit: "%", decimals: 1,
        meaning: "Square of Spearman's rank correlation between round trip and time."),
    ])
    for pair in summary.pairs {
      guard let share = pair.network else { continue }
      table.append([
        .text(name(source: pair.source)), .text(name(target: pair.target)), .number(share.ofRequest * 100),
        .number(share.ofCold * 100), .number(share.ofVariation * 100),
      ])
    }
    return table
  }

  public var changeTable: DataTable {
    var table = DataTable([
      "source", "target", DataTable.Column("at", title: "around"),
      DataTable.Column("before", unit: "ms", decimals: 0),
      DataTable.Column("after", unit: "ms", decimals: 0),
      DataTable.Column("p_value", title: "p", decimals: 5),
      DataTable.Column(
        "stands",
        meaning:
          "Whether the change is more than chance when all pairs are searched: of those that stand at most 5% are "
          + "false (Benjamini-Hochberg)."),
    ])
    for pair in summary.pairs {
      for change in pair.changes {
        table.append([
          .text(name(source: pair.source)), .text(name(target: pair.target)),
          .text(TimeText.date(change.date)),
          .number(change.before * 1000), .number(change.after * 1000), .number(change.pValue),
          .text(change.isDiscovery ? "yes" : "no"),
        ])
      }
    }
    return table
  }

  public var exclusionTable: DataTable {
    var table = DataTable([
      "source", "target", "outcome", DataTable.Column("count", decimals: 0),
      DataTable.Column("treated", title: "treated as"),
      DataTable.Column("example"),
    ])
    for each in summary.exclusions.sorted(by: { $0.count > $1.count }) {
      table.append([
        .text(name(source: each.source)), .text(name(target: each.target)), .text(each.outcome),
        .number(Double(each.count)),
        .text(each.censored ? "infinitely slow, unless a text had begun" : "left out"),
        DataTable.Cell(each.example),
      ])
    }
    return table
  }
}
