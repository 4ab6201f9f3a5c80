import ArgumentParser
import Console
import Foundation
import LatencyStudy
import OutputFiles
import Spelling

extension StudyStore.ExportFormat: ExpressibleByArgument {}

struct StudyExportCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "export",
    abstract: "Write all probes as CSV or JSON lines.",
    discussion: """
      One line for each probe, in the order in which they were stored. Durations are whole nanoseconds; times are \
      nanoseconds since 1970. JSON lines have the same keys with the same types throughout, so that they become \
      columns (Parquet, pandas, DuckDB), and also hold when each piece of the answer came (chunk_times_ns, chunk_bytes).

      Examples:
        wanspec study export all.sqlite --output probes.csv
        wanspec study export all.sqlite --format jsonl | gzip > probes.jsonl.gz
      """)

  @Argument(help: ArgumentHelp("A study's file.", valueName: "store"), completion: .file())
  var store: String

  @Option(help: "csv or jsonl. (default: by the name of --output, else csv)")
  var format: StudyStore.ExportFormat?

  @Option(
    name: [.short, .customLong("output")],
    help: ArgumentHelp("The file to write. (default: standard output)", valueName: "file"),
    completion: .file())
  var output: String?

  mutating func validate() throws {
    guard format == nil else { return }
    try OutputName.check(
      output, for: "CSV or JSON lines", ["csv", "jsonl", "ndjson", "json"],
      hint: "--format writes one of them whatever the name; DuckDB and pandas make others of JSON lines")
  }

  func run() async throws {
    let opened = try StudyStore.open(store)
    defer { opened.close() }
    let format = format ?? .init(forFile: output ?? "")
    var buffer = Data()
    let file = try output.map { try OutputFile($0) }
    func write(atLeast bytes: Int) throws {
      guard buffer.count >= bytes else { return }
      if let file { try file.write(buffer) } else { StandardOutput.write(buffer) }
      buffer = Data()
    }
    let count = try opened.export(format) { line in
      buffer.append(contentsOf: line.utf8)
      try write(atLeast: 1 << 18)
    }
    try write(atLeast: 0)
    guard let output, let file else { return }
    try file.finish()
    StandardError.write("\(count.counted("probe")) in \(output)\n")
  }
}
