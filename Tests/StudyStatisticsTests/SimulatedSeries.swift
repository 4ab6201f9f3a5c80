import Foundation
import Simulator
import SplitMix
import StudyStatistics

/// Series of known truth: log-normal, with a correlation that decays by 1/e in `correlation` seconds.
struct SimulatedSeries {
  var median = 0.4
  var sigma = 0.5
  var interval = 300.0
  var days = 7.0
  var correlation = 3600.0
  /// Of a daily wave, as a share of the level.
  var amplitude = 0.0
  var peakHour = 15.0
  /// Share of slots that were missed.
  var missed = 0.0
  /// Above it a probe counts as timed out.
  var timeout = Double.infinity
  /// The slot from which on everything takes `factor` times as long.
  var change: (slot: Int, factor: Double)?

  func draw(seed: UInt64) -> SlotSeries {
    var generator = SplitMix64(seed: seed)
    let keep = correlation > 0 ? exp(-interval / correlation) : 0
    var state = Self.gaussian(&generator)
    let values = (0..<Int(days * 86_400 / interval)).map { slot -> Double? in
      state = keep * state + (1 - keep * keep).squareRoot() * Self.gaussian(&generator)
      let hour = Double(slot) * interval / 3600
      var value = median * exp(sigma * state)
      value *= exp(log(1 + amplitude) * cos(2 * .pi * (hour - peakHour) / 24))
      if let change, slot >= change.slot { value *= change.factor }
      if generator.chance(missed) { return nil }
      return value > timeout ? .infinity : value
    }
    return SlotSeries(interval: interval, values: values)
  }

  /// The quantile of the distribution that the series is drawn from.
  func truth(_ p: Double) -> Double {
    var (low, high) = (-8.0, 8.0)
    for _ in 0..<80 {
      let middle = (low + high) / 2
      if ReferenceDistribution.normal(middle) < p { low = middle } else { high = middle }
    }
    return median * exp(sigma * low)
  }

  private static func gaussian(_ generator: inout SplitMix64) -> Double {
    (-2 * log(1 - generator.uniform())).squareRoot() * cos(2 * .pi * generator.uniform())
  }
}
