/// A time during which nothing enters, crosses or leaves a link, in either direction.
public struct Outage: Hashable, Sendable {
  /// From the moment the link came up to the first outage, in milliseconds.
  public var startMilliseconds: Double
  public var durationMilliseconds: Double
  /// From the start of one outage to the start of the next, in milliseconds; nil happens once.
  public var everyMilliseconds: Double?
  /// Whether connections are reset when it begins and refused while it lasts. Otherwise they stall, and TCP's
  /// retransmissions carry the data over after it.
  public var resets: Bool

  public init(
    startMilliseconds: Double, durationMilliseconds: Double, everyMilliseconds: Double? = nil,
    resets: Bool = false
  ) {
    self.startMilliseconds = startMilliseconds
    self.durationMilliseconds = durationMilliseconds
    self.everyMilliseconds = everyMilliseconds
    self.resets = resets
  }

  var start: Int64 { nanoseconds(startMilliseconds) }
  var duration: Int64 { nanoseconds(durationMilliseconds) }
  var every: Int64? { everyMilliseconds.map { nanoseconds($0) } }

  /// The end of the occurrence that overlaps `from...to` (nanoseconds since the link came up), the first one
  /// if several do; nil when none does.
  public func end(overlapping from: Int64, _ to: Int64) -> Int64? {
    let (start, duration) = (start, duration)
    var begin = start
    // Only the last occurrence that begins by `from` and the one after it can be the first to overlap.
    if let every, from > start { begin += (from - start) / every * every }
    if from < begin + duration { return to >= begin ? begin + duration : nil }
    guard let every else { return nil }
    begin += every
    return to >= begin ? begin + duration : nil
  }

  /// Start of the first occurrence that begins after `time`; nil when none does.
  public func nextStart(after time: Int64) -> Int64? {
    let start = start
    if time < start { return start }
    guard let every else { return nil }
    return start + ((time - start) / every + 1) * every
  }

  /// The first thing wrong, as a sentence that names the field; nil when valid.
  public var problem: String? {
    if !startMilliseconds.isFinite || startMilliseconds < 0 || startMilliseconds > 31_536_000_000 {
      return "the start of an outage must be between 0 and 365 days, not \(startMilliseconds) ms"
    }
    if !durationMilliseconds.isFinite || durationMilliseconds <= 0 || durationMilliseconds > 86_400_000 {
      return "the duration of an outage must be above 0 and at most 24 hours, not \(durationMilliseconds) ms"
    }
    if let every = everyMilliseconds {
      if !every.isFinite || every <= durationMilliseconds || every > 31_536_000_000 {
        return "an outage must repeat after more than its duration (\(durationMilliseconds) ms) and at most "
          + "365 days, not \(every) ms"
      }
    }
    return nil
  }
}

extension Outage: Codable {
  private enum CodingKeys: String, CodingKey, CaseIterable {
    case startMilliseconds, durationMilliseconds, everyMilliseconds, resets
  }

  public init(from decoder: any Decoder) throws {
    try decoder.rejectUnknownKeys(CodingKeys.self)
    let values = try decoder.container(keyedBy: CodingKeys.self)
    startMilliseconds = try values.decode(Double.self, forKey: .startMilliseconds)
    durationMilliseconds = try values.decode(Double.self, forKey: .durationMilliseconds)
    everyMilliseconds = try values.decodeIfPresent(Double.self, forKey: .everyMilliseconds)
    resets = try values.decodeIfPresent(Bool.self, forKey: .resets) ?? false
  }
}

/// Milliseconds to whole nanoseconds. Validated values are far from overflow; absurd ones are clamped.
func nanoseconds(_ milliseconds: Double) -> Int64 {
  guard milliseconds > 0 else { return 0 }
  return Int64(min(milliseconds * 1e6, 1e18).rounded())
}
