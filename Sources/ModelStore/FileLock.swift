import Foundation
import OutputFiles

/// An advisory lock on a file: one process (and one pull within it) works on a model at a time. The system
/// releases it when its holder ends in whatever way, and its file goes with it.
final class FileLock: Sendable {
  private let lock: LockFile

  /// Blocks until the lock is had.
  /// - Parameter waiting: called once if somebody else has it
  /// - Throws: `ModelStoreError` where the disk cannot lock; `CancellationError`
  init(_ url: URL, cancellation: BlockingWork.Cancellation, waiting: () -> Void) throws {
    var said = false
    while true {
      let held: LockFile?
      do { held = try LockFile(url.path, waits: false) } catch {
        throw ModelStoreError(
          .fileProblem, error.message,
          hint:
            "check the permissions and that its disk has file locks, or set WANSPEC_CACHE to another folder"
        )
      }
      if let held {
        lock = held
        return
      }
      if !said { waiting() }
      said = true
      if cancellation.isCancelled { throw CancellationError() }
      usleep(50_000)
    }
  }
}
