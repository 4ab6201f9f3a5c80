import Foundation
import Reporting
import StudyAnalysis
import StudyStatistics

/// The tables of the page: each figure with its interval in one cell, so that a row fits into a window. Rows for programs
/// have them apart.
extension StudyReport {
  var pairOverview: DataTable {
    var table = DataTable([
      "source", "target", DataTable.Column("n", title: "probes", decimals: 0, meaning: "Those that count."),
      DataTable.Column(
        "failed", unit: "%", decimals: 2, meaning: "Without a text: infinitely slow in the quantiles."),
      DataTable.Column("p50", title: "p50 (95%)", unit: "ms", meaning: Self.meaning(of: "half")),
      DataTable.Column("p90", unit: "ms", meaning: Self.meaning(of: "90%")),
      DataTable.Column("p95", title: "p95 (95%)", unit: "ms", meaning: Self.meaning(of: "95%")),
      DataTable.Column("p99", unit: "ms", meaning: Self.meaning(of: "99%")),
      DataTable.Column(
        "cold", title: "cold p50", unit: "ms", meaning: "Median with name lookup and handshakes before it."),
      DataTable.Column(
        "connect", title: "TCP connect", unit: "ms", decimals: 1, meaning: "Median of the handshake."),
      DataTable.Column(
        "rtt", title: "round trip", unit: "ms", decimals: 1,
        meaning: "Median of what the kernel says (TCP_INFO)."),
      DataTable.Column(
        "tpot", title: "per token", unit: "ms", decimals: 1,
        meaning: "Median time from the first text to the last, over the server's count of tokens less one."),
      DataTable.Column(
        "effective", title: "effective n", decimals: 0,
        meaning: "Independent probes that would tell as much of the median."),
      DataTable.Column(
        "block", title: "block", unit: "slots", decimals: 0,
        meaning: "Length of the bootstrap's blocks: how long a probe is like its neighbours."),
      DataTable.Column("note", title: "remarks"),
    ])
    for pair in summary.pairs {
      table.append([
        .text(name(source: pair.source)), .text(name(target: pair.target)), .number(Double(pair.count)),
        .number(Double(pair.censored) / Double(pair.count) * 100), cell(pair.p50), cell(pair.p90.value),
        cell(pair.p95), cell(pair.p99), cell(pair.coldP50), cell(pair.connectP50), cell(pair.roundTripP50),
        cell(pair.timePerTokenP50), .number(pair.p50.effectiveCount), .number(Double(pair.p50.blockLength)),
        DataTable.Cell(remarks(pair)),
      ])
    }
    return table
  }

  private static func meaning(of share: String) -> String {
    "Request TTFT that \(share) of the probes kept below, failures included."
  }

  var comparisonOverview: DataTable {
    var table = DataTable([
      "source", DataTable.Column("own", title: "own region"),
      DataTable.Column("other", title: "other region"),
      DataTable.Column(
        "p50", title: "p50 difference (95%)", unit: "ms", meaning: "Other less own, over the whole study."),
      DataTable.Column(
        "p95", title: "p95 difference (95%)", unit: "ms", meaning: "Other less own, over the whole study."),
      DataTable.Column(
        "day", title: "p90 of a day (95%)", unit: "ms",
        meaning: "The p90 of each day, other less own, mean over days; Student's t over days."),
      DataTable.Column(
        "stands", title: "p90 of a day stands",
        meaning:
          "Whether that daily difference is more than chance when all comparisons are made: of those that stand at "
          + "most 5% are false (Benjamini-Hochberg). It says nothing of the p50 and p95 beside it, whose intervals are of "
          + "this comparison alone and take the study as one series."),
      DataTable.Column(
        "hours", title: "hours with lower p90 (95%)",
        meaning: "Hours of the day in which the other region's p90 is lower, of those in which both have one."
      ),
    ])
    for each in summary.comparisons {
      let hours = each.lowerHoursInterval.map { " (\($0.lowerBound)..\($0.upperBound))" } ?? ""
      table.append([
        .text(name(source: each.source)), .text(name(target: each.own)), .text(name(target: each.other)),
        difference(each.p50?.value, each.p50?.interval), difference(each.p95?.value, each.p95?.interval),
        difference(each.ofDays?.mean, each.ofDays?.interval), .text(Self.verdict(each)),
        .text("\(each.lowerHours)\(hours) of \(each.hours)"),
      ])
    }
    return table
  }

  /// Why a difference does not stand, beside one that looks as if it did.
  private static func verdict(_ comparison: Comparison) -> String {
    guard !comparison.isDiscovery else { return "yes" }
    guard let days = comparison.ofDays else { return "not judged: too few days" }
    return days.interval.contains(0) ? "no: may be zero" : "no: one of many comparisons"
  }

  private func cell(_ estimate: Estimate) -> DataTable.Cell {
    guard let interval = estimate.interval, estimate.value.isFinite else { return cell(estimate.value) }
    return .text(
      "\(whole(estimate.value)) (\(whole(interval.lowerBound))..\(whole(interval.upperBound)))")
  }

  private func difference(_ value: Double?, _ interval: ClosedRange<Double>?) -> DataTable.Cell {
    guard let value, value.isFinite else { return cell(value) }
    let range = interval.map { " (\(whole($0.lowerBound))..\(whole($0.upperBound)))" } ?? ""
    return .text((value > 0 ? "+" : "") + whole(value) + range)
  }

  /// Milliseconds without decimals.
  private func whole(_ seconds: Double) -> String {
    guard seconds.isFinite else { return seconds > 0 ? "∞" : "−∞" }
    let text = "\(Int((seconds * 1000).rounded()))"
    return text.hasPrefix("-") ? "−" + text.dropFirst() : text
  }
}
