import Foundation
import Synchronization

#if canImport(Glibc)
  import Glibc
#elseif canImport(Musl)
  import Musl
#elseif canImport(Darwin)
  import Darwin
#endif

/// Finds a running worker of this user on this machine by its name: a small file with its process id, locked for as
/// long as the worker lives.
package enum RunFile {
  private static let held = Mutex<String?>(nil)

  /// Holds it until `release`, or the end of this process, which leaves the file behind. When another worker of that name runs, or no file can be made, a worker does
  /// without.
  package static func hold(name: String) {
    guard let path = try? path(for: name) else { return }
    let descriptor = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0o600)
    guard descriptor >= 0 else { return }
    let text = Array("\(getpid())\n".utf8)
    guard flock(descriptor, LOCK_EX | LOCK_NB) == 0, ftruncate(descriptor, 0) == 0,
      write(descriptor, text, text.count) == text.count
    else {
      close(descriptor)
      return
    }
    held.withLock { $0 = path }
  }

  /// Removes the file, as the last that a worker does.
  package static func release() {
    held.withLock { path in
      if let path { unlink(path) }
      path = nil
    }
  }

  /// The process id of the running worker of that name; nil when there is none.
  package static func holder(of name: String) -> pid_t? {
    guard let path = try? path(for: name) else { return nil }
    let descriptor = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW)
    guard descriptor >= 0 else { return nil }
    defer { close(descriptor) }
    // Who gets the lock has found a file that a worker left behind.
    guard flock(descriptor, LOCK_SH | LOCK_NB) != 0, errno == EWOULDBLOCK else { return nil }
    var buffer = [UInt8](repeating: 0, count: 32)
    let count = read(descriptor, &buffer, buffer.count)
    guard count > 0 else { return nil }
    let text = String(decoding: buffer[..<count], as: UTF8.self).trimmingCharacters(
      in: .whitespacesAndNewlines)
    return pid_t(text).flatMap { $0 > 1 ? $0 : nil }
  }

  /// In a folder that only this user can write to, so that nobody else chooses which process is ended.
  private static func path(for name: String) throws -> String {
    let environment = ProcessInfo.processInfo.environment
    let base =
      environment["XDG_RUNTIME_DIR"].flatMap { $0.isEmpty ? nil : $0 } ?? NSHomeDirectory()
      + "/.cache/wanspec"
    let folder = base + "/wanspec-run"
    try FileManager.default.createDirectory(
      atPath: folder, withIntermediateDirectories: true, attributes: [.posixPermissions: 0o700])
    // Any text is a name; a file's must be short and plain.
    let plain = String(
      name.unicodeScalars.prefix(64).map { scalar in
        scalar.isASCII && (scalar.properties.isAlphabetic || scalar.properties.numericType != nil)
          ? Character(scalar) : "-"
      })
    return "\(folder)/worker-\(plain)-\(String(stableHash(name), radix: 16)).pid"
  }

  /// FNV-1a: the same in every process, as Swift's own hashes are not.
  private static func stableHash(_ text: String) -> UInt64 {
    text.utf8.reduce(0xCBF2_9CE4_8422_2325) { ($0 ^ UInt64($1)) &* 0x0000_0100_0000_01B3 }
  }
}
