/// A wide-area link between a worker and a controller, as a description: pure values, no clock, no sockets.
///
/// `LinkSchedule` says when bytes that enter such a link leave it. `LinkEmulator` imposes that on real TCP
/// traffic. A simulator uses the schedule on its virtual clock.
///
/// *Up* is from the side that dials (a worker) to the side that is dialled (a controller), *down* is back.
/// Time zero, from which outages are counted, is the moment the link comes up.
public struct LinkModel: Hashable, Sendable {
  public var up: LinkDirection
  public var down: LinkDirection
  public var outages: [Outage]
  /// Measured round trips, half of which each direction adds to its delay at the time; nil: none.
  public var roundTrips: RoundTripSeries?
  /// Seed of jitter and loss. Each direction of each connection draws from its own stream under it.
  public var seed: UInt64

  public init(
    up: LinkDirection = LinkDirection(), down: LinkDirection = LinkDirection(), outages: [Outage] = [],
    seed: UInt64 = 0
  ) {
    self.up = up
    self.down = down
    self.outages = outages
    self.seed = seed
  }

  /// A link that only delays, by half the round-trip time each way.
  public init(roundTripMilliseconds: Double, seed: UInt64 = 0) {
    let half = LinkDirection(delayMilliseconds: roundTripMilliseconds / 2)
    self.init(up: half, down: half, seed: seed)
  }

  /// The round trip without jitter, in nanoseconds.
  public var roundTripNanoseconds: Int64 {
    up.delayNanoseconds + down.delayNanoseconds + nanoseconds(roundTrips?.milliseconds.min() ?? 0)
  }

  public subscript(side: LinkSide) -> LinkDirection { side == .up ? up : down }

  /// The first thing wrong with the description, as a sentence that names the field; nil when valid.
  public var problem: String? {
    if let problem = up.problem { return "up: \(problem)" }
    if let problem = down.problem { return "down: \(problem)" }
    if let problem = roundTrips?.problem { return problem }
    if outages.count > 1000 { return "outages: at most 1000 may be listed, not \(outages.count)" }
    for (index, outage) in outages.enumerated() {
      if let problem = outage.problem { return "outages[\(index)]: \(problem)" }
      let longest = max(up.delayMilliseconds, down.delayMilliseconds)
      if let every = outage.everyMilliseconds, every - outage.durationMilliseconds <= longest {
        return "outages[\(index)]: between two outages there must be more time than the one-way delay "
          + "(\(longest) ms), or nothing ever arrives; there are \(every - outage.durationMilliseconds) ms"
      }
    }
    if outages.filter({ $0.everyMilliseconds != nil }).count > 1 {
      return "outages: at most one may repeat, so that they cannot cover all time between them"
    }
    return nil
  }
}

/// A direction of a link.
public enum LinkSide: String, Hashable, Sendable, Codable, CaseIterable {
  /// From the side that dials to the side that is dialled.
  case up
  /// Back.
  case down
}

/// What one direction of a link does to bytes.
public struct LinkDirection: Hashable, Sendable {
  /// The least time from one end to the other, in milliseconds.
  public var delayMilliseconds: Double
  /// Added to the delay.
  public var jitter: JitterDistribution
  /// Payload bits per second that the direction carries, over all connections; nil is unlimited.
  public var rateBitsPerSecond: Double?
  /// Probability that a segment is lost, 0...0.5.
  public var loss: Double

  public init(
    delayMilliseconds: Double = 0, jitter: JitterDistribution = .none, rateBitsPerSecond: Double? = nil,
    loss: Double = 0
  ) {
    self.delayMilliseconds = delayMilliseconds
    self.jitter = jitter
    self.rateBitsPerSecond = rateBitsPerSecond
    self.loss = loss
  }

  public var delayNanoseconds: Int64 { nanoseconds(delayMilliseconds) }

  /// The first thing wrong, as a sentence that names the field; nil when valid.
  public var problem: String? {
    if !delayMilliseconds.isFinite || delayMilliseconds < 0 || delayMilliseconds > 60_000 {
      return "the one-way delay must be between 0 and 60000 ms, not \(delayMilliseconds)"
    }
    if let problem = jitter.problem { return problem }
    if let rate = rateBitsPerSecond, !rate.isFinite || rate < 1000 || rate > 1e12 {
      return "the rate must be between 1000 and 1e12 bits per second, not \(rate)"
    }
    if !loss.isFinite || loss < 0 || loss > 0.5 {
      return "the loss probability must be between 0 and 0.5 (TCP does not survive more), not \(loss)"
    }
    return nil
  }
}

extension LinkModel: Codable {
  private enum CodingKeys: String, CodingKey, CaseIterable { case up, down, outages, roundTrips, seed }

  public init(from decoder: any Decoder) throws {
    try decoder.rejectUnknownKeys(CodingKeys.self)
    let values = try decoder.container(keyedBy: CodingKeys.self)
    up = try values.decodeIfPresent(LinkDirection.self, forKey: .up) ?? LinkDirection()
    down = try values.decodeIfPresent(LinkDirection.self, forKey: .down) ?? LinkDirection()
    outages = try values.decodeIfPresent([Outage].self, forKey: .outages) ?? []
    roundTrips = try values.decodeIfPresent(RoundTripSeries.self, forKey: .roundTrips)
    seed = try values.decodeIfPresent(UInt64.self, forKey: .seed) ?? 0
  }
}

extension LinkDirection: Codable {
  private enum CodingKeys: String, CodingKey, CaseIterable {
    case delayMilliseconds, jitter, rateBitsPerSecond, loss
  }

  public init(from decoder: any Decoder) throws {
    try decoder.rejectUnknownKeys(CodingKeys.self)
    let values = try decoder.container(keyedBy: CodingKeys.self)
    delayMilliseconds = try values.decodeIfPresent(Double.self, forKey: .delayMilliseconds) ?? 0
    jitter = try values.decodeIfPresent(JitterDistribution.self, forKey: .jitter) ?? .none
    rateBitsPerSecond = try values.decodeIfPresent(Double.self, forKey: .rateBitsPerSecond)
    loss = try values.decodeIfPresent(Double.self, forKey: .loss) ?? 0
  }
}
