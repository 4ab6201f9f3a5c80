import StudyAnalysis

/// Regions whose queues, days and faults are known, so that what is measured can be compared with what is true.
public struct EmulatedRegions: Sendable, Hashable {
  /// What may go wrong with an answer.
  public enum FaultKind: String, Sendable, CaseIterable {
    /// Status 429 with Retry-After, 500, 503, 403.
    case throttle, error, unavailable, forbidden
    /// Status 200 and no text.
    case nothing
    /// The whole answer in one piece, when it is complete.
    case atOnce = "at-once"
    /// Nothing more after half of the text.
    case stall
    /// The connection breaks (RST) after half of the text; the answer ends in order, but without its end mark.
    case reset, truncate
    /// Bytes that are no event; for Bedrock a frame with a wrong check sum.
    case malformed, crc
    /// An error event after half of the text.
    case exception
  }

  public struct Fault: Sendable, Hashable {
    public var kind: FaultKind
    /// Of all requests, 0 to 1.
    public var share: Double
  }

  /// One region's servers: a queue in front of several of them, which background requests share with probes.
  public struct Site: Sendable, Hashable {
    public var region: Region
    public var servers: Int
    /// Requests that may wait for a server; more are answered with status 503.
    public var queue: Int
    /// Seconds, on average: to the first token, and for each.
    public var prefill: Double
    public var perToken: Double
    /// Of the logarithm of service times.
    public var sigma: Double
    /// Tokens of a background request, on average.
    public var tokens: Int
    /// Share of the servers' time that background requests take, on average over the day.
    public var load: Double
    /// Height of the daily wave relative to `load`.
    public var diurnal: Double
    /// Local time of its peak, hours.
    public var peakHour: Double
    public var faults: [Fault]
  }

  /// What requests have to show; nil where anything is let in.
  public struct Keys: Sendable, Hashable {
    public var bearer: String?
    public var accessKeyID: String?
    public var secretAccessKey: String?
  }

  public var name: String
  public var seed: UInt64
  /// Where campaign time begins, seconds since 1970.
  public var start: Double
  /// Campaign seconds in a real second. Only the time of day runs faster: latencies are real.
  public var acceleration: Double
  public var sources: [Region]
  public var sites: [Site]
  /// Round trips, seconds, by source and region.
  public var roundTrips: [String: [String: Double]]
  /// By how much a packet comes later than its half of the round trip, on average, seconds (exponential).
  public var jitter: Double
  public var keys: Keys

  public func roundTrip(_ source: String, _ region: String) -> Double? { roundTrips[source]?[region] }
}

extension EmulatedRegions.Site {
  /// Seconds that a background request takes a server, on average.
  public var meanService: Double { prefill + Double(tokens) * perToken }

  /// Utilisation at a campaign time, seconds since 1970. Below 1, so that the queue never grows without end.
  public func load(at time: Double, offset: Double) -> Double {
    let hour = (time / 3600 + offset).truncatingRemainder(dividingBy: 24)
    return min(0.98, max(0, load * (1 + diurnal * cosine((hour - peakHour) / 24))))
  }
}
