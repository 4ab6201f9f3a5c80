import Foundation
import Simulator
import StrictYAML
import StudyAnalysis
import Synchronization

/// Runs the simulator for every controller and worker site, and says where workers belong.
///
/// Sites with equal hardware and equal round trips are simulated once. The same file gives the same plan, whatever the
/// number of cores.
public struct Planner: Sendable {
  private let file: PlanFile
  private let roundTrips: RoundTrips

  public init(_ file: PlanFile, study: StudyData? = nil) {
    self.file = file
    roundTrips = RoundTrips(file, study: study)
  }

  private static let plain = "plain"
  private static let sequential = "local sequential"
  private static let parallel = "local parallel"
  private static let wan = "wan"

  /// Baselines as in the shipped scenarios: drafting at home at its best, in sequence and in parallel.
  private static let variants = """
    variants:
    - {name: "\(plain)", changes: {controller: {mode: plain}}}
    - name: "\(sequential)"
      changes: {controller: {mode: local-sequential}}
      best-of: {controller.draft-length: [3, 4, 5, 6, 8]}
    - {name: "\(parallel)", changes: {controller: {mode: local-parallel}}}
    - {name: "\(wan)"}
    """

  /// One scenario: the hardware of a controller and of a worker, at some round trips.
  private struct Job: Sendable {
    /// What the hardware is: the scenario's canonical text, so that equal sites are found equal.
    var hardware: String
    var scenario: Scenario
  }

  /// - Parameters:
  ///   - jobs: simulations at the same time
  ///   - progress: called from any thread with simulations done, and how many there are
  /// - Throws: `YAMLError` for what the scenario's part says; `RecordingError`; `CancellationError`
  public func run(
    jobs: Int, progress: @escaping @Sendable (Int, Int) -> Void = { _, _ in }
  ) async throws -> PlanResult {
    let paths = file.controllers.map { controller in file.workers.map { roundTrips.path(controller, $0) } }
    let work = try self.jobs(paths)
    let total = work.reduce(0) { $0 + $1.scenario.points.count }
    let done = Atomic(0)
    var entries: [String: [String: [String: ExperimentResults.Entry]]] = [:]
    for job in work {
      let results = try await Experiment(job.scenario).run(jobs: jobs) { _, _ in
        progress(done.add(1, ordering: .relaxed).newValue, total)
      }
      let rows = zip(job.scenario.points, results).compactMap { point, result in
        result.map { ResultRow(point, $0, version: "") }
      }
      for entry in ExperimentResults(job.scenario, rows).entries {
        entries[job.hardware, default: [:]][entry.row.variant, default: [:]][entry.row.place[0][1]] = entry
      }
    }
    var pairs: [PlanResult.Pair] = []
    for (controller, row) in zip(file.controllers, paths) {
      var own: [PlanResult.Pair] = []
      for (worker, path) in zip(file.workers, row) {
        guard let found = entries[try hardware(controller, worker).canonicalText] else { continue }
        own.append(pair(controller, worker, path, found))
      }
      pairs += ranked(own)
    }
    return PlanResult(
      name: file.name, controllers: file.controllers.map(\.name), workers: file.workers.map(\.name), pairs: pairs,
      simulations: total)
  }

  // MARK: Simulations

  private func hardware(
    _ controller: PlanFile.Site, _ worker: PlanFile.Site
  ) throws(YAMLError) -> YAMLDocument {
    var document = file.scenario
    for changes in [controller.controllerChanges, worker.workerChanges] { if let changes { try document.merge(changes) } }
    return document
  }

  private func jobs(_ paths: [[RoundTrips.Path]]) throws(YAMLError) -> [Job] {
    var times: [String: Set<Double>] = [:]
    var documents: [(hardware: String, document: YAMLDocument)] = []
    for (controller, row) in zip(file.controllers, paths) {
      for (worker, path) in zip(file.workers, row) {
        let document = try hardware(controller, worker)
        let text = document.canonicalText
        if times[text] == nil { documents.append((text, document)) }
        times[text, default: []].formUnion(path.hours)
      }
    }
    var jobs: [Job] = []
    for (hardware, document) in documents {
      var document = document
      let list = times[hardware, default: []].sorted().map { Self.text($0) }.joined(separator: ", ")
      try document.set("sweep", to: "{link.rtt: [\(list)]}")
      try document.merge(try YAMLDocument(parsing: Self.variants, name: "plan").node)
      try document.set("name", to: file.name)
      jobs.append(Job(hardware: hardware, scenario: try Scenario(document, folder: file.folder)))
    }
    return jobs
  }

  /// As the sweep has it, and as its results name it.
  private static func text(_ seconds: Double) -> String { "\(Int64((seconds * 1e6).rounded()))us" }

  // MARK: Verdicts

  private func pair(
    _ controller: PlanFile.Site, _ worker: PlanFile.Site, _ path: RoundTrips.Path,
    _ found: [String: [String: ExperimentResults.Entry]]
  ) -> PlanResult.Pair {
    let hours = path.hours.enumerated().compactMap { hour, seconds -> PlanResult.Hour? in
      let place = Self.text(seconds)
      guard let wan = found[Self.wan]?[place], let plain = found[Self.plain]?[place],
        let sequential = found[Self.sequential]?[place], let parallel = found[Self.parallel]?[place]
      else { return nil }
      let local = min(sequential.row.millisecondsPerToken, parallel.row.millisecondsPerToken)
      return PlanResult.Hour(
        hour: path.hours.count == 1 ? nil : hour, roundTripMilliseconds: seconds * 1000,
        millisecondsPerToken: wan.row.millisecondsPerToken, plainMillisecondsPerToken: plain.row.millisecondsPerToken,
        localMillisecondsPerToken: local, ratio: local / wan.row.millisecondsPerToken,
        speedup: plain.row.millisecondsPerToken / wan.row.millisecondsPerToken,
        moved: 1 - wan.row.homeExpansionsPerToken / max(1e-9, parallel.row.homeExpansionsPerToken),
        timeToFirstTokenMilliseconds: wan.row.timeToFirstToken, bytesPerToken: wan.row.bytesPerToken)
    }
    var pair = PlanResult.Pair(
      controller: controller.name, worker: worker.name, roundTripMilliseconds: path.median * 1000, origin: path.origin,
      hours: hours, verdict: .works, reason: "", slowHours: [])
    pair.slowHours = hours.compactMap { $0.ratio < 1 - file.tolerance ? $0.hour : nil }
    judge(&pair, controller, worker)
    return pair
  }

  private func judge(_ pair: inout PlanResult.Pair, _ controller: PlanFile.Site, _ worker: PlanFile.Site) {
    let change = pair.ratio - 1
    let against = change >= 0 ? "\(Self.percent(change)) faster" : "\(Self.percent(-change)) slower"
    let distance = "RTT \(Self.number(pair.roundTripMilliseconds)) ms: \(against) than drafting at home"
    let isPriced = controller.targetPrice > 0 || controller.draftPrice > 0 || worker.draftPrice > 0
    if isPriced {
      // What is held while a token is written: the target's machine, and the one that drafts.
      let local = (controller.targetPrice + controller.draftPrice) * pair.localMillisecondsPerToken
      let home = controller.draftPrice * min(1, max(0, 1 - pair.moved))
      let wan = (controller.targetPrice + home + worker.draftPrice) * pair.millisecondsPerToken
      // USD/h × ms/token × 1e6 tokens = USD × 1e6 / 3.6e6.
      pair.usdSavedPerMillionTokens = (local - wan) / 3.6
      pair.usdSavedPerYear = file.tokensPerSecond.map { (local - wan) / 3.6e6 * $0 * 31_557_600 }
    }
    let loses = (pair.usdSavedPerMillionTokens ?? 0) < 0
    if pair.ratio < 1 - file.tolerance {
      pair.verdict = .notWorthIt
      pair.reason = distance
    } else if pair.millisecondsPerToken >= pair.plainMillisecondsPerToken {
      pair.verdict = .notWorthIt
      pair.reason = "\(distance), and no faster than plain decoding"
    } else if loses {
      pair.verdict = .notWorthIt
      pair.reason = "\(distance), but dearer by \(Self.number(-(pair.usdSavedPerMillionTokens ?? 0))) USD for a million tokens"
    } else {
      pair.reason = "\(distance), \(Self.percent(pair.moved)) of its draft work moved"
      if !pair.slowHours.isEmpty { pair.reason += "; slower in \(pair.slowHours.count) hours of the day" }
    }
  }

  /// The best worker of a controller is recommended: the one that saves most, or without prices the fastest.
  private func ranked(_ pairs: [PlanResult.Pair]) -> [PlanResult.Pair] {
    func value(_ pair: PlanResult.Pair) -> Double { pair.usdSavedPerMillionTokens ?? pair.ratio }
    let best = pairs.indices.filter { pairs[$0].verdict == .works }.max { value(pairs[$0]) < value(pairs[$1]) }
    var result = pairs
    if let best { result[best].verdict = .recommended }
    return result
  }

  private static func percent(_ share: Double) -> String { number(share * 100) + "%" }

  private static func number(_ value: Double) -> String {
    value.formatted(
      .number.precision(.fractionLength(abs(value) < 9.95 ? 1 : 0)).grouping(.never)
        .locale(Locale(identifier: "en_US_POSIX")))
  }
}
