import StudyStatistics

/// Another region against the source's own, probes paired by slot so that what disturbed both at once does not count.
public struct Comparison: Sendable {
  public var source: Int
  /// The target in the source's own region.
  public var own: Int
  public var other: Int
  /// Of the other less the own one, seconds; nil where both are unknown.
  public var p50: Estimate?
  public var p95: Estimate?
  /// Whether the difference of p95 stands when all comparisons are made (Benjamini-Hochberg, 5%).
  public var isDiscovery = false
  /// Hours of the day in which the other region's p90 is lower, of so many in which both have one.
  public var lowerHours: Int
  public var hours: Int
  /// 95%, whole days being drawn; nil with fewer than five days.
  public var lowerHoursInterval: ClosedRange<Int>?
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
    let (far, near) = (HourlySeries(theirs, of: data), HourlySeries(mine, of: data))
    let once = [Int](repeating: 1, count: near.days)
    hours = (0..<24).count { near.count(hour: $0) > 0 }
    lowerHours = Self.lowerHours(far, near, once)
    guard near.days >= HourlySeries.minimumDays else { return }
    let counts = (0..<HourlySeries.replicates).map { _ in
      Double(Self.lowerHours(far, near, HourlySeries.draw(days: near.days, using: &random)))
    }
    lowerHoursInterval = HourlySeries.middle(counts).map { Int($0.lowerBound)...Int($0.upperBound) }
  }

  private static func lowerHours(_ far: HourlySeries, _ near: HourlySeries, _ weights: [Int]) -> Int {
    (0..<24).count { hour in
      guard let theirs = far.quantile(0.9, hour: hour, weights: weights),
        let mine = near.quantile(0.9, hour: hour, weights: weights)
      else { return false }
      return theirs < mine
    }
  }

  /// Of no difference at p95, by Student's t with a degree of freedom for each block but one. The interval was made with
  /// the same distribution, so its width tells the standard error.
  var pValue: Double {
    guard let p95, p95.value.isFinite, let interval = p95.interval, interval.lowerBound.isFinite,
      interval.upperBound.isFinite
    else { return 1 }
    let freedom = max(1, Double(p95.count) / Double(max(1, p95.blockLength)) - 1)
    let error = (interval.upperBound - interval.lowerBound) / 2 / Distribution.studentQuantile(0.975, freedom: freedom)
    guard error > 0 else { return p95.value == 0 ? 1 : 0 }
    return 2 * (1 - Distribution.student(abs(p95.value) / error, freedom: freedom))
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
        var (mine, theirs) = (StudyData.Probe(), StudyData.Probe())
        mine.requestTTFT = first.requestTTFT[i]
        theirs.requestTTFT = second.requestTTFT[j]
        if !mine.requestTTFT.isNaN, !theirs.requestTTFT.isNaN {
          a.append(slot: Int(first.slots[i]), mine)
          b.append(slot: Int(first.slots[i]), theirs)
        }
        i += 1
        j += 1
      }
    }
    return (a, b)
  }
}
