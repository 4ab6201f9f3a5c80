import SplitMix

/// When probes start: one in each slot, at a time within it that looks random and is the same on every run.
///
/// Open loop: the schedule never waits for answers, so that slow times are not sampled less (coordinated omission).
/// Slots are counted from 1970, so that all sources agree on them.
public struct Schedule: Sendable, Hashable {
  /// Nanoseconds of campaign time.
  public let slotLength: Int64
  private let seed: UInt64

  /// - Parameter fingerprint: the campaign's
  public init(every: Duration, fingerprint: String) {
    let (seconds, attoseconds) = every.components
    slotLength = seconds * 1_000_000_000 + attoseconds / 1_000_000_000
    seed = Self.hash(fingerprint, 0xCBF2_9CE4_8422_2325)
  }

  /// - Parameter time: nanoseconds since 1970, campaign time
  public func slot(at time: Int64) -> Int { Int(time.quotient(flooredBy: slotLength)) }

  public func start(of slot: Int) -> Int64 { Int64(slot) * slotLength }

  /// Nanoseconds since 1970 at which this pair's probe of the slot starts: anywhere in the first nine tenths, so that
  /// the order of targets differs from slot to slot and a probe rarely reaches into the next slot.
  public func time(of slot: Int, source: String, target: String) -> Int64 {
    let hash = SplitMix64.mix(
      (Self.hash(target, Self.hash(source, seed)) ^ UInt64(bitPattern: Int64(slot))) &+ SplitMix64.increment)
    let part = hash.multipliedFullWidth(by: UInt64(slotLength / 10 * 9)).high
    return start(of: slot) + Int64(part)
  }

  /// FNV-1a.
  private static func hash(_ text: String, _ start: UInt64) -> UInt64 {
    text.utf8.reduce(start) { ($0 ^ UInt64($1)) &* 0x100_0000_01B3 }
  }
}

extension Int64 {
  fileprivate func quotient(flooredBy divisor: Int64) -> Int64 {
    let (quotient, remainder) = quotientAndRemainder(dividingBy: divisor)
    return remainder < 0 ? quotient - 1 : quotient
  }
}
