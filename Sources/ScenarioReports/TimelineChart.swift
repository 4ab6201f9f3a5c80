import Reporting
import Simulator
import SpeculationCore

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
      "variant", DataTable.Column("lane", title: "place"),
      DataTable.Column("start", title: "time", unit: "ms", decimals: 1),
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
      kind: "kind", among: Self.kinds.map(Self.words), facet: "variant", tooltip: ["count", "committed"],
      width: 620
    ).captioned(
      "Each bar is a pass of a model or a message under way: a row for each place, a block for each variant. A pass of "
        + "the target without guesses writes one token.")
  }

  private static let order = [
    "target", "draft locally", "commits to the worker", "worker's draft", "guesses on their way",
  ]

  private static let kinds: [TimelineSpan.Kind] = [
    .verify, .bubble, .localDraft, .workerDraft, .guesses, .commit,
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
