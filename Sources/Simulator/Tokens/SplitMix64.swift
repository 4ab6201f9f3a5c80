/// Sebastiano Vigna's SplitMix64: a small seeded generator. Equal seeds give equal sequences on
/// every machine.
public struct SplitMix64: RandomNumberGenerator, Sendable {
  private var state: UInt64

  public init(seed: UInt64) { state = seed }

  public mutating func next() -> UInt64 {
    state &+= 0x9E37_79B9_7F4A_7C15
    return Self.mix(state)
  }

  /// The finaliser: a bijection of 64-bit values in which every input bit reaches every output bit.
  public static func mix(_ value: UInt64) -> UInt64 {
    var z = value
    z = (z ^ (z >> 30)) &* 0xBF58_476D_1CE4_E5B9
    z = (z ^ (z >> 27)) &* 0x94D0_49BB_1331_11EB
    return z ^ (z >> 31)
  }

  /// True with the given probability.
  public mutating func chance(_ probability: Double) -> Bool { uniform() < probability }

  /// Evenly distributed in 0..<1.
  public mutating func uniform() -> Double { Double(next() >> 11) * 0x1p-53 }

  /// Evenly distributed whole microseconds.
  public mutating func duration(_ range: ClosedRange<Duration>) -> Duration {
    let low = range.lowerBound / .microseconds(1)
    let high = range.upperBound / .microseconds(1)
    return .microseconds(Int64(low + (high - low) * uniform()))
  }

  /// An independent generator for one part of a run, so that what one part draws does not move the others.
  public mutating func split() -> SplitMix64 { SplitMix64(seed: next()) }
}

/// A running hash of tokens: equal sequences give equal values, in every process.
public struct SequenceHash: Hashable, Sendable {
  public private(set) var value: UInt64

  public init(seed: UInt64) { value = SplitMix64.mix(seed &+ 0x9E37_79B9_7F4A_7C15) }

  public mutating func append(_ word: UInt64) {
    value = SplitMix64.mix((value ^ word) &+ 0x9E37_79B9_7F4A_7C15)
  }

  /// Evenly distributed in 0..<1, a different one for each `purpose`.
  public func uniform(_ purpose: UInt64) -> Double {
    var copy = self
    copy.append(purpose)
    return Double(copy.value >> 11) * 0x1p-53
  }
}
