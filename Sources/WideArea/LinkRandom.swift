import SplitMix

/// The random numbers of a link. The same seed and stream give the same numbers on every machine.
public struct LinkRandom: RandomNumberGenerator, Sendable {
  private var numbers: SplitMix64

  /// - Parameters:
  ///   - seed: the seed of the link
  ///   - stream: an independent stream under that seed, such as one direction of one connection
  public init(seed: UInt64, stream: UInt64 = 0) {
    numbers = SplitMix64(
      seed: SplitMix64.mix(seed &+ SplitMix64.increment) ^ SplitMix64.mix(stream &+ 0xD1B5_4A32_D192_ED03))
  }

  public mutating func next() -> UInt64 { numbers.next() }

  /// Uniform in [0, 1), 53 bits.
  public mutating func unit() -> Double { numbers.uniform() }
}
