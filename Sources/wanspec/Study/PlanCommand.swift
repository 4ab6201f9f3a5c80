import ArgumentParser
import CommandSettings
import Console
import Foundation
import LatencyStudy
import OutputFiles
import Placement
import ScenarioReports
import StudyAnalysis

struct PlanCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "plan",
    abstract: "Say where workers belong: every pair of sites, simulated.",
    discussion: """
      A plan's file names sites, what stands there and what it costs, beside a scenario's keys for the models and their \
      hardware (docs/simulator.md). Round trips come from the file, from a study's probes by hour of the day, or, where \
      nobody measured, from the distance; the table says which.

      Examples:
        wanspec plan Scenarios/plans/three-continents.yaml
        wanspec plan plan.yaml --study all.sqlite --output plan.html

      Exit code 0; 1 when the file is not valid.
      """)

  @Argument(help: ArgumentHelp("A plan's file.", valueName: "plan"), completion: .file())
  var file: String

  @Option(
    help: ArgumentHelp("Take round trips by hour from this study's file.", valueName: "store"),
    completion: .file())
  var study: String?

  @Option(
    name: [.short, .customLong("output")],
    help: ArgumentHelp("Write a page here.", valueName: "file"), completion: .file())
  var output: String?

  @Option(Settings.jobs) var jobs: Int?

  @Flag(Settings.json) var json = false

  mutating func validate() throws {
    jobs = try Settings.jobs.resolve(jobs)
    json = try Settings.json.resolve(json)
    try OutputName.check(output, for: "a page", ["html", "htm"])
  }

  func run() async throws {
    let file = try PlanFile.read(file)
    let data = try study.map { try StudyStore.data(in: $0) }
    let planner = Planner(file, study: data)
    let bar = ProgressBar(title: file.name)
    let jobs = jobs ?? ProcessInfo.processInfo.activeProcessorCount
    let result = try await orInterrupted {
      try await planner.run(jobs: jobs) { bar.update(done: Int64($0), total: Int64($1)) }
    }
    bar.finish()
    let command = "wanspec plan \(self.file)" + (study.map { " --study \($0)" } ?? "")
    let report = PlanReport(
      result, tolerance: file.tolerance, emulated: data?.emulated, command: command,
      version: BuildInformation.version)
    if json {
      try JSONLine.print(result)
    } else {
      StandardOutput.line(report.text)
    }
    guard let output else { return }
    try OutputFile.write(try report.page.html(), to: output)
    if !json { StandardOutput.line("\npage: \(output)") }
  }
}
