import Console
import Foundation
import Placement
import Reporting
import Spelling

extension PlanReport {
  /// For charts.
  private var pairTable: DataTable {
    var table = DataTable([
      "controller", "worker", DataTable.Column("rtt", title: "round trip", unit: "ms", decimals: 0),
      Self.ratio,
      Self.moved, "verdict",
    ])
    for pair in result.pairs {
      table.append([
        .text(pair.controller), .text(pair.worker), .number(pair.roundTripMilliseconds), .number(pair.ratio),
        .number(pair.moved * 100), .text(pair.verdict.rawValue),
      ])
    }
    return table
  }

  private var overview: DataTable {
    var table = DataTable([
      "controller", "worker",
      DataTable.Column("rtt", title: "round trip", unit: "ms", decimals: 0, meaning: "Median over the day."),
      DataTable.Column("origin", title: "known from", meaning: "Where the round trip is from."),
      DataTable.Column(
        "ms", title: "time per token", unit: "ms", decimals: 2, meaning: "With that worker, simulated."),
      DataTable.Column(
        "local", title: "drafting locally", unit: "ms", decimals: 2,
        meaning: "Time per token of the best way to draft beside the target."),
      DataTable.Column("plain", unit: "ms", decimals: 2, meaning: "Time per token of the target alone."),
      DataTable.Column("ratio", title: "\(Self.ratio.title) (95%)", meaning: Self.ratio.meaning), Self.moved,
      DataTable.Column(
        "saved", title: "saved for a million tokens", unit: "USD", decimals: 2,
        meaning: "What is held while a token is written, at the plan's prices: drafting locally less this."),
      DataTable.Column(
        "year", title: "saved in a year", unit: "USD", decimals: 0,
        meaning: "At the plan's tokens-per-second."),
      "verdict",
    ])
    for pair in result.pairs {
      let interval = pair.ratioInterval.map { " (\($0.low.fixed(2))..\($0.high.fixed(2)))" } ?? ""
      table.append([
        .text(pair.controller), .text(pair.worker), .number(pair.roundTripMilliseconds),
        .text(pair.origin.rawValue), .number(pair.millisecondsPerToken),
        .number(pair.localMillisecondsPerToken), .number(pair.plainMillisecondsPerToken),
        .text(pair.ratio.fixed(2) + interval), .number(pair.moved * 100),
        DataTable.Cell(pair.usdSavedPerMillionTokens), DataTable.Cell(pair.usdSavedPerYear),
        .text(pair.verdict.rawValue),
      ])
    }
    return table
  }

  private static let ratio = DataTable.Column(
    "ratio", title: "speed against drafting locally", decimals: 2,
    meaning:
      "Time per token of the best way to draft beside the target, over that with this worker: above 1 is faster."
  )
  private static let moved = DataTable.Column(
    "moved", title: "draft work moved", unit: "%", decimals: 0,
    meaning:
      "1 less the controller's draft passes per token over those of local parallel drafting; 0 for a worker at the "
      + "same site.")

  private var reasonTable: DataTable {
    var table = DataTable(["controller", "worker", "verdict", "reason"])
    for pair in result.pairs {
      table.append([
        .text(pair.controller), .text(pair.worker), .text(pair.verdict.rawValue), .text(pair.reason),
      ])
    }
    return table
  }

  private var hourTable: DataTable {
    var table = DataTable([
      DataTable.Column("hour", title: "hour of the day (UTC)", decimals: 0),
      Self.ratio, DataTable.Column("pair"),
      DataTable.Column("rtt", title: "round trip", unit: "ms", decimals: 0),
      DataTable.Column("ms", title: "time per token", unit: "ms", decimals: 2),
      Self.moved,
    ])
    for pair in result.pairs {
      for hour in pair.hours {
        guard let number = hour.hour else { continue }
        table.append([
          .number(Double(number)), .number(hour.ratio), .text("\(pair.worker) for \(pair.controller)"),
          .number(hour.roundTripMilliseconds), .number(hour.millisecondsPerToken), .number(hour.moved * 100),
        ])
      }
    }
    return table
  }

  package var page: ReportPage {
    func map(_ column: String, _ title: String) -> ReportPage.Block {
      .chart(
        Chart.heatMap(
          pairTable, title: title, x: "worker", y: "controller", value: Chart.Axis(column),
          tooltip: ["rtt", "verdict"],
          size: Chart.Size(width: 700, height: max(120, 40 * result.controllers.count))))
    }
    var sections = [
      ReportPage.Section(
        "Where workers belong",
        [
          map("ratio", "Speed against drafting locally, by controller and worker"),
          map("moved", "Share of the draft work that leaves the controller's site"),
          .table(
            overview,
            caption:
              "Not worth it: slower than drafting locally by more than \((tolerance * 100).fixed(0))%, no faster than "
              + "plain decoding, or dearer. Intervals: 95%, over texts.", rows: 500),
          .table(reasonTable, caption: "Why.", rows: 500),
        ])
    ]
    if !hourTable.rows.isEmpty {
      sections.append(
        ReportPage.Section(
          "By hour",
          [
            .chart(
              Chart.line(
                hourTable, title: "Speed against drafting locally over the day", x: "hour", y: "ratio",
                series: "pair",
                tooltip: ["rtt"]
              ).captioned(
                "Each hour with the study's round trips of that hour, a line for each pair of sites.")),
            .table(hourTable, caption: "Every hour of every pair.", rows: 100),
          ]))
    }
    var provenance = Provenance(version: "wanspec \(version)", command: command)
    if let emulated { provenance.lines.append("round trips made by the emulator \"\(emulated)\"") }
    return ReportPage(
      title: "Plan: \(result.name)",
      subtitle:
        "\(result.simulations.counted("simulation")) of \(result.pairs.count.counted("pair of sites", "pairs of sites"))",
      findings: ([refused].compactMap { $0 } + advice).map { ReportPage.Finding(nil, $0) },
      sections: sections, provenance: provenance)
  }
}
