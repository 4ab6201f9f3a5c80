import Console
import Foundation
import Placement
import Reporting
import Spelling

/// A plan for people: a matrix, a table, sentences, a page.
package struct PlanReport {
  package let result: PlanResult
  package let tolerance: Double
  /// Whose round trips an emulator made.
  package let emulated: String?
  package let command: String
  /// Of the program, for the page.
  package let version: String

  package init(
    _ result: PlanResult, tolerance: Double, emulated: String?, command: String, version: String
  ) {
    self.version = version
    self.result = result
    self.tolerance = tolerance
    self.emulated = emulated
    self.command = command
  }

  package var text: String {
    var parts = [advice.joined(separator: "\n"), matrix, pairs]
    if let refused { parts.insert(refused, at: 0) }
    if let emulated { parts.insert("Round trips are an emulator's (\(emulated)), not measured ones.", at: 0) }
    if result.pairs.contains(where: { $0.origin == .distance }) {
      parts.append("(~ round trip guessed from the distance: measure it with `wanspec study`)")
    }
    return parts.joined(separator: "\n\n")
  }

  /// What the study says of round trips and cannot be true.
  private var refused: String? {
    let worst = result.falseRoundTrips.max {
      $0.shortestPossibleMilliseconds - $0.milliseconds < $1.shortestPossibleMilliseconds - $1.milliseconds
    }
    guard let worst else { return nil }
    return """
      The study's round trips of \(result.falseRoundTrips.count.counted("pair of sites", "pairs of sites")) are not used: \
      they cannot be those between the regions (\(worst.source) to \(worst.region): \(worst.milliseconds.fixed(1)) ms, \
      where light in fibre needs \(worst.shortestPossibleMilliseconds.fixed(0)) ms). What answered stands nearer, as the \
      edge of a content network, a proxy or an emulator without --network does.
      """
  }

  /// One sentence for each controller.
  package var advice: [String] {
    result.controllers.map { controller in
      let own = result.pairs.filter { $0.controller == controller }
      guard let best = own.first(where: { $0.verdict == .recommended }) else {
        return "\(controller): draft locally; no worker site is worth it."
      }
      let reason = best.reason
      var text = "\(controller): put its worker at \(best.worker) (\(reason))"
      if let saved = best.usdSavedPerMillionTokens {
        text += "; saves \(saved.fixed(2)) USD for a million tokens"
      }
      if let year = best.usdSavedPerYear { text += ", \(year.fixed(0)) USD a year" }
      let poor = own.filter { $0.verdict == .notWorthIt }.map(\.worker)
      return text + (poor.isEmpty ? "." : "; do not bother with \(poor.joined(separator: ", ")).")
    }
  }

  /// Rows are controllers, columns are workers: speed against drafting locally.
  private var matrix: String {
    var table = TextTable(["speed against drafting locally"] + result.workers)
    for controller in result.controllers {
      table.add(
        [controller]
          + result.workers.map { worker in
            guard let pair = result.pair(controller, worker) else { return "-" }
            let mark = pair.verdict == .recommended ? "*" : pair.verdict == .notWorthIt ? "!" : " "
            return pair.ratio.fixed(2) + mark
          })
    }
    return table.rendered() + "\n(* recommended, ! not worth it)"
  }

  private var pairs: String {
    var table = TextTable([
      "controller", "worker", "RTT ms", "ms/token", "locally", "plain", "ratio", "95%", "moved", "slow hours",
      "verdict",
    ])
    for pair in result.pairs {
      table.add([
        pair.controller, pair.worker,
        (pair.origin == .distance ? "~" : "") + pair.roundTripMilliseconds.fixed(0),
        pair.millisecondsPerToken.fixed(2), pair.localMillisecondsPerToken.fixed(2),
        pair.plainMillisecondsPerToken.fixed(2), pair.ratio.fixed(2),
        pair.ratioInterval.map { "\($0.low.fixed(2))..\($0.high.fixed(2))" } ?? "-",
        "\((pair.moved * 100).fixed(0))%", pair.hours.count == 1 ? "-" : "\(pair.slowHours.count)",
        pair.verdict.rawValue,
      ])
    }
    return table.rendered()
  }

  // MARK: Page

  private var pairTable: DataTable {
    var table = DataTable([
      "controller", "worker", DataTable.Column("rtt", title: "round trip", unit: "ms", decimals: 0),
      DataTable.Column("origin", title: "known from"),
      DataTable.Column("ms", title: "time per token", unit: "ms", decimals: 2),
      DataTable.Column("local", title: "drafting locally", unit: "ms", decimals: 2),
      DataTable.Column("plain", title: "plain", unit: "ms", decimals: 2),
      DataTable.Column("ratio", title: "speed against drafting locally", decimals: 2),
      DataTable.Column("ratio_low", title: "from", decimals: 2),
      DataTable.Column("ratio_high", title: "to", decimals: 2),
      DataTable.Column("moved", title: "draft work moved", unit: "%", decimals: 0),
      DataTable.Column("saved", title: "saved for a million tokens", unit: "USD", decimals: 2),
      DataTable.Column("year", title: "saved in a year", unit: "USD", decimals: 0), "verdict",
    ])
    for pair in result.pairs {
      table.append([
        .text(pair.controller), .text(pair.worker), .number(pair.roundTripMilliseconds),
        .text(pair.origin.rawValue),
        .number(pair.millisecondsPerToken), .number(pair.localMillisecondsPerToken),
        .number(pair.plainMillisecondsPerToken), .number(pair.ratio), DataTable.Cell(pair.ratioInterval?.low),
        DataTable.Cell(pair.ratioInterval?.high), .number(pair.moved * 100),
        DataTable.Cell(pair.usdSavedPerMillionTokens), DataTable.Cell(pair.usdSavedPerYear),
        .text(pair.verdict.rawValue),
      ])
    }
    return table
  }

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
      DataTable.Column("ratio", title: "speed against drafting locally", decimals: 2),
      DataTable.Column("pair"),
      DataTable.Column("rtt", title: "round trip", unit: "ms", decimals: 0),
      DataTable.Column("ms", title: "time per token", unit: "ms", decimals: 2),
      DataTable.Column("moved", title: "draft work moved", unit: "%", decimals: 0),
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
            pairTable,
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
                tooltip: ["rtt"])), .table(hourTable, rows: 100),
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
