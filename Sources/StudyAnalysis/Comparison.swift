import SplitMix
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
  /// Difference of the p90 of a day, over days; nil with fewer than five.
  public var ofDays: DailyDifference?
  /// Whether that difference stands when all comparisons are made (Benjamini-Hochberg, 5%).
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
    var random = SplitMix64(
      numbered: UInt64(own.source) << 42 | UInt64(own.target) << 21 | UInt64(other.target) | 1 << 63)
    let (mine, theirs) = Self.aligned(own, other)
    let (a, b) = (theirs.series(of: data), mine.series(of: data))
    p50 = bootstrap.difference(0.5, of: a, less: b, using: &random)
    p95 = bootstrap.difference(0.95, of: a, less: b, using: &random)
    ofDays = DailyDifference(theirs, less: mine, of: data)
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
