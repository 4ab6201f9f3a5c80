import Foundation
import Reporting
import StudyAnalysis
import StudyStatistics

extension StudyReport {
  /// For `--json`: one object for each finding, pair, comparison, exclusion. Times in milliseconds; null is unknown, and
  /// a `censored` quantile is beyond the timeout.
  public var objects: [[String: any Sendable]] {
    var objects: [[String: any Sendable]] = [
      [
        "kind": "study", "name": facts.name, "emulated": facts.emulated ?? NSNull(), "sent": facts.sent,
        "sources": facts.sources.map(\.name), "targets": facts.targets.map(\.name),
        "begin": facts.begin.timeIntervalSince1970,
        "end": facts.end.timeIntervalSince1970, "usd": facts.usd, "clock_age_s": facts.clockAge ?? NSNull(),
      ]
    ]
    objects += summary.findings.map {
      ["kind": "finding", "topic": $0.topic.rawValue, "figure": $0.figure, "sentence": $0.sentence]
    }
    for (kind, table) in [
      ("pair", pairTable), ("comparison", comparisonTable), ("daily", dailyTable), ("network", networkTable),
      ("change", changeTable), ("exclusion", exclusionTable),
    ] {
      objects += table.rows.map { row in
        var object: [String: any Sendable] = ["kind": kind]
        for (column, cell) in zip(table.columns, row) {
          object[column.name] =
            switch cell {
            case .number(let value): value.isFinite ? value : NSNull()
            case .text(let text): text
            case .empty: NSNull()
            }
        }
        return object
      }
    }
    return objects
  }
}
