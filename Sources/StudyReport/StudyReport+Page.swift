import Foundation
import Reporting
import StudyAnalysis
import StudyStatistics

extension StudyReport {
  /// One page that holds everything it shows.
  public var page: ReportPage {
    let title = "Latency study: \(facts.name)" + (facts.emulated == nil ? "" : " (emulated data)")
    var provenance = Provenance(version: "wanspec \(version)", command: command)
    if let emulated = facts.emulated { provenance.lines.append("data made by the emulator \"\(emulated)\"") }
    return ReportPage(
      title: title, subtitle: overview + ". Times to first token are counted from the written request.",
      findings: summary.findings.map { ReportPage.Finding($0.figure, $0.sentence) },
      sections: sections.filter { !$0.blocks.isEmpty }, provenance: provenance)
  }

  private var sections: [ReportPage.Section] {
    [
      ReportPage.Section("How long users wait", heatMaps),
      ReportPage.Section(
        "Over the day",
        summary.pairs.isEmpty
          ? []
          : [.chart(hourlyChart)]),
      ReportPage.Section("Near against far", near),
      ReportPage.Section("The network", network),
      ReportPage.Section("Daily patterns", tables(dailyTable, Self.dailyCaption)),
      ReportPage.Section("Changes", tables(changeTable, Self.changeCaption)),
      ReportPage.Section(
        "All pairs", tables(pairOverview, "Request TTFT; intervals in brackets are 95%.", rows: 500)),
      ReportPage.Section(
        "What was left out, and why",
        tables(
          exclusionTable, "Probes that did not end as they should, by outcome, with one example each.",
          rows: 200)),
      ReportPage.Section("How the figures are made", [.text(Self.method)]),
    ]
  }

  private static let dailyCaption =
    "Cosinor of each day, F test over days; \"stands\": at most 5% of those that do are false (Benjamini-Hochberg)."
  private static let changeCaption =
    "Where the level changed for good, the time of day's own level taken out (CUSUM with long-run variance)."

  private static let method = """
    Request TTFT is the time from the moment at which the request was written to the first text that is not empty; cold TTFT \
    also has name lookup and handshakes. Durations come from a monotonic clock. Probes are sent on an open schedule, one for \
    each pair and slot, each on a fresh connection; nothing is sent again.

    Quantiles are exact (inverse of the empirical distribution, no interpolation). Failed probes without a text count as \
    infinitely slow (right-censored), and so do those that were not sent because their target owed too many answers; what was \
    missed for other reasons and refused credentials are left out. Intervals come from a circular \
    block bootstrap whose block length follows the dependence that the series shows, with Student's t for the number of \
    blocks; there is none with fewer probes than 6 (p50), 36 (p90), 72 (p95), 368 (p99). The effective n is the number of \
    independent probes that would tell as much.

    Differences pair the probes of two targets by slot, so that what disturbed both at once does not count. Whether a far \
    region is faster than the near one is judged by the p90 of each day, with Student's t over days. The network's \
    share of the request's time is one round trip of the kernel (TCP_INFO), or of the TCP handshake where that is not known; \
    its share of the variation is the square of Spearman's rank correlation. Pairs whose round trips are shorter than light \
    in fibre needs between the regions (200 km a millisecond) are left out of it: what answered stands nearer.
    """

  private func tables(_ table: DataTable, _ caption: String?, rows: Int = 50) -> [ReportPage.Block] {
    table.rows.isEmpty ? [] : [.table(table, caption: caption, rows: rows)]
  }

  // MARK: Charts

  private var heatMaps: [ReportPage.Block] {
    guard !summary.pairs.isEmpty else { return [] }
    let height = max(160, 28 * facts.sources.count)
    func map(_ column: String, _ title: String) -> ReportPage.Block {
      let known = pairTable.filtered(column) { if case .number = $0 { true } else { false } }
      return .chart(
        Chart.heatMap(
          known, title: title, subtitle: "request TTFT, ms", x: "target", y: "source",
          value: Chart.Axis(column, scale: .logarithmic), tooltip: ["n", "failed"],
          size: Chart.Size(width: 700, height: height)
        ).captioned(
          "Request TTFT of each pair, all probes of the study; failures count as infinitely slow, and a quantile beyond the "
            + "timeout has no cell."))
    }
    return [map("p50", "Median, by source and target"), map("p95", "95th percentile, by source and target")]
  }

  private var near: [ReportPage.Block] {
    guard !summary.comparisons.isEmpty else { return [] }
    var table = DataTable([
      "pair", DataTable.Column("hours", title: "hours with lower p90", decimals: 0),
      DataTable.Column("low", title: "from"),
      DataTable.Column("high", title: "to"),
    ])
    for each in summary.comparisons.filter({ $0.isDiscovery && ($0.ofDays?.mean ?? 0) < 0 })
      .sorted(by: { $0.lowerHours > $1.lowerHours }).prefix(20)
    {
      let pair = "\(name(target: each.other)) from \(name(source: each.source))"
      table.append([
        .text(pair), .number(Double(each.lowerHours)),
        DataTable.Cell(each.lowerHoursInterval.map { Double($0.lowerBound) }),
        DataTable.Cell(each.lowerHoursInterval.map { Double($0.upperBound) }),
      ])
    }
    var blocks: [ReportPage.Block] = []
    if !table.rows.isEmpty {
      blocks.append(
        .chart(
          Chart.bars(
            table, title: "Hours of the day in which a far region's p90 is below the own region's", x: "pair",
            y: Chart.Axis("hours", fromZero: true), interval: Chart.Interval(low: "low", high: "high")
          ).captioned(
            "The 20 pairs with the most such hours, of those whose p90 of a day is lower; 95%, whole days being drawn."
          )))
    }
    return blocks
      + tables(
        comparisonOverview,
        "Other region less own region, probes paired by slot; below zero the other one is faster. Whether a difference "
          + "stands is judged by the p90 of each day, not by the p50 and p95 of the whole study.", rows: 400)
  }

  private var network: [ReportPage.Block] {
    var table = DataTable([
      DataTable.Column("connect", title: "TCP connect", unit: "ms", decimals: 1),
      DataTable.Column("share", title: "share of probes", unit: "%", decimals: 1), "source",
    ])
    for (index, source) in facts.sources.enumerated() {
      let quantiles = summary.pairs.filter { $0.source == index }.flatMap(\.connectQuantiles).sorted()
      // Each pair weighs the same; 120 points draw a line.
      let step = max(1, quantiles.count / 120)
      for place in stride(from: step - 1, to: quantiles.count, by: step) {
        table.append([
          .number(quantiles[place] * 1000), .number(Double(place + 1) / Double(quantiles.count) * 100),
          .text(source.name),
        ])
      }
    }
    guard !table.rows.isEmpty else { return [] }
    return [
      .chart(
        Chart.line(
          table, title: "TCP connects", subtitle: "distribution over all targets, each with the same weight",
          x: .log("connect"), y: "share", series: "source", curve: .steps
        ).captioned(
          "Share of TCP handshakes that took at most so long, a line for each source: where it is steep, many targets are "
            + "equally far."))
    ] + tables(networkTable, "The network's share of the time to first token.", rows: 400)
  }
}
