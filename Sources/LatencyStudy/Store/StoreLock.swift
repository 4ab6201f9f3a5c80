import Foundation

/// Keeps two runs from sending the same probes: a lock beside the store, which the system releases when its holder ends
/// in whatever way. Not on the store itself, whose own locks a second file descriptor of this process would break.
public final class StoreLock: Sendable {
  private let descriptor: Int32

  /// - Throws: `StoreError` where another process runs on this store
  public init(_ path: String) throws {
    let name = path + ".lock"
    descriptor = open(name, O_CREAT | O_RDWR | O_CLOEXEC, 0o644)
    guard descriptor >= 0 else {
      throw StoreError(.failed, path, "cannot be locked: \(name): \(String(cString: strerror(errno)))")
    }
    guard flock(descriptor, LOCK_EX | LOCK_NB) == 0 else {
      let problem = errno
      close(descriptor)
      guard problem == EWOULDBLOCK else {
        throw StoreError(.failed, path, "cannot be locked: \(name): \(String(cString: strerror(problem)))")
      }
      throw StoreError(
        .busy, path, "another process runs on it", hint: "one run for each store; name another with --store")
    }
  }

  deinit { close(descriptor) }
}
