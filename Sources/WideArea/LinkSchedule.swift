/// When bytes that enter one direction of one connection leave it: what a TCP stream over the link would show.
///
/// The model, all times in nanoseconds since the link came up:
/// 1. *Rate.* Bytes pass the bottleneck one after the other at the direction's rate (payload bits; headers
///    are not counted). A `LinkBottleneck` may be shared by the connections of a direction.
/// 2. *Delay and jitter.* The last byte of a segment arrives one delay and one jitter sample later. Segments
///    that enter at the same instant share the sample: packets sent back to back meet the same queues.
/// 3. *Loss.* Each segment of 1448 bytes is lost with the direction's probability. When other data of the
///    stream was sent within the last round trip, or follows in the same write, the receiver's duplicate
///    acknowledgements reveal the loss and the retransmission arrives one RTT later than the segment would
///    have (fast retransmit; RFC 5681, RFC 8985). A lone segment waits for the sender's timer, RTT + 200 ms
///    (RFC 6298 with Linux's smallest variance term). A lost retransmission waits for the timer, doubled each
///    time.
/// 4. *Outages.* What would enter, cross or arrive during an outage is lost, and retransmitted by the timer,
///    doubled each time up to 120 s (RFC 6298), until an attempt gets through.
/// 5. *Order.* TCP delivers in order: nothing overtakes, so one late segment stalls all behind it, and what
///    piled up leaves no faster than the rate.
///
/// Not modelled: congestion windows (slow start, reductions after loss), the bandwidth of headers and of
/// retransmissions, and TCP giving up after minutes.
public struct LinkSchedule: Sendable {
  /// Payload of one segment: an Ethernet frame less IPv4 and TCP headers with timestamps.
  public static let segmentBytes = 1448
  /// Linux's smallest variance term of the retransmission timer.
  static let timerFloor: Int64 = 200_000_000
  static let timerCeiling: Int64 = 120_000_000_000

  private let delay: Int64
  private let roundTrip: Int64
  private let jitter: JitterDistribution
  private let roundTrips: RoundTripSeries?
  private let loss: Double
  private let outages: [Outage]
  private let nanosecondsPerByte: Double
  private var random: LinkRandom
  private var ownBottleneck = LinkBottleneck()
  /// When the last call's bytes entered.
  private var lastEntry: Int64?
  /// Whether the burst that entered at `lastEntry` came within a round trip of the one before it.
  private var burstFollowsOthers = false
  private var burstJitter: Int64 = 0
  private var lastDelivery: Int64 = .min

  /// - Parameters:
  ///   - model: a description without a `problem`
  ///   - side: the direction
  ///   - connection: number of the connection; each has its own stream of random numbers
  public init(_ model: LinkModel, _ side: LinkSide, connection: UInt64 = 0) {
    let direction = model[side]
    delay = direction.delayNanoseconds
    roundTrip = model.roundTripNanoseconds
    jitter = direction.jitter
    roundTrips = model.roundTrips
    loss = direction.loss
    outages = model.outages
    nanosecondsPerByte = direction.rateBitsPerSecond.map { 8e9 / $0 } ?? 0
    random = LinkRandom(seed: model.seed, stream: connection &* 2 &+ (side == .up ? 0 : 1))
  }

  /// When the last of `bytes` arrives that enter at `now`, on a link that carries this connection alone.
  ///
  /// - Parameters:
  ///   - bytes: 0 or more; 0 is a segment without payload (a handshake or the end of the stream)
  ///   - now: nanoseconds since the link came up; taken as no earlier than the previous call's
  /// - Returns: nanoseconds since the link came up; never earlier than an earlier call's result.
  /// - Complexity: O(bytes / 1448), O(1) when nothing depends on the segment.
  public mutating func deliveryTime(of bytes: Int, at now: Int64) -> Int64 {
    var bottleneck = ownBottleneck
    send(bytes, at: now, through: &bottleneck) { _, _ in }
    ownBottleneck = bottleneck
    return lastDelivery
  }

  /// Sends `bytes` that enter at `now` through a bottleneck that other connections may use as well.
  ///
  /// - Parameter deliver: called in order for each part that arrives at its own time, with the part's bytes
  ///   and that time.
  public mutating func send(
    _ bytes: Int, at now: Int64, through bottleneck: inout LinkBottleneck,
    deliver: (_ bytes: Int, _ time: Int64) -> Void
  ) {
    precondition(bytes >= 0, "a link cannot carry a negative number of bytes")
    let entry = max(now, lastEntry ?? now)
    if entry != lastEntry {
      burstJitter = jitter.sample(&random)
      if let roundTrips { burstJitter += roundTrips.oneWay(at: entry) }
      burstFollowsOthers = lastEntry.map { entry - $0 <= roundTrip } ?? false
    }
    lastEntry = entry

    // Without loss and rate every segment of the write has the same fate, so the write is one.
    let size = loss > 0 || nanosecondsPerByte > 0 ? Self.segmentBytes : max(bytes, 1)
    var left = bytes
    repeat {
      let segment = min(left, size)
      left -= segment
      let transmission = Int64((Double(segment) * nanosecondsPerByte).rounded(.up))
      let departure = bottleneck.pass(transmission, at: entry)
      let arrival = arrivalTime(departing: departure, acknowledged: burstFollowsOthers || left > 0)
      // In order, and after a stall no faster than the rate.
      lastDelivery = lastDelivery == .min ? arrival : max(arrival, lastDelivery + transmission)
      // The pile behind a stall may drain into an outage; then the rest waits for its end.
      while let end = outageEnd(lastDelivery, lastDelivery) { lastDelivery = end }
      deliver(segment, lastDelivery)
    } while left > 0
  }

  /// - Parameter acknowledged: whether other segments in flight would reveal a loss to the sender.
  private mutating func arrivalTime(departing departure: Int64, acknowledged: Bool) -> Int64 {
    var attempt = departure
    var timer = min(roundTrip + Self.timerFloor, Self.timerCeiling)
    var fast = acknowledged
    var tries = 0
    while true {
      let arrival = attempt + delay + burstJitter
      if let end = outageEnd(attempt, arrival) {
        tries += 1
        if tries > 40 {
          // Jitter longer than the gap between outages would be retransmitted for ever.
          return clearOfOutages(end)
        }
        // The acknowledgements are lost as well, so only the timer helps.
        attempt += timer
        timer = min(timer * 2, Self.timerCeiling)
        fast = false
      } else if loss > 0 && random.unit() < loss {
        if fast {
          attempt += roundTrip
          fast = false
        } else {
          attempt += timer
          timer = min(timer * 2, Self.timerCeiling)
        }
      } else {
        return arrival
      }
    }
  }

  /// The first crossing without jitter that begins at `time` or at the end of an outage after it.
  private func clearOfOutages(_ time: Int64) -> Int64 {
    var time = time
    while let end = outageEnd(time, time + delay) { time = end }
    return time + delay
  }

  private func outageEnd(_ from: Int64, _ to: Int64) -> Int64? {
    var last: Int64?
    for outage in outages {
      if let end = outage.end(overlapping: from, to) { last = max(last ?? end, end) }
    }
    return last
  }
}

/// The slowest hop of one direction: it passes one segment at a time.
public struct LinkBottleneck: Sendable {
  private var busyUntil: Int64 = .min

  public init() {}

  /// When a segment that comes at `time` and takes `duration` to pass has passed (nanoseconds).
  mutating func pass(_ duration: Int64, at time: Int64) -> Int64 {
    guard duration > 0 else { return max(time, busyUntil) }
    busyUntil = max(time, busyUntil) + duration
    return busyUntil
  }
}
