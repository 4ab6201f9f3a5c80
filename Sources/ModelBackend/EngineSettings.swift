/// How an engine's threads share a processor core with others.
public enum EnginePriority: Hashable, Sendable {
  case ordinary
  /// Added to the nice value, 0...19: a smaller share of a busy core.
  case nice(Int)
  /// Only what nobody else wants, and gives way at once: a thread that wakes up beside it does not wait for the
  /// end of a time slice (3 ms), as it would beside any nice value.
  case idle
}

/// How a cache keeps keys and values.
public enum CacheType: String, Hashable, Sendable, CaseIterable {
  case f16, bf16
  case q8 = "q8_0"
  /// Twice the memory of `f16`, and nothing rounded. On a GPU without flash attention, whose kernels there round to 16
  /// bits.
  case f32
}
