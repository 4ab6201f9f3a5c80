import StudyStatistics

/// Whether a pair's round trips can be those between its regions: light in fibre takes its time.
///
/// Where they are shorter, what answered stands nearer than the region: the edge of a content network, a proxy, an
/// emulator that holds answers back instead of packets. Then neither the network's share nor a plan may rest on them.
public struct RoundTripCheck: Sendable, Hashable {
  /// Seconds that light needs there and back.
  public var shortestPossible: Double
  /// Of the probes whose round trip is known, seconds.
  public var median: Double
  /// Probes whose round trip is known, and those of them in which it is too short.
  public var count: Int
  public var tooShort: Int
  /// The same emulator made other round trips that are too short: it delays none of its packets.
  package var isOfFalseNetwork = false

  /// A few may be errors of a measurement.
  private static let toleratedShare = 0.05

  public var isBelievable: Bool {
    !isOfFalseNetwork && Double(tooShort) <= Self.toleratedShare * Double(count)
  }
}

extension Region {
  /// Seconds that light needs to the other region and back in fibre, 200 km a millisecond, along the great circle.
  ///
  /// A region is known by its nearest large city: 100 km are not counted.
  public func shortestRoundTrip(to other: Region) -> Double {
    2 * max(0, distance(to: other) - 100) / 200_000
  }
}

extension StudyData.Pair {
  /// Seconds of a probe's round trip: the kernel's own figure, or a TCP handshake, which is one; nil where neither is known.
  public func roundTrip(at index: Int) -> Double? {
    let time = roundTrip[index].isFinite ? roundTrip[index] : connect[index]
    return time.isFinite && time >= 0 ? time : nil
  }
}

extension StudyData {
  /// One for each of `pairs`; nil where no round trip is known.
  public var roundTripChecks: [RoundTripCheck?] {
    var checks = pairs.map { pair -> RoundTripCheck? in
      let known = pair.slots.indices.compactMap { pair.roundTrip(at: $0) }
      guard let median = Quantile.of(known, 0.5) else { return nil }
      let least = sources[pair.source].shortestRoundTrip(to: targets[pair.target].region)
      return RoundTripCheck(
        shortestPossible: least, median: median, count: known.count, tooShort: known.count { $0 < least })
    }
    if emulated != nil, checks.contains(where: { $0?.isBelievable == false }) {
      for index in checks.indices { checks[index]?.isOfFalseNetwork = true }
    }
    return checks
  }
}
