import SpeculationCore
import Synchronization

/// Runs the points of a scenario on several cores. What comes out depends on the points alone, not on how many
/// cores ran them or in which order.
public struct Experiment: Sendable {
  public let scenario: Scenario

  public init(_ scenario: Scenario) { self.scenario = scenario }

  /// - Parameters:
  ///   - jobs: points at the same time
  ///   - isDone: points that need not run again
  ///   - report: called from any thread, once for each point as it is finished
  /// - Returns: results by index of their point; nil for those that were done already
  public func run(
    jobs: Int, isDone: @Sendable (Scenario.Point) -> Bool = { _ in false },
    report: @escaping @Sendable (Int, SimulationResult) throws -> Void
  ) async throws -> [SimulationResult?] {
    let points = scenario.points
    let wanted = points.indices.filter { !isDone(points[$0]) }
    // Each distinct text is read or drawn once and shared.
    var sources: [SourceKey: TokenSource] = [:]
    for index in wanted {
      let setup = points[index].setup
      let key = SourceKey(texts: setup.texts, seed: setup.seed)
      if sources[key] == nil { sources[key] = try setup.texts.load(seed: setup.seed) }
    }
    let shared = sources
    let next = Atomic(0)
    let results = Mutex([SimulationResult?](repeating: nil, count: points.count))
    try await withThrowingTaskGroup(of: Void.self) { group in
      for _ in 0..<max(1, min(jobs, wanted.count)) {
        group.addTask {
          while true {
            let turn = next.add(1, ordering: .relaxed).oldValue
            guard turn < wanted.count else { return }
            try Task.checkCancellation()
            let index = wanted[turn]
            let setup = points[index].setup
            let source = shared[SourceKey(texts: setup.texts, seed: setup.seed)]!
            let result = Simulation.run(setup.plan, source)
            results.withLock { $0[index] = result }
            try report(index, result)
          }
        }
      }
      try await group.waitForAll()
    }
    return results.withLock { $0 }
  }

  private struct SourceKey: Hashable {
    var texts: TextSource
    var seed: UInt64
  }
}
