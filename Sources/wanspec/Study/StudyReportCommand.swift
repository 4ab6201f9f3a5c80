import ArgumentParser
import CommandSettings
import Console
import Foundation
import LatencyStudy
import OutputFiles
import StudyAnalysis
import StudyReport

struct StudyReportCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "report",
    abstract: "Say what a study found: text on the terminal, one page with charts.",
    discussion: """
      Every figure has its interval, and what was left out is listed with the reason. docs/study.md says how the figures \
      are made.

      Examples:
        wanspec study report all.sqlite
        wanspec study report all.sqlite --output report.html
      """)

  @Argument(help: ArgumentHelp("A study's file.", valueName: "store"), completion: .file())
  var store: String

  @Option(
    name: [.short, .customLong("output")],
    help: ArgumentHelp("Write a page here.", valueName: "file"), completion: .file())
  var output: String?

  @Flag(Settings.json) var json = false

  mutating func validate() throws {
    json = try Settings.json.resolve(json)
    try OutputName.check(output, for: "a page", ["html", "htm"])
  }

  func run() async throws {
    let data = try StudyStore.data(in: store)
    let bar = ProgressBar(title: "report")
    let summary = await StudySummary.make(data) { bar.update(done: Int64($0), total: Int64($1)) }
    bar.finish()
    let command = "wanspec study report \(store)" + (output.map { " --output \($0)" } ?? "")
    let report = StudyReport(summary, version: BuildInformation.version, command: command)
    if json {
      for object in report.objects { JSONLine.print(object) }
    } else {
      StandardOutput.line(report.text)
    }
    guard let output else { return }
    try OutputFile.write(try report.page.html(), to: output)
    if !json { StandardOutput.line("\npage: \(output)") }
  }
}
