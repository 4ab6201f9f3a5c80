import Foundation

/// FNV-1a, 64 bits: tells contents apart, by accident and not by intent.
struct Fingerprint {
  private var hash: UInt64 = 0xcbf2_9ce4_8422_2325

  mutating func add(_ bytes: some Sequence<UInt8>) {
    for byte in bytes { hash = (hash ^ UInt64(byte)) &* 0x0000_0100_0000_01b3 }
  }

  var text: String { String(hash, radix: 16) }

  /// Of a file's contents; of nothing for a file that cannot be read.
  static func ofFile(_ path: String) -> String {
    var fingerprint = Fingerprint()
    // In chunks: a trace may have gigabytes.
    guard let handle = FileHandle(forReadingAtPath: path) else { return fingerprint.text }
    defer { try? handle.close() }
    while let chunk = try? handle.read(upToCount: 1 << 20), !chunk.isEmpty {
      chunk.withUnsafeBytes { fingerprint.add($0) }
    }
    return fingerprint.text
  }
}
