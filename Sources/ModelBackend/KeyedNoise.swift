import SpeculationCore
import SplitMix

#if canImport(Glibc)
  import Glibc
#elseif canImport(Musl)
  import Musl
#else
  import Darwin
#endif

/// Noise that every party can compute for itself: a pure function of (seed, position, token).
///
/// It is a counter-based generator. The bits for token *t* are output *t* of `SplitMix64` started at a state derived
/// from the seed and the position by two rounds of its finaliser. No state is advanced, so noise can be computed for any
/// token, in any order, on any machine.
public struct KeyedNoise: Sendable {
  private let state: UInt64

  /// - Parameters:
  ///   - seed: the request's seed
  ///   - position: index, in the session's whole token sequence, of the token being chosen
  public init(seed: UInt64, position: Int) {
    let offset = UInt64(bitPattern: Int64(position)) &* SplitMix64.increment
    state = SplitMix64.mix(SplitMix64.mix(seed &+ SplitMix64.increment) &+ offset)
  }

  /// The largest noise `gumbel(_:)` can return: -ln(-ln(1 - 2^-33)).
  public static let largestGumbel = 22.873_9

  /// 32 uniform bits for a token. Noise grows with them, so a bound on the noise is a bound on these bits.
  @inline(__always)
  func bits(_ token: TokenID) -> UInt32 {
    let counter = UInt64(truncatingIfNeeded: token) &+ 1
    return UInt32(truncatingIfNeeded: SplitMix64.mix(state &+ counter &* SplitMix64.increment) >> 32)
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
