/// A point in time: whole nanoseconds since an origin that the driver chooses.
///
/// The core has no clock. The runtime passes readings of a monotonic clock, the simulator its virtual time.
public struct Timestamp: InstantProtocol, Sendable, CustomStringConvertible {
  public var nanoseconds: Int64

  public init(nanoseconds: Int64) { self.nanoseconds = nanoseconds }
  public static let zero = Timestamp(nanoseconds: 0)

  public static func < (a: Self, b: Self) -> Bool { a.nanoseconds < b.nanoseconds }

  public func advanced(by duration: Duration) -> Timestamp {
    Timestamp(nanoseconds: nanoseconds + duration.wholeNanoseconds)
  }

  public func duration(to other: Timestamp) -> Duration {
    .nanoseconds(other.nanoseconds - nanoseconds)
  }

  public var description: String { "\(Double(nanoseconds) / 1e6) ms" }
}

extension Duration {
  /// Whole nanoseconds, rounded towards zero.
  public var wholeNanoseconds: Int64 {
    // Up to nine seconds this is a division of 64 bits, not two of 128.
    if let attoseconds = Int64(exactly: attoseconds) { return attoseconds / 1_000_000_000 }
    let (seconds, attoseconds) = components
    return seconds * 1_000_000_000 + attoseconds / 1_000_000_000
  }

  /// Seconds, as a floating-point number.
  public var inSeconds: Double { Double(wholeNanoseconds) / 1e9 }

  /// Milliseconds, as a floating-point number.
  public var inMilliseconds: Double { Double(wholeNanoseconds) / 1e6 }

  /// A duration of `seconds`, to the nanosecond.
  public init(inSeconds seconds: Double) {
    self = .nanoseconds(Int64((seconds * 1e9).rounded()))
  }
}
