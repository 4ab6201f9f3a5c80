import SpeculationCore

/// The results of a scenario, the best of each choice picked, compared with its baselines.
public struct ExperimentResults: Sendable {
  public struct Entry: Sendable {
    public var row: ResultRow
    /// Speed against plain decoding at the same place of the sweep; nil without such a variant.
    public var speedup: Double?
    /// 1 - controller passes / local parallel's; nil without such a variant, and where no worker drafts.
    public var moved: Double?
    /// Whether somebody else drafts.
    var hasWorkers: Bool
    /// Whether the target checks guesses at all.
    var speculates: Bool

    // Figures that mean something for this variant, else nil.
    public var bubbleRate: Double? { speculates ? row.bubbleRate : nil }
    public var pausedShare: Double? { speculates ? row.pausedShare : nil }
    public var workerExpansionsPerToken: Double? { hasWorkers ? row.workerExpansionsPerToken : nil }
    public var wastedShare: Double? { hasWorkers ? row.wastedShare : nil }
    public var bytesPerToken: Double? { hasWorkers ? row.bytesPerToken : nil }
  }

  public let scenario: Scenario
  public let entries: [Entry]

  /// - Parameter rows: one for each point, in the scenario's order
  public init(_ scenario: Scenario, _ rows: [ResultRow]) {
    self.scenario = scenario
    var best: [(row: ResultRow, plan: SimulationPlan)] = []
    for (row, point) in zip(rows, scenario.points) {
      if let last = best.last?.row, last.variant == row.variant, last.place == row.place, !row.choice.isEmpty
      {
        if row.millisecondsPerToken < last.millisecondsPerToken {
          best[best.count - 1] = (row, point.setup.plan)
        }
      } else {
        best.append((row, point.setup.plan))
      }
    }
    let plain = scenario.variant(of: .plain)
    let parallel = scenario.variant(of: .localParallel)
    func at(_ place: [[String]], _ variant: String?) -> ResultRow? {
      best.first { $0.row.variant == variant && $0.row.place == place }?.row
    }
    entries = best.map { row, plan in
      let hasWorkers = plan.settings.usesWorkers && !plan.workers.isEmpty
      let other = hasWorkers ? at(row.place, parallel) : nil
      return Entry(
        row: row,
        speedup: at(row.place, plain).map { $0.millisecondsPerToken / row.millisecondsPerToken },
        moved: other.flatMap {
          $0.localExpansionsPerToken > 0 ? 1 - row.localExpansionsPerToken / $0.localExpansionsPerToken : nil
        },
        hasWorkers: hasWorkers, speculates: plan.settings.verification.maxNodes > 0)
    }
  }

  public func entries(of variant: String) -> [Entry] { entries.filter { $0.row.variant == variant } }

  /// Along a sweep of one axis, up to where a variant takes no longer than `factor` times another: the last
  /// swept value before it does; nil when it does from the start.
  public func lastNotSlower(_ variant: String, than other: String, factor: Double = 1) -> String? {
    var last: String?
    for (mine, theirs) in zip(entries(of: variant), entries(of: other)) {
      guard mine.row.millisecondsPerToken <= theirs.row.millisecondsPerToken * factor else { break }
      last = mine.row.place.first?.last
    }
    return last
  }
}

extension Scenario {
  /// The baselines of the literature.
  public enum Baseline: Sendable { case plain, localSequential, localParallel }

  /// The first variant that is a baseline.
  public func variant(of baseline: Baseline) -> String? {
    points.first { point in
      let settings = point.setup.plan.settings
      return switch baseline {
      case .plain: settings.verification.maxNodes == 0
      case .localSequential:
        if case .beforeVerification = settings.localSchedule { true } else { false }
      case .localParallel:
        !settings.usesWorkers && settings.localPolicy == .always && settings.localSchedule == .overlapped
      }
    }?.variant
  }
}
