import Foundation

#if canImport(Glibc)
  import Glibc
#elseif canImport(Musl)
  import Musl
#elseif canImport(Darwin)
  import Darwin
#endif

/// A lock that the system releases when its holder ends in whatever way. The file goes with it; one that a killed process
/// left behind holds nobody up.
package final class LockFile: Sendable {
  private let path: String
  private let descriptor: Int32

  /// - Parameter waits: until whoever holds it lets go
  /// - Returns: nil where somebody else holds it
  /// - Throws: `OutputError` where no file can be made or locked
  package init?(_ path: String, waits: Bool, mode: UInt16 = 0o644) throws(OutputError) {
    self.path = path
    while true {
      let opened = Descriptors.opened(path, O_RDWR | O_CREAT | O_NOFOLLOW, mode_t(mode))
      guard opened >= 0 else { throw .writing(path, errno) }
      if flock(opened, waits ? LOCK_EX : LOCK_EX | LOCK_NB) != 0 {
        let problem = errno
        close(opened)
        if problem == EINTR { continue }
        guard problem == EWOULDBLOCK else { throw .writing(path, problem, "lock") }
        return nil
      }
      // Whoever held it before may have removed what was just opened.
      if Self.isSame(opened, path) {
        descriptor = opened
        return
      }
      close(opened)
    }
  }

  deinit {
    // While it is held: nobody else's file is removed.
    unlink(path)
    close(descriptor)
  }

  private static func isSame(_ descriptor: Int32, _ path: String) -> Bool {
    var there = stat()
    guard let held = Descriptors.status(of: descriptor), lstat(path, &there) == 0 else { return false }
    return held.st_ino == there.st_ino && held.st_dev == there.st_dev
  }
}
