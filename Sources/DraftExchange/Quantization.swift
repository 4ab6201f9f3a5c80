#if canImport(Glibc)
  import Glibc
#elseif canImport(Musl)
  import Musl
#elseif canImport(Darwin)
  import Darwin
#endif

/// Probabilities and entropies as whole 1/1024 nats.
///
/// A varint then takes one byte for a probability above 0.88 and two down to 1e-7, against four for a float,
/// at a relative error of at most 1/2048 in the probability: far below what the choice of a node notices.
/// A value that is not a number, is infinite or positive cannot even be written down.
enum Quantization {
  static let unitsPerNat: Float = 1024
  /// The least likely candidate is exp(-64).
  static let maximumSurprisal: UInt32 = 64 * 1024

  /// `probability` outside 0...1 is clamped; what is not a number counts as impossible.
  static func surprisal(ofProbability probability: Float) -> UInt32 {
    guard probability > 0 else { return maximumSurprisal }
    if probability >= 1 { return 0 }
    return min(maximumSurprisal, UInt32((-log(probability) * unitsPerNat).rounded()))
  }

  static func probability(ofSurprisal surprisal: UInt32) -> Float {
    exp(-Float(surprisal) / unitsPerNat)
  }

  /// `nats` below 0 counts as 0; above the entropy of an even distribution over `vocabularySize` tokens, or
  /// not a number, as that ("nothing is known").
  static func entropy(nats: Float, vocabularySize: Int) -> UInt32 {
    let most = maximumEntropy(vocabularySize: vocabularySize)
    guard nats < Float(most) / unitsPerNat else { return most }
    return nats > 0 ? UInt32((nats * unitsPerNat).rounded()) : 0
  }

  static func nats(ofEntropy entropy: UInt32) -> Float { Float(entropy) / unitsPerNat }

  /// ln(vocabulary size), rounded up: the most that a received entropy may be.
  static func maximumEntropy(vocabularySize: Int) -> UInt32 {
    UInt32((log(Float(max(1, vocabularySize))) * unitsPerNat).rounded(.up)) + 1
  }
}
