import CLlama
import ModelBackend

#if canImport(Glibc)
  import Glibc
#elseif canImport(Musl)
  import Musl
#else
  import Darwin
#endif

/// Jobs in order of arrival; the consumer sleeps while there are none.
///
/// `@unchecked Sendable`: every stored property is only touched with `mutex` held. A condition variable is
/// needed to sleep on, which the standard library's `Mutex` has no counterpart for.
final class JobQueue: @unchecked Sendable {
  private let mutex = UnsafeMutablePointer<pthread_mutex_t>.allocate(capacity: 1)
  private let condition = UnsafeMutablePointer<pthread_cond_t>.allocate(capacity: 1)
  private var jobs: [@Sendable () -> Void] = []
  private var head = 0
  private var closed = false

  init() {
    pthread_mutex_init(mutex, nil)
    pthread_cond_init(condition, nil)
  }

  deinit {
    pthread_cond_destroy(condition)
    pthread_mutex_destroy(mutex)
    condition.deallocate()
    mutex.deallocate()
  }

  /// Starts the thread that runs the jobs, until the queue is closed.
  ///
  /// - Parameters:
  ///   - name: shown by debuggers and `top -H`; at most 15 characters are kept
  ///   - priority: lowered only on Linux, see `LlamaOptions`
  /// - Returns: the system's error number, nil when all is well
  func startThread(name: String, priority: EnginePriority = .ordinary) -> Int32? {
    let start = Unmanaged.passRetained(ThreadStart(queue: self, name: name, priority: priority))
    #if canImport(Darwin)
      var thread: pthread_t?
    #else
      var thread = pthread_t()
    #endif
    let status = pthread_create(&thread, nil, jobThreadMain, start.toOpaque())
    guard status == 0 else {
      start.release()
      return status
    }
    #if canImport(Darwin)
      if let thread { pthread_detach(thread) }
    #else
      pthread_detach(thread)
    #endif
    return nil
  }

  func append(_ job: @escaping @Sendable () -> Void) {
    pthread_mutex_lock(mutex)
    jobs.append(job)
    pthread_cond_signal(condition)
    pthread_mutex_unlock(mutex)
  }

  /// Lets the consumer end once it has run what is queued.
  func close() {
    pthread_mutex_lock(mutex)
    closed = true
    pthread_cond_signal(condition)
    pthread_mutex_unlock(mutex)
  }

  /// The next job, waiting for it; nil when the queue is closed and empty.
  func next() -> (@Sendable () -> Void)? {
    pthread_mutex_lock(mutex)
    defer { pthread_mutex_unlock(mutex) }
    while head == jobs.count {
      if closed { return nil }
      pthread_cond_wait(condition, mutex)
    }
    let job = jobs[head]
    head += 1
    if head == jobs.count {
      jobs.removeAll(keepingCapacity: true)
      head = 0
    }
    return job
  }
}

/// What the new thread needs to begin.
private final class ThreadStart {
  let queue: JobQueue
  let name: String
  let priority: EnginePriority

  init(queue: JobQueue, name: String, priority: EnginePriority) {
    self.queue = queue
    self.name = name
    self.priority = priority
  }
}

#if canImport(Darwin)
  private func jobThreadMain(_ argument: UnsafeMutableRawPointer) -> UnsafeMutableRawPointer? {
    runJobThread(argument)
    return nil
  }
#else
  private func jobThreadMain(_ argument: UnsafeMutableRawPointer?) -> UnsafeMutableRawPointer? {
    if let argument { runJobThread(argument) }
    return nil
  }
#endif

private func runJobThread(_ argument: UnsafeMutableRawPointer) {
  let start = Unmanaged<ThreadStart>.fromOpaque(argument).takeRetainedValue()
  let name = String(start.name.prefix(15))
  #if os(Linux)
    wanspec_name_thread(name)
    // Here a priority belongs to a thread and is passed on to the threads it starts.
    switch start.priority {
    case .ordinary: break
    case .nice(let value): _ = nice(Int32(value))
    case .idle: wanspec_schedule_when_idle()
    }
  #else
    pthread_setname_np(name)
  #endif
  let queue = start.queue
  while let job = queue.next() { job() }
}
