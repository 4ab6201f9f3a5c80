import Foundation
import SplitMix
import StudyAnalysis

/// Of a share of a turn.
func cosine(_ turns: Double) -> Double { cos(2 * .pi * turns) }

extension SplitMix64 {
  mutating func exponential(mean: Double) -> Double { -mean * log(1 - uniform()) }

  /// Geometric on 1, 2, 3, ... with exactly this mean, which is 1 or more (inversion of its distribution).
  mutating func geometric(mean: Double) -> Int {
    guard mean > 1 else { return 1 }
    return 1 + Int(min(1e9, log(1 - uniform()) / log(1 - 1 / mean)))
  }

  /// Log-normal with mean 1.
  mutating func factor(sigma: Double) -> Double {
    let normal = (-2 * log(1 - uniform())).squareRoot() * cos(2 * .pi * uniform())
    return exp(sigma * normal - sigma * sigma / 2)
  }
}
