import Histogram

/// What an emulator has carried so far.
public struct LinkSnapshot: Hashable, Sendable, Codable {
  public struct Direction: Hashable, Sendable, Codable {
    /// Bytes read from the sending end.
    public var bytesSent = 0
    /// Bytes handed to the receiving end's socket.
    public var bytesDelivered = 0
    /// Bytes read and not yet taken by the receiving end's socket, over all connections.
    public var bytesHeld = 0
    /// The most that one connection held at once.
    public var peakBytesHeld = 0

    public init() {}
  }

  /// Connections accepted, the refused ones included.
  public var connections = 0
  public var openConnections = 0
  /// Connections that the other end did not take.
  public var refusedByUpstream = 0
  /// Connections killed at the start of an outage that resets.
  public var resetByOutage = 0
  /// Connections refused during such an outage.
  public var refusedInOutage = 0
  public var up = Direction()
  public var down = Direction()
  /// The emulator's own added error.
  public var error = LinkTimingError()

  public init() {}
}

/// How much later than the model says the emulator wrote, over all writes, in nanoseconds.
///
/// Time that the receiving socket was full is not counted: that is the receiver's doing.
public struct LinkTimingError: Hashable, Sendable, Codable {
  public var writes: UInt64 = 0
  public var p50: UInt64 = 0
  public var p99: UInt64 = 0
  public var max: UInt64 = 0

  public init() {}
}

/// Collects timing errors: 1 ns to 60 s at three significant digits.
struct TimingErrorRecorder {
  private static let ceiling: UInt64 = 60_000_000_000
  private var histogram = Histogram<UInt64>(highestTrackableValue: ceiling)

  /// - Parameters:
  ///   - nanoseconds: by how much a write was late
  ///   - count: how many parts were written
  mutating func record(_ nanoseconds: Int64, count: UInt64 = 1) {
    histogram.record(Swift.min(UInt64(clamping: nanoseconds), Self.ceiling), count: count)
  }

  var summary: LinkTimingError {
    var summary = LinkTimingError()
    summary.writes = histogram.totalCount
    guard summary.writes > 0 else { return summary }
    summary.p50 = histogram.valueAtPercentile(50)
    summary.p99 = histogram.valueAtPercentile(99)
    summary.max = histogram.max
    return summary
  }
}
