import SplitMix

extension SplitMix64 {
  /// For things that are numbered, of which each draws numbers of its own.
  init(numbered number: UInt64) { self.init(seed: number &* Self.increment &+ 1) }
}
