/// Counts of observations up to each of a few fixed bounds, as Prometheus has them.
package struct Histogram: Sendable {
  /// Upper bounds, ascending, without infinity.
  package let bounds: [Double]
  /// Observations of each bucket alone; the last is for those above every bound.
  package private(set) var counts: [UInt64]
  package private(set) var sum = 0.0

  package init(_ bounds: [Double]) {
    self.bounds = bounds
    counts = [UInt64](repeating: 0, count: bounds.count + 1)
  }

  package var count: UInt64 { counts.reduce(0, +) }

  package mutating func observe(_ value: Double) {
    counts[bounds.firstIndex { value <= $0 } ?? bounds.count] += 1
    sum += value
  }

  /// Seconds: from a step to a long answer.
  static let requestBounds = [
    0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 20, 30, 60, 120, 300, 600,
  ]
  static let firstTokenBounds = [
    0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 20, 60,
  ]
  static let tokenBounds = [
    0.001, 0.0025, 0.005, 0.01, 0.02, 0.03, 0.05, 0.075, 0.1, 0.15, 0.2, 0.3, 0.5, 1, 2.5,
  ]
  /// Logits, or scores.
  static let marginBounds = [0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1, 3]
  static let sizeBounds: [Double] = [1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024, 2048, 4096]
}
