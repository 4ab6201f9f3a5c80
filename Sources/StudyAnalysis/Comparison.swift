import StudyStatistics

/// Another region against the source's own, probes paired by slot so that what disturbed both at once does not count.
public struct Comparison: Sendable {
  public struct Hour: Sendable {
    /// UTC.
    public var hour: Int
    /// p90 of the other region less p90 of the own one, seconds.
    public var difference: Estimate
    public var isLower: Bool { difference.value < 0 }
    /// Whether the interval leaves no doubt.
    public var isClear: Bool { difference.interval.map { $0.upperBound < 0 } ?? false }
  }

  public var source: Int
  /// The target in the source's own region.
  public var own: Int
  public var other: Int
  /// Of the other less the own one, seconds; nil where both are unknown.
  public var p50: Estimate?
  public var p95: Estimate?
  public var hours: [Hour]

  public var lowerHours: Int { hours.count { $0.isLower } }
  public var clearHours: Int { hours.count { $0.isClear } }
}

extension Comparison {
  init(own: StudyData.Pair, other: StudyData.Pair, of data: StudyData, bootstrap: BlockBootstrap) {
    source = own.source
    self.own = own.target
    self.other = other.target
    var random = PairRandom(UInt64(own.source) << 42 | UInt64(own.target) << 21 | UInt64(other.target) | 1 << 63)
    let (mine, theirs) = Self.aligned(own, other)
    let (a, b) = (theirs.series(of: data), mine.series(of: data))
    p50 = bootstrap.difference(0.5, of: a, less: b, using: &random)
    p95 = bootstrap.difference(0.95, of: a, less: b, using: &random)
    let (byHour, ownByHour) = (HourlySeries(theirs, of: data), HourlySeries(mine, of: data))
    hours = (0..<24).compactMap { hour in
      byHour.difference(0.9, less: ownByHour, hour: hour, using: &random).map { Hour(hour: hour, difference: $0) }
    }
  }

  /// Both with the slots that both have.
  private static func aligned(
    _ first: StudyData.Pair, _ second: StudyData.Pair
  ) -> (StudyData.Pair, StudyData.Pair) {
    var a = StudyData.Pair(source: first.source, target: first.target)
    var b = StudyData.Pair(source: second.source, target: second.target)
    var (i, j) = (0, 0)
    while i < first.slots.count, j < second.slots.count {
      if first.slots[i] < second.slots[j] {
        i += 1
      } else if first.slots[i] > second.slots[j] {
        j += 1
      } else {
        let slot = Int(first.slots[i])
        var probe = StudyData.Probe()
        probe.requestTTFT = first.requestTTFT[i]
        var other = StudyData.Probe()
        other.requestTTFT = second.requestTTFT[j]
        if !probe.requestTTFT.isNaN, !other.requestTTFT.isNaN {
          a.append(slot: slot, probe)
          b.append(slot: slot, other)
        }
        i += 1
        j += 1
      }
    }
    return (a, b)
  }
}
