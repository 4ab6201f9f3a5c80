import Foundation

/// Of a share of a turn.
func cosine(_ turns: Double) -> Double { cos(2 * .pi * turns) }

/// SplitMix64 (Steele, Lea and Flood 2014): the same numbers from the same seed on every machine.
struct SkyRandom: Sendable {
  private var state: UInt64

  init(seed: UInt64) { state = seed }

  mutating func next() -> UInt64 {
    state &+= 0x9E37_79B9_7F4A_7C15
    var z = state
    z = (z ^ (z >> 30)) &* 0xBF58_476D_1CE4_E5B9
    z = (z ^ (z >> 27)) &* 0x94D0_49BB_1331_11EB
    return z ^ (z >> 31)
  }

  /// At least 0, below 1.
  mutating func unit() -> Double { Double(next() >> 11) * 0x1p-53 }

  mutating func exponential(mean: Double) -> Double { -mean * log(1 - unit()) }

  /// Log-normal with mean 1.
  mutating func factor(sigma: Double) -> Double {
    let normal = (-2 * log(1 - unit())).squareRoot() * cos(2 * .pi * unit())
    return exp(sigma * normal - sigma * sigma / 2)
  }
}
