/// What makes a number of streams one that a target carries: every limit that is set, over all requests.
public struct CapacityGoal: Hashable, Sendable {
  /// 95th percentiles.
  public var timeToFirstToken95: Duration?
  public var interTokenLatency95: Duration?
  public var timePerOutputToken95: Duration?
  /// Streams to try.
  public var streams: ClosedRange<Int>
  /// Requests of each stream in a run, where the workload does not say how many there are in all.
  public var requestsPerStream: Int

  public init(
    timeToFirstToken95: Duration? = nil, interTokenLatency95: Duration? = nil,
    timePerOutputToken95: Duration? = nil, streams: ClosedRange<Int> = 1...512, requestsPerStream: Int = 4
  ) {
    self.timeToFirstToken95 = timeToFirstToken95
    self.interTokenLatency95 = interTokenLatency95
    self.timePerOutputToken95 = timePerOutputToken95
    self.streams = streams
    self.requestsPerStream = requestsPerStream
  }

  var hasLimit: Bool {
    timeToFirstToken95 != nil || interTokenLatency95 != nil || timePerOutputToken95 != nil
  }

  /// Whether a run kept to it: no request was refused or failed, and no limit is exceeded.
  public func holds(_ figures: ServingFigures) -> Bool {
    guard figures.answered > 0, figures.refused == 0, figures.failed == 0 else { return false }
    func holds(_ histogram: LogHistogram, _ limit: Duration?) -> Bool {
      guard let limit, let value = histogram.quantile(0.95) else { return true }
      return .nanoseconds(value) <= limit
    }
    return holds(figures.timeToFirstToken, timeToFirstToken95)
      && holds(figures.interTokenLatency, interTokenLatency95)
      && holds(figures.timePerOutputToken, timePerOutputToken95)
  }
}
