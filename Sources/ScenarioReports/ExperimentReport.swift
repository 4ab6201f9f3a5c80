import Console
import Reporting
import Simulator
import SpeculationCore

/// A scenario's results for people: a table on the terminal, rows for scripts, a page with charts.
package struct ExperimentReport {
  package let results: ExperimentResults
  package let version: String
  /// What makes the same results again.
  package let command: String

  package init(_ results: ExperimentResults, version: String, command: String) {
    self.results = results
    self.version = version
    self.command = command
  }

  var scenario: Scenario { results.scenario }

  package var objects: [[String: any Sendable]] {
    results.entries.map { entry in
      var object: [String: any Sendable] = [
        "scenario": scenario.name, "variant": entry.row.variant,
        "ms_per_token": entry.row.millisecondsPerToken,
        "local_passes_per_token": entry.row.localExpansionsPerToken,
        // Its name in an earlier version.
        "home_passes_per_token": entry.row.localExpansionsPerToken,
        "tokens_per_step": entry.row.tokensPerStep, "ttft_ms": entry.row.timeToFirstToken,
        "tokens": entry.row.tokens, "steps": entry.row.steps,
      ]
      for pair in entry.row.place + entry.row.choice { object[pair[0]] = pair[1] }
      if let speedup = entry.speedup { object["speedup"] = speedup }
      // What a variant has not is not in its row.
      object["moved"] = entry.moved
      object["bubble_rate"] = entry.bubbleRate
      object["worker_expansions_per_token"] = entry.workerExpansionsPerToken
      object["wasted_share"] = entry.wastedShare
      object["bytes_per_token"] = entry.bytesPerToken
      if let streams = entry.row.streams { object["streams"] = streams }
      if let serving = entry.row.serving { object["serving"] = serving.object }
      return object
    }
  }

  // MARK: Text

  package var text: String {
    let swept = scenario.sweep.map(\.path)
    let served = servesWorkload ? ["streams", "ttft p95", "itl p95", "tpot p95", "tokens/s", "goodput"] : []
    var table = TextTable(
      ["variant"] + swept + served + [
        "ms/token", "speedup", "passes/token", "moved", "tokens/step", "bubbles", "worker/token",
      ])
    for entry in results.entries {
      let row = entry.row
      let choice = row.choice.map { " \($0[0].split(separator: ".").last!)=\($0[1])" }.joined()
      table.add(
        [row.variant + choice] + row.place.map { $0[1] } + (servesWorkload ? Self.served(row) : [])
          + [
            row.millisecondsPerToken.fixed(2), entry.speedup.map { $0.fixed(2) + "x" } ?? "-",
            row.localExpansionsPerToken.fixed(3), entry.moved.map { ($0 * 100).fixed(0) + "%" } ?? "-",
            row.tokensPerStep.fixed(2), entry.bubbleRate.map { ($0 * 100).fixed(1) + "%" } ?? "-",
            entry.workerExpansionsPerToken?.fixed(1) ?? "-",
          ])
    }
    let findings = self.findings.map { "- \($0.figure): \($0.sentence)" }.joined(separator: "\n")
    return scenario.title + "\n\n" + table.rendered() + "\n" + Self.legend
      + (findings.isEmpty ? "" : "\n\n" + findings)
  }

  private static let legend = """
    (moved: draft passes that left the controller, against local parallel; bubbles: steps that wanted guesses and had
    none; -: the variant has no such figure)
    """

  private static func served(_ row: ResultRow) -> [String] {
    func milliseconds(_ value: Double?) -> String { value.map { $0.fixed(1) + " ms" } ?? "-" }
    return [
      row.streams.map(String.init) ?? "-", milliseconds(row.serving?.timeToFirstToken.p95),
      milliseconds(row.serving?.interTokenLatency.p95), milliseconds(row.serving?.timePerOutputToken.p95),
      row.serving?.tokensPerSecond.fixed(1) ?? "-",
      row.serving.map { $0.goodRequestsPerSecond.fixed(2) + "/s" } ?? "-",
    ]
  }

  /// What a sweep over one axis shows: up to where each variant keeps up with the baselines.
  package var findings: [(figure: String, sentence: String)] {
    guard let axis = scenario.sweep.first, scenario.sweep.count == 1 else { return [] }
    let (plain, sequential, parallel) = (
      scenario.variant(of: .plain), scenario.variant(of: .localSequential),
      scenario.variant(of: .localParallel)
    )
    let others = scenario.variants.map(\.name).filter { ![plain, sequential, parallel].contains($0) }
    let last = axis.values.last?.text
    func reach(_ variant: String, _ other: String) -> String {
      switch results.lastNotSlower(variant, than: other) {
      case nil: "nowhere"
      case last: "everywhere"
      case let value?: "up to \(value)"
      }
    }
    var findings: [(figure: String, sentence: String)] = []
    for variant in others {
      guard let parallel else { continue }
      var sentence = "\(variant) is at least as fast as \(parallel) (\(axis.path))"
      if let sequential { sentence += "; as \(sequential) \(reach(variant, sequential))" }
      findings.append((reach(variant, parallel), sentence + "."))
    }
    if let plain {
      let slower = others.filter { results.lastNotSlower($0, than: plain, factor: 1.01) != last }
      findings.append(
        slower.isEmpty
          ? ("nothing", "is slower than plain decoding by more than a hundredth, anywhere in the sweep.")
          : (slower.joined(separator: ", "), "slower than plain decoding somewhere in the sweep."))
    }
    return findings
  }

  // MARK: Page

  package func page() -> ReportPage {
    let table = self.table
    var blocks: [ReportPage.Block] = []
    if !scenario.about.isEmpty { blocks.append(.text(scenario.about)) }
    for request in scenario.charts { blocks.append(.chart(chart(request, table))) }
    return ReportPage(
      title: scenario.title, subtitle: "A simulation: the decisions of wanspec \(version) under virtual time",
      findings: findings.map { ReportPage.Finding($0.figure, $0.sentence) },
      sections: [
        ReportPage.Section("Results", blocks),
        ReportPage.Section(
          "All figures",
          [
            .table(
              // What only charts need stays out.
              table.selecting(table.columns.map(\.name).filter { $0 != "series" }),
              caption:
                "Every point of the sweep. –: the variant has no such figure, for example no worker that could "
                + "draft.")
          ]),
      ],
      provenance: Provenance(
        scenario: scenario.name, seed: scenario.seed, version: "wanspec \(version)", command: command))
  }

  private func chart(_ request: Scenario.ChartRequest, _ table: DataTable) -> Chart {
    var shown = table
    if !request.variants.isEmpty {
      shown = table.filtered("variant") { cell in
        if case .text(let name) = cell { request.variants.contains(name) } else { false }
      }
    }
    let title = request.title.isEmpty ? "\(request.y) against \(request.x)" : request.title
    switch request.kind {
    case .line:
      return .line(
        shown, title: title, x: Chart.Axis(request.x), y: Chart.Axis(request.y), series: "series",
        among: names(in: table, "series"), tooltip: ["variant", "passes/token", "tokens/step"])
    case .frontier:
      return .frontier(
        shown, title: title, x: Chart.Axis(request.x), y: Chart.Axis(request.y), series: "series",
        among: names(in: table, "series"), parameter: scenario.sweep.first?.path ?? "ms/token",
        better: "down and left")
    case .bars:
      return .bars(
        shown, title: title, x: request.x, y: Chart.Axis(request.y),
        series: request.x == "variant" ? nil : "variant", among: names(in: table, "variant"))
    case .timeline:
      return TimelineChart(scenario, request).chart(title: title)
    }
  }
}

extension ExperimentReport {
  /// All that a column names, in the order of the rows: in every chart each has the same colour.
  private func names(in table: DataTable, _ column: String) -> [String] {
    let index = table.index(of: column)
    return table.rows.reduce(into: []) { names, row in
      if case .text(let name) = row[index], !names.contains(name) { names.append(name) }
    }
  }
}

/// Swept values as numbers where they are: durations in milliseconds, percentages as written.
package enum SweptValue {
  package static func number(_ text: String) -> Double? {
    if let value = Double(text) { return value }
    if text.hasSuffix("%") { return Double(text.dropLast()) }
    return (try? DurationArgument(parsing: text))?.milliseconds
  }

  package static func cell(_ text: String) -> DataTable.Cell {
    number(text).map { .number($0) } ?? .text(text)
  }

  package static func unit(_ texts: [String]) -> String? {
    guard let first = texts.first, number(first) != nil, Double(first) == nil else { return nil }
    return first.hasSuffix("%") ? "%" : "ms"
  }
}
