internal import NIOCore

/// Runs tasks on an event loop's thread.
///
/// The exchange's tasks prefer it, so a message goes from the socket to its handler, and from the outbox to
/// the socket, without changing threads: no wait for a thread of the shared pool while models compute.
final class EventLoopTaskExecutor: TaskExecutor {
  private let eventLoop: any EventLoop

  init(_ eventLoop: any EventLoop) { self.eventLoop = eventLoop }

  func enqueue(_ job: consuming ExecutorJob) {
    let unowned = UnownedJob(job)
    eventLoop.execute { unowned.runSynchronously(on: self.asUnownedTaskExecutor()) }
  }
}
