/// Smoothed round-trip time, after RFC 6298 section 2 (gains 1/8 and 1/4).
public struct RoundTripEstimator: Hashable, Sendable {
  /// nil until the first sample.
  public private(set) var smoothed: Duration?
  /// Smoothed mean deviation.
  public private(set) var deviation: Duration = .zero
  /// The shortest ever seen: the path without queueing.
  public private(set) var minimum: Duration?

  public init() {}

  /// Negative samples (a clock that stepped) are ignored.
  public mutating func observe(_ sample: Duration) {
    guard sample >= .zero else { return }
    minimum = min(minimum ?? sample, sample)
    guard let previous = smoothed else {
      smoothed = sample
      deviation = sample / 2
      return
    }
    let difference = previous > sample ? previous - sample : sample - previous
    deviation = (deviation * 3 + difference) / 4
    smoothed = (previous * 7 + sample) / 8
  }
}
