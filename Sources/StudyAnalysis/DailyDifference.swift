import StudyStatistics

/// How the p90 of a day differs between two targets, from day to day.
///
/// A region that is busy by day and quiet by night is, for a bootstrap over the whole series, one long dependence: few
/// stretches are independent. Days are: each has its own p90 here, paired with the other target's, and Student's t over
/// days gives the interval.
public struct DailyDifference: Sendable, Equatable {
  /// Seconds, mean over days.
  public var mean: Double
  /// 95%.
  public var interval: ClosedRange<Double>
  /// Of no difference.
  public var pValue: Double
  public var days: Int

  private static let quantile = 0.9

  /// - Parameters: probes paired by slot
  /// - Returns: nil with fewer than five days of which both have enough probes for a p90
  init?(_ first: StudyData.Pair, less second: StudyData.Pair, of data: StudyData) {
    let perDay = 86_400 / data.slotLength
    var byDay: [Int: (first: [Double], second: [Double])] = [:]
    for (index, slot) in first.slots.enumerated() {
      let day = Int((Double(slot) / perDay).rounded(.down))
      byDay[day, default: ([], [])].first.append(first.requestTTFT[index])
      byDay[day]?.second.append(second.requestTTFT[index])
    }
    let differences = byDay.sorted { $0.key < $1.key }.compactMap { _, day -> Double? in
      guard day.first.count >= Quantile.minimumCount(Self.quantile),
        let a = Quantile.of(day.first, Self.quantile), let b = Quantile.of(day.second, Self.quantile)
      else { return nil }
      // A day on which a tenth failed has no p90 to subtract.
      return (a - b).isFinite ? a - b : nil
    }
    days = differences.count
    guard days >= HourlySeries.minimumDays else { return nil }
    let count = Double(days)
    let mean = differences.reduce(0, +) / count
    let variance = differences.reduce(0) { $0 + ($1 - mean) * ($1 - mean) } / (count - 1)
    let error = (variance / count).squareRoot()
    let reach = ReferenceDistribution.studentQuantile(0.975, freedom: count - 1) * error
    self.mean = mean
    interval = mean - reach...mean + reach
    pValue =
      error > 0
      ? 2 * (1 - ReferenceDistribution.student(abs(mean) / error, freedom: count - 1)) : mean == 0 ? 1 : 0
  }
}
