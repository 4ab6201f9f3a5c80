import Console
import Reporting
import Simulator
import SpeculationCore

/// A draft's probabilities against what came true, raw and corrected.
package struct CalibrationReport {
  package let recording: Recording
  package let file: String
  package let candidates: Int
  /// Of the program, for the page.
  package let version: String
  package let raw: Calibration
  package let corrected: Calibration

  package init(_ recording: Recording, file: String, candidates: Int, version: String) {
    self.version = version
    self.recording = recording
    self.file = file
    self.candidates = candidates
    raw = Calibration(recording, candidates: candidates, correctedBy: nil)
    corrected = Calibration(recording, candidates: candidates, correctedBy: MatchEstimator())
  }

  package var object: [String: any Sendable] {
    [
      "positions": recording.positionCount, "candidates": candidates, "brier_raw": raw.brier,
      "brier_corrected": corrected.brier, "error_raw": raw.expectedError,
      "error_corrected": corrected.expectedError,
    ]
  }

  package var text: String {
    var table = TextTable(["probability", "Brier score", "mean error of calibration"])
    table.add(["as the draft states it", raw.brier.fixed(5), raw.expectedError.fixed(4)])
    table.add(["as wanspec corrects it", corrected.brier.fixed(5), corrected.expectedError.fixed(4)])
    return """
      \(file): the draft's \(candidates) likeliest candidates at \(recording.positionCount) positions

      \(table.rendered())
      """
  }

  package func page() -> ReportPage {
    var table = DataTable([
      "probability",
      DataTable.Column("predicted", decimals: 3, meaning: "Mean of the probabilities in the bin."),
      DataTable.Column("observed", decimals: 3, meaning: "Share of them that were the target's choice."),
      DataTable.Column(
        "low", title: "from", decimals: 3, meaning: "95% interval of what was observed (Wilson)."),
      DataTable.Column("high", title: "to", decimals: 3),
      DataTable.Column("count", decimals: 0, meaning: "Candidates in the bin."),
    ])
    for (name, calibration) in [("as the draft states it", raw), ("as wanspec corrects it", corrected)] {
      for bin in calibration.bins {
        let interval = bin.interval
        table.append([
          .text(name), .number(bin.predicted), .number(bin.observed), .number(interval.lowerBound),
          .number(interval.upperBound), DataTable.Cell(bin.count),
        ])
      }
    }
    return ReportPage(
      title: "How well the draft's probabilities come true",
      subtitle: "\(recording.draft) drafting for \(recording.target), \(recording.positionCount) positions",
      findings: [
        ReportPage.Finding(raw.brier.fixed(4), "Brier score of the probabilities as the draft states them."),
        ReportPage.Finding(
          corrected.brier.fixed(4), "Brier score after wanspec's correction, learned on the way."),
      ],
      sections: [
        ReportPage.Section(
          "Reliability",
          [
            .chart(
              .reliability(
                table, title: "Stated against observed", predicted: "predicted", observed: "observed",
                count: "count", series: "probability", interval: Chart.Interval(low: "low", high: "high"))),
            .table(table, caption: "Bins of a twentieth"),
          ])
      ],
      provenance: Provenance(
        version: "wanspec \(version)",
        command: "wanspec trace calibrate \(file) --candidates \(candidates)", lines: [recording.madeBy]))
  }
}
