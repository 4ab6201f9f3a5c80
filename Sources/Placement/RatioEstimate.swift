import Foundation

/// The ratio of two totals over the same texts, and how far it might be from that of other such texts.
package struct RatioEstimate {
  package var value: Double
  /// 95%; nil for fewer texts than `minimumCount`.
  package var interval: ClosedRange<Double>?

  package static let minimumCount = 8

  /// Cochran, "Sampling Techniques", 3rd edition, chapter 6: the variance of R = Σy/Σx over n pairs is about
  /// n/(n-1) · Σ(y - Rx)² / (Σx)², and the error about t-distributed.
  ///
  /// - Parameters:
  ///   - numerators: y, one for each text
  ///   - denominators: x, above zero in all
  package init(_ numerators: [Double], _ denominators: [Double]) {
    precondition(numerators.count == denominators.count, "both are of the same texts")
    let total = denominators.reduce(0, +)
    value = total > 0 ? numerators.reduce(0, +) / total : 1
    let count = Double(numerators.count)
    guard numerators.count >= Self.minimumCount, total > 0 else { return }
    let squares = zip(numerators, denominators).reduce(0) { sum, pair in
      let rest = pair.0 - value * pair.1
      return sum + rest * rest
    }
    let error = (count / (count - 1) * squares).squareRoot() / total * Self.t(count - 1)
    interval = max(0, value - error)...(value + error)
  }

  /// The 97.5% point of Student's distribution (Abramowitz and Stegun, 26.7.5), good to 0.2% from 7 degrees on.
  private static func t(_ degrees: Double) -> Double {
    let z = 1.959964
    return z + (pow(z, 3) + z) / (4 * degrees) + (5 * pow(z, 5) + 16 * pow(z, 3) + 3 * z)
      / (96 * degrees * degrees)
  }
}
