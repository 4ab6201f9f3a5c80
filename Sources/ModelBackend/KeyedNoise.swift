import SpeculationCore

#if canImport(Glibc)
  import Glibc
#elseif canImport(Musl)
  import Musl
#else
  import Darwin
#endif

/// Noise that every party can compute for itself: a pure function of (seed, position, token).
///
/// It is a counter-based generator. The bits for token *t* are output *t* of SplitMix64 (Steele, Lea and Flood,
/// "Fast splittable pseudorandom number generators", OOPSLA 2014) started at a state derived from the seed and
/// the position by two rounds of the same finaliser (variant 13 of David Stafford's mixers). No state is
/// advanced, so noise can be computed for any token, in any order, on any machine.
public struct KeyedNoise: Sendable {
  private let state: UInt64

  /// - Parameters:
  ///   - seed: the request's seed
  ///   - position: index, in the session's whole token sequence, of the token being chosen
  public init(seed: UInt64, position: Int) {
    let increment = UInt64(bitPattern: Int64(position)) &* KeyedNoise.weyl
    state = KeyedNoise.mix(KeyedNoise.mix(seed &+ KeyedNoise.weyl) &+ increment)
  }

  /// The largest noise `gumbel(_:)` can return: -ln(-ln(1 - 2^-33)).
  public static let largestGumbel = 22.873_9

  /// 2^64 over the golden ratio, the increment of SplitMix64.
  private static let weyl: UInt64 = 0x9E37_79B9_7F4A_7C15

  private static func mix(_ value: UInt64) -> UInt64 {
    var z = value
    z = (z ^ (z >> 30)) &* 0xBF58_476D_1CE4_E5B9
    z = (z ^ (z >> 27)) &* 0x94D0_49BB_1331_11EB
    return z ^ (z >> 31)
  }

  /// 32 uniform bits for a token. Noise grows with them, so a bound on the noise is a bound on these bits.
  @inline(__always)
  func bits(_ token: TokenID) -> UInt32 {
    let counter = UInt64(truncatingIfNeeded: token) &+ 1
    return UInt32(truncatingIfNeeded: KeyedNoise.mix(state &+ counter &* KeyedNoise.weyl) >> 32)
  }

  /// Uniform over 2^32 evenly spaced values strictly between 0 and 1.
  public func uniform(_ token: TokenID) -> Double { KeyedNoise.uniform(bits: bits(token)) }

  /// Standard Gumbel noise, -ln(-ln u). Adding it to log-probabilities and taking the largest draws a sample
  /// from the distribution (the Gumbel-max trick).
  public func gumbel(_ token: TokenID) -> Double { KeyedNoise.gumbel(bits: bits(token)) }

  @inline(__always)
  static func uniform(bits: UInt32) -> Double { (Double(bits) + 0.5) * 0x1p-32 }

  @inline(__always)
  static func gumbel(bits: UInt32) -> Double { -log(-log(uniform(bits: bits))) }

  /// The fewest bits whose noise may reach `gumbel`; noise from fewer bits is certainly below it.
  static func leastBits(reaching gumbel: Double) -> UInt32 {
    let uniform = exp(-exp(-gumbel))
    // One step of slack covers the rounding of the two exponentials.
    let scaled = (uniform * 0x1p32).rounded(.down) - 2
    if !(scaled > 0) { return 0 }
    return scaled >= 0x1p32 ? .max : UInt32(scaled)
  }
}
