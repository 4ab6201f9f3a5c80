import Foundation

/// Keeps two runs from sending the same probes: a lock beside the store, which the system releases when its holder ends
/// in whatever way. Not on the store itself, whose own locks a second file descriptor of this process would break.
public final class StoreLock: Sendable {
  private let descriptor: Int32
  private let name: String

  /// - Parameter path: of the store, or of a link to it
  /// - Throws: `StoreError` where another process runs on this store
  public init(_ path: String) throws {
    name = LinkTarget.path(of: path) + ".lock"
    while true {
      let opened = open(name, O_CREAT | O_RDWR | O_CLOEXEC, 0o644)
      guard opened >= 0 else { throw Self.failure(path, errno) }
      guard flock(opened, LOCK_EX | LOCK_NB) == 0 else {
        let problem = errno
        close(opened)
        throw Self.failure(path, problem)
      }
      if Self.isStill(opened, at: name) {
        descriptor = opened
        return
      }
      // The one who held it has removed it in between: another may have made it anew.
      close(opened)
    }
  }

  /// Removed while it is held, so that nobody takes a lock that others do not see.
  deinit {
    unlink(name)
    close(descriptor)
  }

  private static func isStill(_ descriptor: Int32, at name: String) -> Bool {
    var (held, named) = (stat(), stat())
    return fstat(descriptor, &held) == 0 && stat(name, &named) == 0 && held.st_ino == named.st_ino
      && held.st_dev == named.st_dev
  }

  private static func failure(_ path: String, _ problem: Int32) -> StoreError {
    guard problem == EWOULDBLOCK else {
      return StoreError(
        .failed, path, "cannot be locked: \(path).lock: \(String(cString: strerror(problem)))",
        hint: "check the path and its permissions")
    }
    return StoreError(
      .busy, path, "another process runs on it", hint: "one run for each store; name another with --store")
  }
}
