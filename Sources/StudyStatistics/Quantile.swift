import Foundation

/// Sample quantiles, exact: no sketch and no interpolation.
///
/// The estimator is the inverse of the empirical distribution (type 1 of Hyndman and Fan, "Sample quantiles in
/// statistical packages", 1996): the smallest value that at least a share `p` of the sample does not exceed. It is
/// always a value that was measured, and a censored value above it does not move it.
public enum Quantile {
  /// The 0-based place of the quantile among `count` sorted values.
  ///
  /// - Precondition: `count` is above zero and `p` is between 0 and 1.
  public static func index(_ p: Double, count: Int) -> Int {
    precondition(count > 0 && (0...1).contains(p), "a quantile needs a sample, and a share between 0 and 1")
    // The product's rounding error must not push 0.95 * 20 above 19.
    return min(count - 1, max(0, Int((p * Double(count) - 1e-9).rounded(.up)) - 1))
  }

  /// - Returns: nil for an empty sample; `+infinity` where so many are censored that the quantile is unknown.
  /// - Complexity: O(n log n)
  public static func of(_ values: [Double], _ p: Double) -> Double? {
    values.isEmpty ? nil : values.sorted()[index(p, count: values.count)]
  }

  /// The fewest independent observations for which the sample's extremes bound the quantile with `confidence` on
  /// each side: 6 for the median, 36, 72 and 368 for p90, p95 and p99 at 95%. With fewer there is no interval.
  ///
  /// From `max(p, 1 - p)^n <= (1 - confidence) / 2` (David and Nagaraja, "Order Statistics", section 7.1).
  public static func minimumCount(_ p: Double, confidence: Double = 0.95) -> Int {
    precondition(p > 0 && p < 1 && confidence > 0 && confidence < 1, "shares lie between 0 and 1")
    return Int((log((1 - confidence) / 2) / log(max(p, 1 - p))).rounded(.up))
  }
}

/// An estimate with the interval around it, and what the interval rests on.
public struct Estimate: Sendable, Equatable {
  public var value: Double
  /// Nil where there are too few observations for one.
  public var interval: ClosedRange<Double>?
  /// Measurements, censored ones included.
  public var count: Int
  /// So many independent measurements would tell as much; at most `count`.
  public var effectiveCount: Double
  /// Of the bootstrap, in slots.
  public var blockLength: Int
  /// Dependence lasts so long that there are few independent stretches: take the interval as a lower bound of
  /// the uncertainty.
  public var hasLongDependence: Bool

  public init(
    value: Double, interval: ClosedRange<Double>?, count: Int, effectiveCount: Double, blockLength: Int,
    hasLongDependence: Bool
  ) {
    self.value = value
    self.interval = interval
    self.count = count
    self.effectiveCount = effectiveCount
    self.blockLength = blockLength
    self.hasLongDependence = hasLongDependence
  }
}
