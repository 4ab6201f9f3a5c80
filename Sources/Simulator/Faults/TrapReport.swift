#if canImport(Glibc)
  import Glibc
#elseif canImport(Musl)
  import Musl
#else
  import Darwin
#endif

/// Names the seeds under way when a run ends the whole process: a machine's own precondition failed, which is a
/// bug found, but no error that could be caught.
public enum TrapReport {
  private static let slots = 256
  /// Seeds plus one, by core; 0: none. Written by one thread each, read by the signal handler.
  nonisolated(unsafe) private static let underWay: UnsafeMutablePointer<UInt64> = {
    let memory = UnsafeMutablePointer<UInt64>.allocate(capacity: slots)
    memory.initialize(repeating: 0, count: slots)
    return memory
  }()

  /// From now on the process says on standard error which seeds were under way when it trapped.
  public static func install() {
    _ = underWay
    for number in [SIGILL, SIGTRAP, SIGABRT, SIGSEGV, SIGBUS, SIGFPE] {
      signal(number) { number in
        TrapReport.write()
        signal(number, SIG_DFL)
        raise(number)
      }
    }
  }

  static func begin(_ seed: UInt64, core: Int) { underWay[core % slots] = seed &+ 1 }
  static func end(core: Int) { underWay[core % slots] = 0 }

  /// Only what a signal handler may do: no allocation, no locks.
  private static func write() {
    for slot in 0..<slots where underWay[slot] != 0 {
      say("trapped with seed ")
      var divisor: UInt64 = 10_000_000_000_000_000_000
      let seed = underWay[slot] &- 1
      var hasBegun = false
      while divisor > 0 {
        let digit = seed / divisor % 10
        if digit != 0 || hasBegun || divisor == 1 {
          hasBegun = true
          var character = UInt8(48 + digit)
          #if canImport(Glibc)
            _ = Glibc.write(2, &character, 1)
          #elseif canImport(Musl)
            _ = Musl.write(2, &character, 1)
          #else
            _ = Darwin.write(2, &character, 1)
          #endif
        }
        divisor /= 10
      }
      say(" under way\n")
    }
  }

  private static func say(_ text: StaticString) {
    #if canImport(Glibc)
      _ = Glibc.write(2, text.utf8Start, text.utf8CodeUnitCount)
    #elseif canImport(Musl)
      _ = Musl.write(2, text.utf8Start, text.utf8CodeUnitCount)
    #else
      _ = Darwin.write(2, text.utf8Start, text.utf8CodeUnitCount)
    #endif
  }
}
