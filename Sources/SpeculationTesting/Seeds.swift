#if canImport(Glibc)
  import Glibc
#elseif canImport(Musl)
  import Musl
#else
  import Darwin
#endif

/// Something that must never happen did.
public struct CheckFailure: Error, CustomStringConvertible {
  public var description: String
  public init(_ description: String) { self.description = description }
}

/// A test that failed under one seed. Its description says how to run that seed alone.
public struct SeedFailure: Error, CustomStringConvertible {
  public var seed: UInt64
  public var cause: any Error

  public var description: String { "seed \(seed): \(cause) (run it alone with WANSPEC_TEST_SEED=\(seed))" }
}

/// Runs `body` for many seeds, 1, 2, 3..., and stops at the first that fails.
///
/// - Environment: `WANSPEC_TEST_SEED` runs that one seed alone; `WANSPEC_TEST_SEEDS` replaces `count`.
/// - Throws: `SeedFailure`; the seed is also printed, so that it is in the log whatever the caller does.
public func forEachSeed(count: Int, _ body: (UInt64) throws -> Void) throws {
  let seeds: ClosedRange<UInt64>
  if let only = environmentNumber("WANSPEC_TEST_SEED") {
    seeds = only...only
  } else {
    seeds = 1...max(1, environmentNumber("WANSPEC_TEST_SEEDS") ?? UInt64(count))
  }
  for seed in seeds {
    do {
      try body(seed)
    } catch {
      let failure = SeedFailure(seed: seed, cause: error)
      print(failure)
      throw failure
    }
  }
}

private func environmentNumber(_ name: String) -> UInt64? {
  guard let value = getenv(name) else { return nil }
  return UInt64(String(cString: value))
}
