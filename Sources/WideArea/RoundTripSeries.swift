/// Round-trip times measured one after the other, replayed in a circle: what a link really did, instead of a
/// distribution.
public struct RoundTripSeries: Hashable, Sendable {
  /// Between two measurements.
  public var intervalMilliseconds: Double
  public var milliseconds: [Double]

  public init(intervalMilliseconds: Double, milliseconds: [Double]) {
    self.intervalMilliseconds = intervalMilliseconds
    self.milliseconds = milliseconds
  }

  /// The first thing wrong, as a sentence; nil when valid.
  public var problem: String? {
    if !intervalMilliseconds.isFinite || !(1...86_400_000).contains(intervalMilliseconds) {
      return "series: the interval must be between 1 ms and a day, not \(intervalMilliseconds) ms"
    }
    if !(1...1_000_000).contains(milliseconds.count) {
      return "series: between 1 and 1000000 round trips may be given, not \(milliseconds.count)"
    }
    if let bad = milliseconds.first(where: { !(0...120_000).contains($0) }) {
      return "series: a round trip must be between 0 and 120000 ms, not \(bad)"
    }
    return nil
  }

  /// Half the round trip at a time, in nanoseconds: what one direction adds to the link's own delay.
  func oneWay(at now: Int64) -> Int64 {
    let interval = nanoseconds(intervalMilliseconds)
    let index = Int((max(0, now) / max(1, interval)) % Int64(milliseconds.count))
    return nanoseconds(milliseconds[index]) / 2
  }
}

extension RoundTripSeries: Codable {
  private enum CodingKeys: String, CodingKey, CaseIterable { case intervalMilliseconds, milliseconds }

  public init(from decoder: any Decoder) throws {
    try decoder.rejectUnknownKeys(CodingKeys.self)
    let values = try decoder.container(keyedBy: CodingKeys.self)
    intervalMilliseconds = try values.decode(Double.self, forKey: .intervalMilliseconds)
    milliseconds = try values.decode([Double].self, forKey: .milliseconds)
  }
}
