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
