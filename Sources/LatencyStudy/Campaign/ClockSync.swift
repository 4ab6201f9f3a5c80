import Foundation

/// What the kernel knows of the last time that somebody set its clock right.
public enum ClockSync {
  /// Seconds since then, at most; nil where nobody keeps this clock, or the system does not tell.
  ///
  /// The kernel lets its bound of the error grow by 500 parts in a million from each correction on (RFC 5905's dispersion
  /// rate is 15; Linux's MAXFREQ is 500), so the bound tells how old the last correction can be.
  public static func age() -> Double? {
    #if os(Linux) && (arch(x86_64) || arch(arm64))
      guard let symbol = dlsym(dlopen(nil, RTLD_NOW), "adjtimex") else { return nil }
      let adjtimex = unsafeBitCast(symbol, to: (@convention(c) (UnsafeMutableRawPointer) -> CInt).self)
      // struct timex: modes at 0, maxerror (microseconds) at 24, status at 40; modes 0 reads and sets nothing.
      return withUnsafeTemporaryAllocation(byteCount: 256, alignment: 8) { buffer in
        guard let base = buffer.baseAddress else { return nil }
        memset(base, 0, buffer.count)
        guard adjtimex(base) >= 0, base.load(fromByteOffset: 40, as: Int32.self) & unsynchronised == 0 else {
          return nil
        }
        return Double(base.load(fromByteOffset: 24, as: Int.self)) / 500
      }
    #else
      return nil
    #endif
  }

  /// STA_UNSYNC.
  private static let unsynchronised: Int32 = 0x40
}
