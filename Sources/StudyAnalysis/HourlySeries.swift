import StudyStatistics

/// A pair's probes by hour of the day, day after day.
///
/// Within an hour probes depend on each other, and between days hardly: the bootstrap draws whole days.
struct HourlySeries: Sendable {
  /// For each hour the slots of all days, each day's beginning at a multiple of `perHour`.
  private var byHour: [[Double?]]
  let perHour: Int
  private let interval: Double

  /// 95% of the intervals of so many replicates are stable enough for a band in a chart.
  private static let replicates = 199

  init(_ pair: StudyData.Pair, of data: StudyData) {
    interval = data.slotLength
    perHour = max(1, Int((3600 / data.slotLength).rounded(.up)))
    byHour = Array(repeating: [], count: 24)
    guard let first = pair.slots.first, let last = pair.slots.last else { return }
    let perDay = 86_400 / data.slotLength
    let firstDay = Int((Double(first) / perDay).rounded(.down))
    let days = Int((Double(last) / perDay).rounded(.down)) - firstDay + 1
    byHour = Array(repeating: Array(repeating: nil, count: days * perHour), count: 24)
    for (slot, value) in zip(pair.slots, pair.requestTTFT) where !value.isNaN {
      let hours = Double(slot) * data.slotLength / 3600
      let hour = Int(hours.rounded(.down))
      let day = hour / 24 - firstDay
      let place = Int((hours - Double(hour)) * Double(perHour))
      guard (0..<days).contains(day) else { continue }
      byHour[hour % 24][day * perHour + min(place, perHour - 1)] = value
    }
  }

  private var bootstrap: BlockBootstrap { BlockBootstrap(replicates: Self.replicates, blockLength: perHour) }

  func series(_ hour: Int) -> SlotSeries { SlotSeries(interval: interval, values: byHour[hour]) }

  func summaries(using random: inout PairRandom) -> [PairSummary.Hour] {
    (0..<24).compactMap { hour in
      let series = series(hour)
      guard let p50 = bootstrap.quantile(0.5, of: series, using: &random),
        let p90 = bootstrap.quantile(0.9, of: series, using: &random)
      else { return nil }
      return PairSummary.Hour(hour: hour, p50: p50, p90: p90)
    }
  }

  /// The quantile here less the one there, in an hour.
  func difference(
    _ p: Double, less other: HourlySeries, hour: Int, using random: inout PairRandom
  ) -> Estimate? {
    // Both begin at the same day only if their probes do.
    guard byHour[hour].count == other.byHour[hour].count else { return nil }
    return bootstrap.difference(p, of: series(hour), less: other.series(hour), using: &random)
  }
}
