import Foundation

#if canImport(Darwin)
  import Darwin
#elseif canImport(Glibc)
  import Glibc
#elseif canImport(Musl)
  import Musl
#endif

/// An advisory lock on a file: one process (and one pull within it) works on a model at a time. The system
/// releases it when its holder ends in whatever way, so there is no stale lock to clean up.
final class FileLock: Sendable {
  private let descriptor: Int32

  /// Blocks until the lock is had.
  /// - Parameter waiting: called once if somebody else has it
  /// - Throws: `ModelStoreError` where the disk cannot lock; `CancellationError`
  init(_ url: URL, cancellation: BlockingWork.Cancellation, waiting: () -> Void) throws {
    let descriptor = open(url.path, O_CREAT | O_RDWR | O_CLOEXEC, 0o644)
    guard descriptor >= 0 else {
      throw ModelStoreError(
        .fileProblem, "cannot write \(url.path): \(String(cString: strerror(errno)))",
        hint: "check the permissions, or set WANSPEC_CACHE to another folder")
    }
    var said = false
    while flock(descriptor, LOCK_EX | LOCK_NB) != 0 {
      let problem = errno
      guard problem == EWOULDBLOCK || problem == EINTR else {
        close(descriptor)
        throw ModelStoreError(
          .fileProblem, "cannot lock \(url.path): \(String(cString: strerror(problem)))",
          hint: "set WANSPEC_CACHE to a folder on a disk that has file locks")
      }
      if !said { waiting() }
      said = true
      if cancellation.isCancelled {
        close(descriptor)
        throw CancellationError()
      }
      usleep(50_000)
    }
    self.descriptor = descriptor
  }

  /// Releases the lock.
  deinit { close(descriptor) }
}
