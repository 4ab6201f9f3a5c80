import Foundation
import Simulator
import StrictYAML
import StudyAnalysis
import Synchronization

/// Runs the simulator for every controller and worker site, and says where workers belong.
///
/// Sites with equal hardware and equal round trips are simulated once, what a controller does alone once for all
/// workers. The same file gives the same plan, whatever the number of cores.
///
/// What is simulated is what `wanspec simulate` simulates with the same hardware and link, and what
/// `wanspec bench --predict` does with the same profile, texts and measured plain decoding.
public struct Planner: Sendable {
  private let file: PlanFile
  private let roundTrips: RoundTrips
  /// Decides whether it is summer at a site.
  private let date: Date

  /// - Parameter study: round trips by hour of the day, where the file gives none; its middle decides about summer
  ///   time, the first of January otherwise
  public init(_ file: PlanFile, study: StudyData? = nil) {
    self.file = file
    roundTrips = RoundTrips(file, study: study)
    date =
      study.map { $0.date(of: ($0.slots.lowerBound + $0.slots.upperBound) / 2) }
      // 2026-01-01, 12:00 UTC.
      ?? Date(timeIntervalSince1970: 1_767_268_800)
  }

  /// A pair's links and where its simulations are found, hour by hour.
  private struct Row {
    var controller: PlanFile.Site
    var worker: PlanFile.Site
    var path: RoundTrips.Path
    /// One, where all hours are the same.
    var hours: [(roundTrip: Double, wan: Workload.Place, alone: Workload.Place)]
  }

  /// - Parameters:
  ///   - jobs: simulations at the same time
  ///   - progress: called from any thread with simulations done, and how many there are
  /// - Throws: `YAMLError` for what the scenario's part says; `RecordingError`; `CancellationError`
  public func run(
    jobs: Int, progress: @escaping @Sendable (Int, Int) -> Void = { _, _ in }
  ) async throws -> PlanResult {
    var workload = Workload()
    var rows: [Row] = []
    for controller in file.controllers {
      for worker in file.workers { rows.append(try row(controller, worker, &workload)) }
    }
    var result = PlanResult(
      name: file.name, tolerance: file.tolerance, controllers: file.controllers.map(\.name),
      workers: file.workers.map(\.name), pairs: [], simulations: 0,
      falseRoundTrips: roundTrips.unbelievable)
    guard let compiled = try workload.compiled(file) else { return result }
    let points = compiled.scenario.points
    let done = Atomic(0)
    let figures = try await Experiment(compiled.scenario).run(jobs: jobs) { _, _ in
      progress(done.add(1, ordering: .relaxed).newValue, points.count)
    }.map { $0.map(SimulatedFigures.init) }
    func found(_ place: Workload.Place) -> [(point: Scenario.Point, figures: SimulatedFigures)] {
      compiled.points(place).compactMap { index in figures[index].map { (points[index], $0) } }
    }
    var alone: [Workload.Place: LocalFigures] = [:]
    for place in Set(rows.flatMap { $0.hours.map(\.alone) }) { alone[place] = LocalFigures(found(place)) }
    for controller in file.controllers {
      var judgement = PlanJudgement(file, controller)
      for row in rows where row.controller.name == controller.name {
        let hours = row.hours.compactMap { hour -> PairHour? in
          guard let local = alone[hour.alone], let wan = found(hour.wan).first else { return nil }
          return PairHour(roundTrip: hour.roundTrip, wan: wan.figures, local: local)
        }
        judgement.add(row.worker, row.path, hours)
      }
      result.pairs += judgement.judged()
    }
    result.simulations = points.count
    return result
  }

  private func row(
    _ controller: PlanFile.Site, _ worker: PlanFile.Site, _ workload: inout Workload
  ) throws(YAMLError) -> Row {
    struct Key: Hashable {
      var roundTrip, target, local, draft: Double
    }
    let path = roundTrips.path(controller, worker)
    let keys = (0..<24).map { hour in
      let here = controller.slowdown(utcHour: hour, at: date)
      return Key(
        roundTrip: path.at(hour), target: here.target, local: here.draft,
        draft: worker.slowdown(utcHour: hour, at: date).draft)
    }
    var row = Row(controller: controller, worker: worker, path: path, hours: [])
    var known: [Key: (roundTrip: Double, wan: Workload.Place, alone: Workload.Place)] = [:]
    for key in Set(keys).count == 1 ? Array(keys.prefix(1)) : keys {
      if let same = known[key] {
        row.hours.append(same)
        continue
      }
      guard let here = file.hardware[controller.name], let there = file.hardware[worker.name] else {
        preconditionFailure("every site of a plan has its hardware")
      }
      let scenario = PairScenario(file: file)
      let slowdown = (target: key.target, draft: key.local)
      let pair = try scenario.pair(
        controller, here, slowdown: slowdown, worker, there, workerSlowdown: key.draft)
      let hour = (
        roundTrip: key.roundTrip, wan: workload.add(pair, roundTrip: key.roundTrip),
        alone: workload.add(try scenario.alone(controller, here, slowdown: slowdown))
      )
      known[key] = hour
      row.hours.append(hour)
    }
    return row
  }
}
