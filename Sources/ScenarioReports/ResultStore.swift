import Console
import Foundation
import OutputFiles
import Simulator
import Synchronization

/// A folder of results: rows as they come, so that a run goes on where it stopped; tables and a page at its end.
package final class ResultStore: Sendable {
  package let folder: URL
  /// Rows of earlier runs, by key.
  package let rows: [String: ResultRow]
  private let file: LineFile

  /// - Throws: `CommandFailure` when the folder cannot be used
  package init(_ path: String, scenario: String) throws {
    folder = URL(fileURLWithPath: path, isDirectory: true)
    do {
      try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
    } catch {
      throw CommandFailure(
        "cannot make the folder \(path): \(SystemProblem.words(error))",
        hint: "check the path and its permissions")
    }
    let lines = folder.appendingPathComponent("points.jsonl")
    var rows: [String: ResultRow] = [:]
    if let data = FileManager.default.contents(atPath: lines.path) {
      let decoder = JSONDecoder()
      for line in data.split(separator: 0x0A) {
        // The last line of a run that was killed may be cut; it runs again.
        guard let row = try? decoder.decode(ResultRow.self, from: line) else { continue }
        rows[row.key] = row
      }
    }
    self.rows = rows
    file = try LineFile(lines.path, .atEnd)
  }

  package func append(_ row: ResultRow) throws {
    let encoder = JSONEncoder()
    encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
    try file.append(try encoder.encode(row))
  }

  /// Writes results.csv, results.json and report.html.
  package func finish(_ report: ExperimentReport) throws {
    func write(_ text: String, _ name: String) throws {
      try OutputFile.write(text, to: folder.appendingPathComponent(name).path)
    }
    let table = report.table
    try write(table.csv(), "results.csv")
    try write(table.json(), "results.json")
    try write(try report.page().html(), "report.html")
    StandardError.write("results.csv, results.json and report.html are in \(folder.path)\n")
  }
}

/// Counts up from any thread.
package final class Counter: Sendable {
  private let value: Atomic<Int>
  package init(_ start: Int) { value = Atomic(start) }
  package func next() -> Int { value.add(1, ordering: .relaxed).newValue }
}
