/// What a user takes for good service: every limit that is set must hold for a request to count as good.
public struct GoodputLimit: Hashable, Sendable {
  /// From the arrival to the first token.
  public var timeToFirstToken: Duration?
  /// 95th percentile of the request's own gaps between tokens.
  public var interTokenLatency95: Duration?
  /// The request's time per token after the first.
  public var timePerOutputToken: Duration?

  public init(
    timeToFirstToken: Duration? = nil, interTokenLatency95: Duration? = nil,
    timePerOutputToken: Duration? = nil
  ) {
    self.timeToFirstToken = timeToFirstToken
    self.interTokenLatency95 = interTokenLatency95
    self.timePerOutputToken = timePerOutputToken
  }

  /// Whether an answered request kept to it. One of a single token has no gaps to be late in.
  public func holds(_ record: RequestRecord) -> Bool {
    func holds(_ value: Int64?, _ limit: Duration?) -> Bool {
      guard let limit, let value else { return true }
      return .nanoseconds(value) <= limit
    }
    guard let first = record.timeToFirstToken, holds(first, timeToFirstToken) else { return false }
    return holds(record.timePerOutputToken, timePerOutputToken)
      && (interTokenLatency95 == nil || holds(record.interTokenLatency(0.95), interTokenLatency95))
  }
}
