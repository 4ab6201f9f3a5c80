/// SplitMix64 (Steele, Lea and Flood, "Fast splittable pseudorandom number generators", OOPSLA 2014): a small seeded
/// generator. Equal seeds give equal sequences on every machine.
@frozen
public struct SplitMix64: RandomNumberGenerator, Sendable {
  @usableFromInline var state: UInt64

  @inlinable
  public init(seed: UInt64) { state = seed }

  /// What the state grows by: 2^64 over the golden ratio.
  public static var increment: UInt64 {
    @inlinable @inline(__always) get { 0x9E37_79B9_7F4A_7C15 }
  }

  /// The finaliser: a bijection of 64-bit values in which every input bit reaches every output bit (variant 13 of David
  /// Stafford's mixers).
  @inlinable @inline(__always)
  public static func mix(_ value: UInt64) -> UInt64 {
    var z = value
    z = (z ^ (z >> 30)) &* 0xBF58_476D_1CE4_E5B9
    z = (z ^ (z >> 27)) &* 0x94D0_49BB_1331_11EB
    return z ^ (z >> 31)
  }

  @inlinable
  public mutating func next() -> UInt64 {
    state &+= Self.increment
    return Self.mix(state)
  }

  /// Evenly distributed in 0..<1, 53 bits.
  @inlinable
  public mutating func uniform() -> Double { Double(next() >> 11) * 0x1p-53 }

  /// True with the given probability.
  @inlinable
  public mutating func chance(_ probability: Double) -> Bool { uniform() < probability }

  /// An independent generator for one part of a run, so that what one part draws does not move the others.
  @inlinable
  public mutating func split() -> SplitMix64 { SplitMix64(seed: next()) }
}
