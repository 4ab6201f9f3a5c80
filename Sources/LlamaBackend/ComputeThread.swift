import Dispatch
import ModelBackend

/// Runs an engine's computations under a lowered priority.
///
/// A thread of its own, because a priority is passed on to threads that a thread starts and cannot be raised
/// again: the engine's thread resumes tasks, which may make the system start a pool thread, and those must
/// handle messages in time however little of the machine is left to drafting. The engine's thread waits here.
final class ComputeThread {
  private let jobs = JobQueue()

  /// - Returns: nil where there is nothing to lower
  init?(_ priority: EnginePriority) {
    guard priority != .ordinary, jobs.startThread(name: "wanspec-compute", priority: priority) == nil else {
      return nil
    }
  }

  deinit { jobs.close() }

  /// Runs `body` there and returns its result.
  func run<Value>(_ body: @escaping () -> Value) -> Value {
    // The caller waits, so nothing of it is used by two threads at once.
    nonisolated(unsafe) let job = body
    nonisolated(unsafe) var result: Value?
    let done = DispatchSemaphore(value: 0)
    jobs.append {
      result = job()
      done.signal()
    }
    done.wait()
    return result!
  }
}
