import CLlama

#if canImport(Glibc)
  import Glibc
#elseif canImport(Musl)
  import Musl
#else
  import Darwin
#endif

/// A thread of its own on which an engine's blocking C calls run, one after the other.
///
/// It is the executor of the actors that own C handles: the compiler then keeps every use of the handles on
/// this thread, no pool thread ever blocks in a forward pass, and callers simply await. The thread ends when
/// the last reference to the executor goes.
final class EngineThread: SerialExecutor {
  private let queue: JobQueue

  /// - Parameters:
  ///   - name: shown by debuggers and `top -H`; at most 15 characters are kept
  ///   - cores: the processor cores that the engine will keep to while it computes (`pinned`); checked here.
  ///     Ignored where the system has no such control (macOS).
  /// - Throws: a sentence that names the core, when the system refuses the affinity.
  init(name: String, cores: [Int]) throws(AffinityError) {
    if let problem = EngineThread.problem(cores) { throw AffinityError(message: problem) }
    queue = JobQueue()
    if let status = queue.startThread(name: name) {
      throw AffinityError(message: "cannot start the engine's thread: error \(status)")
    }
  }

  deinit { queue.close() }

  struct AffinityError: Error {
    var message: String
  }

  func enqueue(_ job: consuming ExecutorJob) {
    let job = UnownedJob(job)
    let executor = asUnownedSerialExecutor()
    queue.append { job.runSynchronously(on: executor) }
  }

  /// Runs a closure on the thread, behind what was queued before it.
  func run<Value: Sendable>(_ body: @escaping @Sendable () throws -> Value) async throws -> Value {
    try await withCheckedThrowingContinuation { continuation in
      queue.append { continuation.resume(with: Result(catching: body)) }
    }
  }

  /// What is wrong with a list of cores; nil when the system can honour it.
  private static func problem(_ cores: [Int]) -> String? {
    if cores.isEmpty { return nil }
    #if os(Linux)
      guard let allowed = CoreSet.ofThisThread() else { return nil }
      for core in cores where !allowed.contains(core) {
        let list = allowed.map(String.init).joined(separator: ", ")
        return "core \(core) is not one that this process may use (it may use \(list))"
      }
    #endif
    return nil
  }
}

#if os(Linux)
  /// Processor cores that a thread may run on.
  enum CoreSet {
    /// Bytes of a mask: enough for 8,192 cores, more than any kernel is built for.
    private static let size = 1024

    static func ofThisThread() -> [Int]? {
      var mask = [UInt8](repeating: 0, count: size)
      guard wanspec_get_affinity(&mask, size) == 0 else { return nil }
      return (0..<size * 8).filter { mask[$0 / 8] & (1 << UInt8($0 % 8)) != 0 }
    }

    fileprivate static func pinned<Result>(to cores: [Int], _ body: () throws -> Result) rethrows -> Result {
      var before = [UInt8](repeating: 0, count: size)
      guard wanspec_get_affinity(&before, size) == 0 else { return try body() }
      var mask = [UInt8](repeating: 0, count: size)
      for core in cores where core >= 0 && core < size * 8 { mask[core / 8] |= 1 << UInt8(core % 8) }
      // The cores were checked against those allowed, so this fails only if they were taken away since; the
      // engine then runs where it may.
      _ = wanspec_set_affinity(mask, size)
      defer { _ = wanspec_set_affinity(before, size) }
      return try body()
    }
  }
#endif

/// Runs `body` with the calling thread kept to `cores`; empty leaves it to the system.
///
/// Only for as long as it computes: a thread passes its affinity on to threads and processes that it starts,
/// and whoever resumes a task may make the system start a pool thread.
func pinned<Result>(to cores: [Int], _ body: () throws -> Result) rethrows -> Result {
  #if os(Linux)
    if !cores.isEmpty { return try CoreSet.pinned(to: cores, body) }
  #endif
  return try body()
}
