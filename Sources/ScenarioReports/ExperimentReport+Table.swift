import Reporting
import Simulator

extension ExperimentReport {
  /// One row for each variant and place: what was swept, then the figures of design.md section 5.
  package var table: DataTable {
    let swept = scenario.sweep.map {
      DataTable.Column(
        $0.path, unit: SweptValue.unit($0.values.map(\.text)), meaning: "As the scenario's sweep says.")
    }
    let columns: [DataTable.Column] =
      ["variant"] + swept
      + [
        DataTable.Column("choice", meaning: "Which of the settings to try was the fastest here."),
        DataTable.Column("series", title: "variant"),
      ] + Self.speculationColumns + (servesWorkload ? Self.servingColumns : [])
    var table = DataTable(columns)
    for entry in results.entries {
      let row = entry.row
      var cells: [DataTable.Cell] = [.text(row.variant)]
      cells += row.place.map { SweptValue.cell($0[1]) }
      let choice = row.choice.map { "\($0[0])=\($0[1])" }.joined(separator: " ")
      cells += [
        choice.isEmpty ? .empty : .text(choice), .text(series(row)), .number(row.millisecondsPerToken),
        DataTable.Cell(entry.speedup), .number(row.localExpansionsPerToken),
        percent(entry.moved), .number(row.tokensPerStep),
        percent(entry.bubbleRate), DataTable.Cell(entry.workerExpansionsPerToken), percent(entry.wastedShare),
        DataTable.Cell(entry.bytesPerToken), .number(row.timeToFirstToken), percent(entry.pausedShare),
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

  private func percent(_ share: Double?) -> DataTable.Cell { DataTable.Cell(share.map { $0 * 100 }) }

  /// Whether the scenario says what is asked of the server.
  var servesWorkload: Bool { results.entries.contains { $0.row.serving != nil } }

  /// Tells lines of a chart apart: the variant, and what is swept beside the first axis.
  private func series(_ row: ResultRow) -> String {
    ([row.variant] + row.place.dropFirst().map { "\($0[0].split(separator: ".").last!) \($0[1])" })
      .joined(separator: ", ")
  }

  private static let speculationColumns = [
    DataTable.Column(
      "ms/token", title: "time per token", unit: "ms", decimals: 2,
      meaning: "Time from a text's first token to its last, over its tokens but the first."),
    DataTable.Column(
      "speedup", title: "speed against plain", decimals: 3,
      meaning: "Time per token of plain decoding at the same place of the sweep, over this one's."),
    DataTable.Column(
      "passes/token", title: "controller draft passes per token", decimals: 3,
      meaning: "Nodes that the controller's own draft model expanded, for each committed token."),
    DataTable.Column(
      "moved", title: "draft work moved away", unit: "%", decimals: 1,
      meaning:
        "1 less the controller's draft passes per token over those of local parallel drafting at the same place. "
        + "None where no worker drafts."),
    DataTable.Column("tokens/step", decimals: 2, meaning: "Committed tokens for each pass of the target."),
    DataTable.Column(
      "bubbles", title: "steps that began without guesses", unit: "%", decimals: 1,
      meaning:
        "Bubbles: steps after a text's first that wanted guesses while nobody had expanded the last committed token. "
        + "None for plain decoding, which wants no guesses."),
    DataTable.Column(
      "worker/token", title: "worker expansions per token", decimals: 1,
      meaning: "Nodes that workers expanded, for each committed token."),
    DataTable.Column(
      "wasted", title: "worker expansions never used", unit: "%", decimals: 1,
      meaning: "Share of what workers expanded of which the target never checked a child."),
    DataTable.Column(
      "bytes/token", title: "WAN bytes per token", decimals: 0,
      meaning: "Bytes between controller and workers, both ways, for each committed token."),
    DataTable.Column(
      "ttft", title: "time to first token", unit: "ms", decimals: 1,
      meaning: "From a text's arrival to its first token, mean over texts."),
    DataTable.Column(
      "paused", title: "steps with drafting paused", unit: "%", decimals: 1,
      meaning: "Share of steps in which nobody drafted because guesses did not pay. None for plain decoding."),
  ]

  private static let servingColumns = [
    DataTable.Column(
      "streams", title: "streams that the target carries", decimals: 0,
      meaning: "The most streams of a closed loop for which the run keeps to the scenario's capacity."),
    DataTable.Column(
      "ttft-p95", title: "time to first token, p95", unit: "ms", decimals: 1,
      meaning: "From the arrival, queueing included; 95% of requests have less."),
    DataTable.Column(
      "queue-p95", title: "time in the queue, p95", unit: "ms", decimals: 1,
      meaning: "From the arrival until the request runs for the first time."),
    DataTable.Column(
      "itl-p95", title: "inter-token latency, p95", unit: "ms", decimals: 2,
      meaning: "One gap for each token after the first; tokens of one step come together, with gaps of 0."),
    DataTable.Column(
      "tpot-p95", title: "time per output token, p95", unit: "ms", decimals: 2,
      meaning: "A request's time from first to last token over its tokens but one."),
    DataTable.Column(
      "tokens/s", title: "output tokens a second", decimals: 1, meaning: "Of all streams together."),
    DataTable.Column(
      "goodput", title: "requests a second within the limit", decimals: 3,
      meaning: "Requests that kept to the scenario's goodput, a second."),
    DataTable.Column("refused", decimals: 0, meaning: "Requests that found the queue full."),
    DataTable.Column(
      "preemptions", decimals: 0, meaning: "How often a session gave its cache back to go on later."),
  ]
}
