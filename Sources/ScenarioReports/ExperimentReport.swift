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

  private var scenario: Scenario { results.scenario }

  // MARK: Rows

  /// One row for each variant and place: what was swept, then the figures of design.md section 5.
  package var table: DataTable {
    var columns: [DataTable.Column] = ["variant"]
    columns += scenario.sweep.map { DataTable.Column($0.path, unit: SweptValue.unit($0.values.map(\.text))) }
    columns += [
      "choice", DataTable.Column("series"),
      DataTable.Column("ms/token", title: "time per token", unit: "ms", decimals: 2),
      DataTable.Column("speedup", title: "speed against plain", decimals: 3),
      DataTable.Column("passes/token", title: "controller draft passes per token", decimals: 3),
      DataTable.Column("moved", title: "draft work moved away", unit: "%", decimals: 1),
      DataTable.Column("tokens/step", decimals: 2),
      DataTable.Column("bubbles", title: "steps that began without guesses", unit: "%", decimals: 1),
      DataTable.Column("worker/token", title: "worker expansions per token", decimals: 1),
      DataTable.Column("wasted", title: "worker expansions never used", unit: "%", decimals: 1),
      DataTable.Column("bytes/token", title: "WAN bytes per token", decimals: 0),
      DataTable.Column("ttft", title: "time to first token", unit: "ms", decimals: 1),
      DataTable.Column("paused", title: "steps with drafting paused", unit: "%", decimals: 1),
    ]
    if servesWorkload {
      columns += [
        DataTable.Column("streams", title: "streams that the target carries", decimals: 0),
        DataTable.Column("ttft-p95", title: "time to first token, p95", unit: "ms", decimals: 1),
        DataTable.Column("queue-p95", title: "time in the queue, p95", unit: "ms", decimals: 1),
        DataTable.Column("itl-p95", title: "inter-token latency, p95", unit: "ms", decimals: 2),
        DataTable.Column("tpot-p95", title: "time per output token, p95", unit: "ms", decimals: 2),
        DataTable.Column("tokens/s", title: "output tokens a second", decimals: 1),
        DataTable.Column("goodput", title: "requests a second within the limit", decimals: 3),
        DataTable.Column("refused", decimals: 0), DataTable.Column("preemptions", decimals: 0),
      ]
    }
    var table = DataTable(columns)
    for entry in results.entries {
      let row = entry.row
      var cells: [DataTable.Cell] = [.text(row.variant)]
      cells += row.place.map { SweptValue.cell($0[1]) }
      let choice = row.choice.map { "\($0[0])=\($0[1])" }.joined(separator: " ")
      cells += [
        choice.isEmpty ? .empty : .text(choice), .text(series(row)), .number(row.millisecondsPerToken),
        DataTable.Cell(entry.speedup), .number(row.localExpansionsPerToken),
        DataTable.Cell(entry.moved.map { $0 * 100 }), .number(row.tokensPerStep),
        .number(row.bubbleRate * 100), .number(row.workerExpansionsPerToken), .number(row.wastedShare * 100),
        .number(row.bytesPerToken), .number(row.timeToFirstToken), .number(row.pausedShare * 100),
      ]
      if servesWorkload {
        let serving = row.serving
        cells += [
          DataTable.Cell(row.streams.map(Double.init)), DataTable.Cell(serving?.timeToFirstToken.p95),
          DataTable.Cell(serving?.queueing.p95), DataTable.Cell(serving?.interTokenLatency.p95),
          DataTable.Cell(serving?.timePerOutputToken.p95), DataTable.Cell(serving?.tokensPerSecond),
          DataTable.Cell(serving?.goodRequestsPerSecond), DataTable.Cell(serving.map { Double($0.refused) }),
          DataTable.Cell(serving.map { Double($0.preemptions) }),
        ]
      }
      table.append(cells)
    }
    return table
  }

  /// Whether the scenario says what is asked of the server.
  private var servesWorkload: Bool { results.entries.contains { $0.row.serving != nil } }

  /// Tells lines of a chart apart: the variant, and what is swept beside the first axis.
  private func series(_ row: ResultRow) -> String {
    ([row.variant] + row.place.dropFirst().map { "\($0[0].split(separator: ".").last!) \($0[1])" })
      .joined(separator: ", ")
  }

  package var objects: [[String: any Sendable]] {
    results.entries.map { entry in
      var object: [String: any Sendable] = [
        "scenario": scenario.name, "variant": entry.row.variant,
        "ms_per_token": entry.row.millisecondsPerToken,
        "local_passes_per_token": entry.row.localExpansionsPerToken,
        // Its name in an earlier version.
        "home_passes_per_token": entry.row.localExpansionsPerToken,
        "worker_expansions_per_token": entry.row.workerExpansionsPerToken,
        "tokens_per_step": entry.row.tokensPerStep, "bubble_rate": entry.row.bubbleRate,
        "wasted_share": entry.row.wastedShare, "bytes_per_token": entry.row.bytesPerToken,
        "ttft_ms": entry.row.timeToFirstToken, "tokens": entry.row.tokens, "steps": entry.row.steps,
      ]
      for pair in entry.row.place + entry.row.choice { object[pair[0]] = pair[1] }
      if let speedup = entry.speedup { object["speedup"] = speedup }
      if let moved = entry.moved { object["moved"] = moved }
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
            row.tokensPerStep.fixed(2), (row.bubbleRate * 100).fixed(1) + "%",
            row.workerExpansionsPerToken.fixed(1),
          ])
    }
    let findings = self.findings.map { "- \($0.figure): \($0.sentence)" }.joined(separator: "\n")
    return scenario.title + "\n\n" + table.rendered() + (findings.isEmpty ? "" : "\n\n" + findings)
  }

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
        ReportPage.Section("All figures", [.table(table, caption: "Every point of the sweep")]),
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
        tooltip: ["variant", "passes/token", "tokens/step"])
    case .frontier:
      return .frontier(
        shown, title: title, x: Chart.Axis(request.x), y: Chart.Axis(request.y), series: "series",
        parameter: scenario.sweep.first?.path ?? "ms/token", better: "down and left")
    case .bars:
      return .bars(
        shown, title: title, x: request.x, y: Chart.Axis(request.y),
        series: request.x == "variant" ? nil : "variant")
    case .timeline:
      return TimelineChart(scenario, request).chart(title: title)
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

/// Who computed when: runs the first points of a scenario's variants again, with their spans recorded.
package struct TimelineChart {
  package let scenario: Scenario
  package let request: Scenario.ChartRequest

  package init(_ scenario: Scenario, _ request: Scenario.ChartRequest) {
    self.scenario = scenario
    self.request = request
  }

  package func chart(title: String) -> Chart {
    var table = DataTable([
      "variant", "lane", DataTable.Column("start", title: "time", unit: "ms", decimals: 1),
      DataTable.Column("end", unit: "ms", decimals: 1), "kind",
      DataTable.Column("count", title: "nodes or tokens"),
      DataTable.Column("committed", title: "tokens committed"),
    ])
    var lanes = ["target"]
    for variant in scenario.variants where request.variants.isEmpty || request.variants.contains(variant.name)
    {
      guard let point = scenario.points.first(where: { $0.variant == variant.name }) else { continue }
      var plan = point.setup.plan
      plan.recordsTimeline = true
      guard var source = try? point.setup.texts.load(seed: point.setup.seed) else { continue }
      source.texts = Array(source.texts.prefix(1))
      for span in Simulation.run(plan, source).timeline {
        guard span.end > request.from.wholeNanoseconds, span.start < request.to.wholeNanoseconds else {
          continue
        }
        let lane = Self.lane(span)
        if !lanes.contains(lane) { lanes.append(lane) }
        table.append([
          .text(variant.name), .text(lane), .number(Double(span.start) / 1e6),
          .number(Double(span.end) / 1e6),
          .text(Self.words(span.kind)), DataTable.Cell(span.count), DataTable.Cell(span.committed),
        ])
      }
    }
    return .timeline(
      table, title: title, lane: "lane", lanes: Self.order.filter(lanes.contains), start: "start", end: "end",
      kind: "kind", facet: "variant", tooltip: ["count", "committed"], width: 620)
  }

  private static let order = [
    "target", "draft locally", "commits to the worker", "worker's draft", "guesses on their way",
  ]

  private static func lane(_ span: TimelineSpan) -> String {
    switch span.kind {
    case .verify, .bubble: order[0]
    case .localDraft: order[1]
    case .commit: order[2]
    case .workerDraft: order[3]
    case .guesses: order[4]
    }
  }

  private static func words(_ kind: TimelineSpan.Kind) -> String {
    switch kind {
    case .verify: "target checks guesses"
    case .bubble: "target without guesses"
    case .localDraft: "draft locally"
    case .workerDraft: "draft at the worker"
    case .guesses: "guesses on the way"
    case .commit: "commit on the way"
    }
  }
}
