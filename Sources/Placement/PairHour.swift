/// What a pair came to in an hour of the day, or in all of them.
struct PairHour: Sendable {
  /// Seconds.
  var roundTrip: Double
  var wan: SimulatedFigures
  var local: LocalFigures

  /// Local draft passes, as a share of those that a controller makes alone.
  var localShare: Double {
    guard local.parallelPassesPerToken > 0 else { return 1 }
    return min(1, max(0, wan.localPassesPerToken / local.parallelPassesPerToken))
  }

  /// - Parameters:
  ///   - number: of the hour; nil when all are the same
  ///   - isSameSite: a worker there moves nothing away
  func result(_ number: Int?, isSameSite: Bool) -> PlanResult.Hour {
    let ratio = RatioEstimate(local.best.decodeTimes, wan.decodeTimes)
    return PlanResult.Hour(
      hour: number, roundTripMilliseconds: roundTrip * 1000, millisecondsPerToken: wan.millisecondsPerToken,
      plainMillisecondsPerToken: local.plain.millisecondsPerToken,
      localMillisecondsPerToken: local.best.millisecondsPerToken, localMethod: local.method,
      ratio: ratio.value,
      ratioInterval: ratio.interval.map(PlanResult.Interval.init),
      speedup: wan.millisecondsPerToken > 0 ? local.plain.millisecondsPerToken / wan.millisecondsPerToken : 1,
      moved: isSameSite ? 0 : 1 - localShare, localPassesPerToken: wan.localPassesPerToken,
      timeToFirstTokenMilliseconds: wan.timeToFirstToken, bytesPerToken: wan.bytesPerToken)
  }

  /// Over the day: totals by text.
  static func ratio(_ hours: [PairHour]) -> RatioEstimate {
    func totals(_ times: (PairHour) -> [Double]) -> [Double] {
      hours.reduce(into: [Double](repeating: 0, count: hours.first.map { times($0).count } ?? 0)) {
        sums, hour in
        for (index, time) in times(hour).enumerated() { sums[index] += time }
      }
    }
    return RatioEstimate(totals(\.local.best.decodeTimes), totals(\.wan.decodeTimes))
  }
}

extension PlanResult.Interval {
  init(_ range: ClosedRange<Double>) { self.init(low: range.lowerBound, high: range.upperBound) }
}
