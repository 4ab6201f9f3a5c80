import Foundation

/// Where the level of a series changed for good: a deployment, a new route, another model behind the same name.
///
/// The time of day's own level is taken out first, so that a daily pattern is no change. What remains (logarithms) is
/// summed up; the largest departure from a straight line, measured in the noise's own long-run deviation, is a change
/// if a Brownian bridge seldom goes that far (CUSUM; Csorgo and Horvath, "Limit Theorems in Change-Point Analysis",
/// 1997). Both sides are then searched in the same way.
public struct ChangePoint: Sendable, Equatable {
  /// The first slot after the change.
  public var slot: Int
  /// Medians of the measured values before and after it, up to the neighbouring changes.
  public var before: Double
  public var after: Double
  public var pValue: Double

  /// - Parameters:
  ///   - series: values above zero; censored ones count as the largest measured one
  ///   - level: the p-value below which a change is believed
  ///   - leastHours: what is shorter is an episode, not a change
  /// - Returns: in order of time; none for a series of less than two days.
  public static func find(
    in series: SlotSeries, level: Double = 0.01, leastHours: Double = 12
  ) -> [ChangePoint] {
    guard Double(series.values.count) * series.interval >= 2 * 86_400 else { return [] }
    let finite = series.present.filter(\.isFinite)
    guard let largest = finite.max() else { return [] }
    var slots: [Int] = []
    var logs: [Double] = []
    for (slot, value) in series.values.enumerated() {
      guard let value, value > 0 else { continue }
      slots.append(slot)
      logs.append(log(min(value, largest)))
    }
    let hours = slots.map { Int(Double($0) * series.interval / 3600) % 24 }
    var byHour = [[Double]](repeating: [], count: 24)
    for (hour, value) in zip(hours, logs) { byHour[hour].append(value) }
    let levels = byHour.map { Quantile.of($0, 0.5) ?? 0 }
    let residuals = zip(hours, logs).map { $1 - levels[$0] }
    let least = max(
      8, Int(leastHours * 3600 / series.interval * Double(slots.count) / Double(series.values.count)))
    var found: [(index: Int, pValue: Double)] = []
    search(residuals, 0..<residuals.count, level, least, &found)
    found.sort { $0.index < $1.index }
    let borders = [0] + found.map(\.index) + [slots.count]
    func median(_ range: Range<Int>) -> Double { exp(Quantile.of(Array(logs[range]), 0.5) ?? 0) }
    return found.enumerated().map { number, change in
      ChangePoint(
        slot: slots[change.index], before: median(borders[number]..<change.index),
        after: median(change.index..<borders[number + 2]), pValue: change.pValue)
    }
  }

  private static func search(
    _ values: [Double], _ range: Range<Int>, _ level: Double, _ least: Int,
    _ found: inout [(index: Int, pValue: Double)]
  ) {
    guard range.count >= 2 * least, found.count < 20 else { return }
    let part = values[range]
    let mean = part.reduce(0, +) / Double(part.count)
    var sum = 0.0
    var best = (index: 0, size: 0.0)
    for index in range {
      sum += values[index] - mean
      let place = index + 1
      if abs(sum) > best.size, place - range.lowerBound >= least, range.upperBound - place >= least {
        best = (place, abs(sum))
      }
    }
    guard best.size > 0 else { return }
    // The noise without the change that is being tested for: a change is no dependence.
    let left = part[range.lowerBound..<best.index]
    let right = part[best.index..<range.upperBound]
    let means = [left, right].map { $0.reduce(0, +) / Double($0.count) }
    let noise = range.map { values[$0] - ($0 < best.index ? means[0] : means[1]) }
    let variance = noise.reduce(0) { $0 + $1 * $1 } / Double(noise.count)
    let longRun = variance * Dependence(of: noise).integratedTime
    guard longRun > 0 else {
      found.append((best.index, 0))
      return
    }
    let p = ReferenceDistribution.kolmogorovTail(best.size / (longRun * Double(part.count)).squareRoot())
    guard p < level else { return }
    found.append((best.index, p))
    search(values, range.lowerBound..<best.index, level, least, &found)
    search(values, best.index..<range.upperBound, level, least, &found)
  }
}
