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
    jobs: Int, isDone: (Scenario.Point) -> Bool = { _ in false },
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
    let progress = Progress(count: points.count)
    try await withThrowingTaskGroup(of: Void.self) { group in
      for _ in 0..<max(1, min(jobs, wanted.count)) {
        group.addTask {
          while let turn = progress.next(below: wanted.count) {
            try Task.checkCancellation()
            let index = wanted[turn]
            let setup = points[index].setup
            let source = shared[SourceKey(texts: setup.texts, seed: setup.seed)]!
            let result = try setup.run(source)
            progress.finish(index, result)
            try report(index, result)
          }
        }
      }
      try await group.waitForAll()
    }
    return progress.results
  }

  /// What the tasks share.
  private final class Progress: Sendable {
    private let turn = Atomic(0)
    private let finished: Mutex<[SimulationResult?]>

    init(count: Int) { finished = Mutex(Array(repeating: nil, count: count)) }

    func next(below limit: Int) -> Int? {
      let mine = turn.add(1, ordering: .relaxed).oldValue
      return mine < limit ? mine : nil
    }

    func finish(_ index: Int, _ result: SimulationResult) { finished.withLock { $0[index] = result } }

    var results: [SimulationResult?] { finished.withLock { $0 } }
  }

  private struct SourceKey: Hashable {
    var texts: TextSource
    var seed: UInt64
  }
}
