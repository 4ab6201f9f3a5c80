import Dispatch
import Synchronization

/// Runs blocking calls (waiting for processes, hashing gigabytes) on threads of their own, because Swift's
/// cooperative pool has one thread per core and must not be blocked.
enum BlockingWork {
  private static let queue = DispatchQueue(label: "wanspec.model-store", attributes: .concurrent)

  /// Whether the task that asked for the work still wants it. Checked by the work at its own pace.
  final class Cancellation: Sendable {
    private let flag = Atomic<Bool>(false)
    var isCancelled: Bool { flag.load(ordering: .relaxed) }
    func cancel() { flag.store(true, ordering: .relaxed) }
    func check() throws { if isCancelled { throw CancellationError() } }
  }

  static func run<T: Sendable>(_ body: @escaping @Sendable (Cancellation) throws -> T) async throws -> T {
    let cancellation = Cancellation()
    return try await withTaskCancellationHandler {
      try await withCheckedThrowingContinuation { continuation in
        queue.async { continuation.resume(with: Result { try body(cancellation) }) }
      }
    } onCancel: {
      cancellation.cancel()
    }
  }
}
