import Foundation
import StudyAnalysis

/// Of a share of a turn.
func cosine(_ turns: Double) -> Double { cos(2 * .pi * turns) }

extension SeededRandom {
  /// At least 0, below 1.
  mutating func unit() -> Double { Double(next() >> 11) * 0x1p-53 }

  mutating func exponential(mean: Double) -> Double { -mean * log(1 - unit()) }

  /// Log-normal with mean 1.
  mutating func factor(sigma: Double) -> Double {
    let normal = (-2 * log(1 - unit())).squareRoot() * cos(2 * .pi * unit())
    return exp(sigma * normal - sigma * sigma / 2)
  }
}
