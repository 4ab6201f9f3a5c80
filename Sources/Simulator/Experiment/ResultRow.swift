import SpeculationCore

/// What one point of a scenario came to, as it is stored.
public struct ResultRow: Codable, Sendable, Hashable {
  /// Hash of everything that the result depends on, the program's version included.
  public var key: String
  public var variant: String
  /// Swept values and chosen ones as written, by path, in the scenario's order.
  public var place: [[String]]
  public var choice: [[String]]
  public var millisecondsPerToken: Double
  public var localExpansionsPerToken: Double
  public var workerExpansionsPerToken: Double
  public var tokensPerStep: Double
  public var bubbleRate: Double
  public var wastedShare: Double
  public var bytesPerToken: Double
  public var timeToFirstToken: Double
  public var tokens: Int
  public var steps: Int
  public var acceptedLookup: Int
  public var pausedShare: Double
  /// Shares of the time that the engines computed.
  public var targetBusy: Double
  public var workerBusy: Double
  /// Where the scenario has a workload: what the server's users saw, and how many streams the target carries.
  public var serving: ServingSummary?
  public var streams: Int?

  public init(_ point: Scenario.Point, _ result: SimulationResult, version: String) {
    key = Self.key(point, version: version)
    variant = point.variant
    place = point.place.map { [$0.path, $0.value] }
    choice = point.choice.map { [$0.path, $0.value] }
    millisecondsPerToken = result.millisecondsPerToken
    localExpansionsPerToken = result.localExpansionsPerToken
    workerExpansionsPerToken = result.workerExpansionsPerToken
    tokensPerStep = result.tokensPerStep
    bubbleRate = result.statistics.bubbleRate
    wastedShare = result.statistics.wastedShare
    bytesPerToken = result.bytesPerToken
    timeToFirstToken = result.meanTimeToFirstToken
    tokens = result.statistics.tokens
    steps = result.statistics.steps
    acceptedLookup = result.statistics.acceptedLookup
    pausedShare = result.statistics.pausedShare
    let elapsed = Double(max(1, result.elapsed))
    targetBusy = Double(result.targetBusy) / elapsed
    workerBusy = Double(result.workerBusy) / elapsed
    if point.setup.workload != nil {
      serving = ServingSummary(result.serving, targetBusy: result.targetBusy)
    }
    streams = result.streams
  }

  /// Tells points apart by the version, the variant and everything that the point is made from.
  public static func key(_ point: Scenario.Point, version: String) -> String {
    var fingerprint = Fingerprint()
    fingerprint.add("\(version)\n\(point.variant)\n\(point.identity)".utf8)
    return fingerprint.text
  }
}

/// The results of a scenario, the best of each choice picked, compared with its baselines.
public struct ExperimentResults: Sendable {
  public struct Entry: Sendable {
    public var row: ResultRow
    /// Speed against plain decoding at the same place of the sweep; nil without such a variant.
    public var speedup: Double?
    /// 1 - controller passes / local parallel's; nil without such a variant.
    public var moved: Double?
  }

  public let scenario: Scenario
  public let entries: [Entry]

  /// - Parameter rows: one for each point, in the scenario's order
  public init(_ scenario: Scenario, _ rows: [ResultRow]) {
    self.scenario = scenario
    var best: [ResultRow] = []
    for row in rows {
      if let last = best.last, last.variant == row.variant, last.place == row.place, !row.choice.isEmpty {
        if row.millisecondsPerToken < last.millisecondsPerToken { best[best.count - 1] = row }
      } else {
        best.append(row)
      }
    }
    let plain = scenario.variant(of: .plain)
    let parallel = scenario.variant(of: .localParallel)
    func at(_ place: [[String]], _ variant: String?) -> ResultRow? {
      best.first { $0.variant == variant && $0.place == place }
    }
    entries = best.map { row in
      let other = at(row.place, parallel)
      return Entry(
        row: row,
        speedup: at(row.place, plain).map { $0.millisecondsPerToken / row.millisecondsPerToken },
        moved: other.flatMap {
          $0.localExpansionsPerToken > 0 ? 1 - row.localExpansionsPerToken / $0.localExpansionsPerToken : nil
        })
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
