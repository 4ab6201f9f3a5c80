/// What happened to one request so far. Times are nanoseconds of virtual time, and never fall.
///
/// Takes 8 bytes for each step that committed something, until the request is over.
public struct RequestRecord: Hashable, Sendable {
  public let arrival: Int64
  /// When it began to be computed for the first time; nil while it waits.
  public private(set) var admitted: Int64?
  /// When its first token was there.
  public private(set) var first: Int64?
  /// When its last one was.
  public private(set) var last: Int64?
  public private(set) var tokens = 0
  /// How often it had to give up its place.
  public private(set) var preemptions = 0
  /// Between steps that committed tokens.
  private(set) var stepGaps: [Int64] = []

  public init(arrival: Int64) { self.arrival = arrival }

  /// It runs, for the first time or again.
  public mutating func admit(at time: Int64) { admitted = admitted ?? time }

  public mutating func preempt() { preemptions += 1 }

  /// A step committed so many tokens, which reach the user at the same time.
  public mutating func commit(_ count: Int, at time: Int64) {
    guard count > 0 else { return }
    if let last { stepGaps.append(time - last) }
    first = first ?? time
    last = time
    tokens += count
  }

  /// From the arrival to the first token.
  public var timeToFirstToken: Int64? { first.map { $0 - arrival } }

  /// Gaps between tokens that came in one step: 0 each.
  var zeroGaps: Int { max(0, tokens - 1) - stepGaps.count }

  /// Time per output token after the first; nil for a single token.
  public var timePerOutputToken: Int64? {
    guard let first, let last, tokens > 1 else { return nil }
    return (last - first) / Int64(tokens - 1)
  }

  /// The share-quantile of the gaps between its tokens, exactly; nil for a single token.
  public func interTokenLatency(_ share: Double) -> Int64? {
    guard tokens > 1 else { return nil }
    let rank = LogHistogram.rank(share, of: tokens - 1)
    return rank <= zeroGaps ? 0 : stepGaps.sorted()[rank - zeroGaps - 1]
  }
}

/// How a request ended.
public enum RequestOutcome: String, Hashable, Sendable, CaseIterable {
  case answered, refused, cancelled
  /// In no way that it should.
  case failed
}
