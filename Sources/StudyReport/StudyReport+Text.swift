import Foundation
import Reporting
import Spelling
import StudyAnalysis
import StudyStatistics

extension StudyReport {
  /// For a terminal: what was found, then one line for each pair.
  public var text: String {
    var lines = ["\(facts.name): \(overview)"]
    lines += summary.findings.map { "\n\(wrapped("* \($0.sentence)"))" }
    lines.append("\n" + pairLines.joined(separator: "\n"))
    let excluded = summary.exclusions.reduce(into: [String: Int]()) { $0[$1.outcome, default: 0] += $1.count }
    if !excluded.isEmpty {
      let counts = excluded.sorted { ($0.value, $1.key) > ($1.value, $0.key) }.map { "\($0.value) \($0.key)" }
      lines.append("\nNot as they should be: \(counts.joined(separator: ", ")).")
    }
    return lines.joined(separator: "\n")
  }

  var overview: String {
    "\(facts.sent.counted("probe")) from \(facts.sources.count.counted("source")) to "
      + "\(facts.targets.count.counted("target")), \(TimeText.date(facts.begin)) to \(TimeText.date(facts.end)) "
      + "(\(TimeText.span(facts.end.timeIntervalSince(facts.begin))))"
  }

  /// Times in ms, with the interval of the median and of p95.
  private var pairLines: [String] {
    let header = ["source", "target", "n", "failed", "p50 (95%)", "p90", "p95 (95%)", "connect", "per token"]
    let rows = summary.pairs.map { pair in
      [
        name(source: pair.source), name(target: pair.target) + (pair.isIntra ? " *" : ""), "\(pair.count)",
        TimeText.percent(Double(pair.censored) / Double(pair.count)), interval(pair.p50),
        TimeText.seconds(pair.p90.value),
        interval(pair.p95), (pair.connectP50.map(TimeText.seconds) ?? "-") + (isFalse(pair) ? " !" : ""),
        pair.timePerTokenP50.map(TimeText.seconds) ?? "-",
      ]
    }
    let widths = header.indices.map { column in ([header] + rows).map { $0[column].count }.max() ?? 0 }
    let lines = ([header] + rows).map { row in
      row.enumerated().map { column, text in
        let space = String(repeating: " ", count: widths[column] - text.count)
        return column < 2 ? text + space : space + text
      }.joined(separator: "  ")
    }
    return lines + (summary.pairs.contains { $0.isIntra } ? ["(* the source's own region)"] : [])
      + (summary.pairs.contains(where: isFalse) ? ["(! cannot be the way to the region)"] : [])
  }

  private func isFalse(_ pair: PairSummary) -> Bool { pair.roundTripCheck?.isBelievable == false }

  private func interval(_ estimate: Estimate) -> String {
    guard let interval = estimate.interval else { return TimeText.seconds(estimate.value) }
    return
      "\(TimeText.seconds(estimate.value)) (\(TimeText.seconds(interval.lowerBound))..\(TimeText.seconds(interval.upperBound)))"
  }

  /// At 100 characters, later lines indented.
  private func wrapped(_ text: String) -> String {
    var lines = [""]
    for word in text.split(separator: " ") {
      if lines[lines.count - 1].count + word.count + 1 > 100 { lines.append(" ") }
      lines[lines.count - 1] += (lines[lines.count - 1].isEmpty ? "" : " ") + word
    }
    return lines.joined(separator: "\n")
  }
}
