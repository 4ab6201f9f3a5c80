import SplitMix
import StudyStatistics

/// A pair's probes by hour of the day and by day.
///
/// Within an hour probes depend on each other, and between days hardly: what resamples, resamples whole days.
struct HourlySeries: Sendable {
  /// One hour's values, largest first, each with its day.
  private struct Hour: Sendable {
    var values: [Double] = []
    var days: [Int32] = []
    /// Values of each day.
    var counts: [Int]
  }

  private var hours: [Hour]
  let days: Int

  /// Enough for a band in a chart and for a count of hours.
  static let replicates = 199
  /// Fewer days say nothing of how days differ.
  static let minimumDays = 5

  init(_ pair: StudyData.Pair, of data: StudyData) {
    let perDay = 86_400 / data.slotLength
    let firstDay = pair.slots.first.map { Int((Double($0) / perDay).rounded(.down)) } ?? 0
    let lastDay = pair.slots.last.map { Int((Double($0) / perDay).rounded(.down)) } ?? firstDay - 1
    days = lastDay - firstDay + 1
    hours = Array(repeating: Hour(counts: Array(repeating: 0, count: days)), count: 24)
    for (slot, value) in zip(pair.slots, pair.requestTTFT) where !value.isNaN {
      let hour = Int((Double(slot) * data.slotLength / 3600).rounded(.down))
      let day = hour / 24 - firstDay
      hours[hour % 24].values.append(value)
      hours[hour % 24].days.append(Int32(day))
      hours[hour % 24].counts[day] += 1
    }
    for index in hours.indices {
      let hour = hours[index]
      let order = hour.values.indices.sorted { (hour.values[$0], $1) > (hour.values[$1], $0) }
      hours[index].values = order.map { hour.values[$0] }
      hours[index].days = order.map { hour.days[$0] }
    }
  }

  /// The quantile of an hour in which each day counts as often as `weights` says; nil without a value.
  ///
  /// - Parameter weights: one for each day
  func quantile(_ p: Double, hour: Int, weights: [Int]) -> Double? {
    let hour = hours[hour]
    let count = zip(hour.counts, weights).reduce(0) { $0 + $1.0 * $1.1 }
    guard count > 0 else { return nil }
    // Counted from the top, of which less is to be passed.
    var left = count - Quantile.index(p, count: count)
    for (value, day) in zip(hour.values, hour.days) {
      left -= weights[Int(day)]
      if left <= 0 { return value }
    }
    return nil
  }

  func count(hour: Int) -> Int { hours[hour].values.count }

  /// How often each day is drawn, when as many days are drawn as there are.
  static func draw(days: Int, using random: inout SplitMix64) -> [Int] {
    var weights = [Int](repeating: 0, count: days)
    for _ in 0..<days { weights[Int(random.next().multipliedFullWidth(by: UInt64(days)).high)] += 1 }
    return weights
  }

  /// The middle 95% of replicates.
  static func middle(_ values: [Double]) -> ClosedRange<Double>? {
    guard values.count * 2 >= replicates else { return nil }
    let sorted = values.sorted()
    return sorted[Int(Double(sorted.count) * 0.025)]...sorted[Int(Double(sorted.count - 1) * 0.975)]
  }

  func summaries(using random: inout SplitMix64) -> [PairSummary.Hour] {
    let once = [Int](repeating: 1, count: days)
    let draws =
      days < Self.minimumDays ? [] : (0..<Self.replicates).map { _ in Self.draw(days: days, using: &random) }
    return (0..<24).compactMap { hour in
      func level(_ p: Double) -> PairSummary.Level? {
        quantile(p, hour: hour, weights: once).map { value in
          let isEnough = count(hour: hour) >= Quantile.minimumCount(p)
          let drawn = isEnough ? draws.compactMap { quantile(p, hour: hour, weights: $0) } : []
          return PairSummary.Level(value: value, interval: Self.middle(drawn))
        }
      }
      guard let p50 = level(0.5), let p90 = level(0.9) else { return nil }
      return PairSummary.Hour(hour: hour, count: count(hour: hour), p50: p50, p90: p90)
    }
  }
}
