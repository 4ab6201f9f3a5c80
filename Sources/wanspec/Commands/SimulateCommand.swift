import ArgumentParser
import CommandSettings
import Console
import Failures
import Foundation
import ScenarioReports
import Simulator
import SpeculationCore

struct SimulateCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "simulate",
    abstract: "Run a scenario under virtual time, without any model.",
    discussion: """
      The same decisions as the real program takes, on recorded models: see where the approach pays, and choose \
      settings, before anything is rented. Scenarios/ holds examples; --keys lists every key.

      Examples:
        wanspec simulate Scenarios/round-trip.yaml
        wanspec simulate Scenarios/round-trip.yaml --set target.pass=20ms --output results/round-trip
        wanspec simulate --faults --seeds 2000

      With --output, finished points are kept there: an interrupted run goes on where it stopped, and changed \
      ones alone run again. The folder then holds results.csv, results.json and report.html.

      Exit code 0; 1 when a scenario is not valid or a fault run fails.
      """)

  @Argument(help: ArgumentHelp("A scenario file.", valueName: "file"))
  var file: String?

  @Option(
    name: .customLong("set"), parsing: .unconditionalSingleValue,
    help: ArgumentHelp(
      "Replace a value of the scenario: link.rtt=50ms; may be repeated.", valueName: "key=value"))
  var settings: [String] = []

  @Option(Settings.output, isShort: true) var output: String?

  @Option(Settings.jobs) var jobs: Int?

  @Flag(Settings.json) var json = false

  @Flag(help: "Random deployments with faults, checked after every event, instead of a scenario.")
  var faults = false

  @Option(
    parsing: .unconditional,
    help: ArgumentHelp("With --faults: how many random runs. (default: 2000)", valueName: "n"))
  var seeds: Int?

  @Option(
    name: .customLong("first-seed"), parsing: .unconditional,
    help: ArgumentHelp("With --faults: the first seed. (default: 1)", valueName: "seed"))
  var firstSeed: UInt64?

  @Option(help: ArgumentHelp("With --faults: run one stored plan instead.", valueName: "file"))
  var replay: String?

  @Flag(
    help:
      "Measure how fast this machine simulates, instead of a scenario: tokens per second on one core and on all."
  )
  var speed = false

  @Flag(help: "List every key of a scenario, with its limits and default.")
  var keys = false

  mutating func validate() throws {
    output = try Settings.output.resolve(output)
    jobs = try Settings.jobs.resolve(jobs) ?? ProcessInfo.processInfo.activeProcessorCount
    json = try Settings.json.resolve(json)
    if speed || keys {
      let flag = keys ? "--keys" : "--speed"
      if file != nil || faults || (speed && keys) {
        throw ValidationError("\(flag) takes neither a scenario nor another kind of run.")
      }
    } else if faults {
      if file != nil { throw ValidationError("Give a scenario or --faults, not both.") }
      if output != nil || !settings.isEmpty {
        throw ValidationError("--faults takes neither --set nor --output.")
      }
      if let seeds, !(1...100_000_000).contains(seeds) {
        throw ValidationError("--seeds must be between 1 and 100000000, not \(seeds).")
      }
    } else {
      if file == nil { throw ValidationError("Give a scenario file, such as Scenarios/round-trip.yaml.") }
      if seeds != nil || firstSeed != nil || replay != nil {
        throw ValidationError("--seeds, --first-seed and --replay belong to --faults.")
      }
    }
  }

  func run() async throws {
    if faults { return try await runFaults() }
    if speed { return await measureSpeed() }
    if keys { return listKeys() }
    let scenario = try scenario()
    let store = try output.map { try ResultStore($0, scenario: scenario.name) }
    let version = BuildInformation.version
    let build = BuildInformation.identity
    let known = store?.rows ?? [:]
    let bar = ProgressBar(title: scenario.name)
    let total = scenario.points.count
    let done = Counter(scenario.points.count { known[ResultRow.key($0, version: build)] != nil })
    let experiment = Experiment(scenario)
    let jobs = self.jobs!
    let results = try await orInterrupted {
      try await experiment.run(jobs: jobs) {
        known[ResultRow.key($0, version: build)] != nil
      } report: { index, result in
        let point = scenario.points[index]
        try store?.append(ResultRow(point, result, version: build))
        bar.update(done: Int64(done.next()), total: Int64(total), note: point.variant)
      }
    }
    bar.finish()
    let rows = zip(scenario.points, results).map { point, result in
      result.map { ResultRow(point, $0, version: build) } ?? known[ResultRow.key(point, version: build)]!
    }
    let report = ExperimentReport(
      ExperimentResults(scenario, rows), version: version, command: commandLine(scenario))
    if json {
      for object in report.objects { JSONLine.print(object) }
    } else {
      StandardOutput.line(report.text)
    }
    if let store { try store.finish(report) }
  }

  private func scenario() throws -> Scenario {
    let pairs = try settings.map { setting in
      guard let equals = setting.firstIndex(of: "="), equals != setting.startIndex else {
        throw CommandFailure("--set \(setting): write KEY=VALUE", hint: "such as --set link.rtt=50ms")
      }
      return (path: String(setting[..<equals]), value: String(setting[setting.index(after: equals)...]))
    }
    return try Scenario.read(file!, settings: pairs)
  }

  /// What makes the same results again.
  private func commandLine(_ scenario: Scenario) -> String {
    (["wanspec simulate \(file!)"] + settings.map { "--set '\($0)'" }).joined(separator: " ")
  }

  private func listKeys() {
    if json {
      ScenarioKeyReport.objects.forEach { JSONLine.print($0) }
    } else {
      StandardOutput.line(ScenarioKeyReport.text)
    }
  }

  private func measureSpeed() async {
    let (jobs, json) = (self.jobs!, self.json)
    await withCheckedContinuation { continuation in
      DispatchQueue.global().async {
        let rows = SpeedReport.measure(jobs: jobs)
        if json { rows.forEach { JSONLine.print($0.object) } } else { StandardOutput.line(rows.text) }
        continuation.resume()
      }
    }
  }

  // MARK: Faults

  private func runFaults() async throws {
    TrapReport.install()
    if let replay { return try self.replay(replay) }
    let first = firstSeed ?? 1
    let (seeds, overflows) = first.addingReportingOverflow(UInt64(seeds ?? 2000))
    guard !overflows else { throw CommandFailure("the seeds from \(first) on are not that many") }
    let bar = ProgressBar(title: "faults")
    let (jobs, version) = (self.jobs!, BuildInformation.version)
    // Not on a thread of the cooperative pool: the runs compute for as long as they last.
    let summary = await withCheckedContinuation { continuation in
      DispatchQueue.global().async {
        continuation.resume(
          returning: FaultCampaign.run(
            seeds: first..<seeds, cores: jobs,
            progress: { bar.update(done: Int64($0), total: Int64(seeds - first)) }))
      }
    }
    bar.finish()
    let report = FaultReport(summary: summary, first: first, version: version)
    if json { JSONLine.print(report.object) } else { StandardOutput.line(report.text) }
    if summary.failure != nil { throw ExitCode.failure }
  }

  private func replay(_ path: String) throws {
    guard let data = FileManager.default.contents(atPath: path), data.count < 16 << 20 else {
      throw CommandFailure("cannot read the plan \(path)", hint: "check the path; a plan is below 16 MiB")
    }
    let plan: FaultPlan
    do {
      let text = String(decoding: data, as: UTF8.self)
      plan = if let kept = try? FaultRegression(json: text) { kept.plan } else { try FaultPlan(json: text) }
    } catch {
      throw CommandFailure("\(path) is no plan: \((error as? DecodingError)?.words ?? "\(error)")")
    }
    do {
      let outcome = try plan.run()
      if json {
        JSONLine.print(["plan": path, "passed": true, "events": outcome.counts[.events]])
      } else {
        StandardOutput.line("\(path): passes, \(outcome.counts[.events]) events")
      }
    } catch {
      StandardOutput.line("\(path): \(error.kind.rawValue): \(error)")
      throw ExitCode.failure
    }
  }
}
