import SplitMix

/// A running hash of tokens: equal sequences give equal values, in every process.
public struct SequenceHash: Hashable, Sendable {
  public private(set) var value: UInt64

  public init(seed: UInt64) { value = SplitMix64.mix(seed &+ SplitMix64.increment) }

  public mutating func append(_ word: UInt64) {
    value = SplitMix64.mix((value ^ word) &+ SplitMix64.increment)
  }

  /// Evenly distributed in 0..<1, a different one for each `purpose`.
  public func uniform(_ purpose: UInt64) -> Double {
    var copy = self
    copy.append(purpose)
    return Double(copy.value >> 11) * 0x1p-53
  }
}

extension SplitMix64 {
  /// Evenly distributed whole microseconds.
  public mutating func duration(_ range: ClosedRange<Duration>) -> Duration {
    let low = range.lowerBound / .microseconds(1)
    let high = range.upperBound / .microseconds(1)
    return .microseconds(Int64(low + (high - low) * uniform()))
  }
}
