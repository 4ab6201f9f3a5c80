import Foundation

#if canImport(Glibc)
  import Glibc
#elseif canImport(Musl)
  import Musl
#elseif canImport(Darwin)
  import Darwin
#endif

/// SIGINT and SIGTERM, so that a command can end in order.
package enum TerminationSignals {
  /// From the return of this call on, the first of these signals no longer ends the process by itself: the
  /// command has to act on it. A second one does, however far the command has got.
  package static func install() { _ = arrivals }

  /// Returns at the first signal since `install`, or when the task is cancelled. For one task of the process.
  package static func first() async {
    for await _ in arrivals { return }
  }

  /// Returns at the first signal since `install`, when the task is cancelled, or where `exitWithParent` says so when
  /// the parent process is gone. For one task of the process.
  package static func first(exitWithParent: Bool) async {
    await withTaskGroup(of: Void.self) { watchers in
      watchers.addTask { await first() }
      if exitWithParent { watchers.addTask { await ParentWatch.parentExit() } }
      await watchers.next()
      watchers.cancelAll()
    }
  }

  private static let arrivals: AsyncStream<Void> = {
    let (stream, continuation) = AsyncStream<Void>.makeStream()
    signalPipe.whenSent { _ in continuation.yield() }
    signal(SIGINT, signalArrived)
    signal(SIGTERM, signalArrived)
    return stream
  }()
}

private let signalPipe = SignalPipe()

private func signalArrived(_ number: Int32) {
  // Whoever was interrupted may be about to read it.
  let before = errno
  defer { errno = before }
  signal(SIGINT, SIG_DFL)
  signal(SIGTERM, SIG_DFL)
  signalPipe.send(number)
}
