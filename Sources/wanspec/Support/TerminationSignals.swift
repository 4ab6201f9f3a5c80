import Foundation

#if canImport(Glibc)
  import Glibc
#elseif canImport(Musl)
  import Musl
#elseif canImport(Darwin)
  import Darwin
#endif

/// SIGINT and SIGTERM, so that a command can end in order.
enum TerminationSignals {
  /// From the return of this call on, the first of these signals no longer ends the process by itself: the
  /// command has to act on it. A second one does, however far the command has got.
  static func install() { _ = arrivals }

  /// Returns at the first signal since `install`, or when the task is cancelled. For one task of the process.
  static func first() async {
    for await _ in arrivals { return }
  }

  /// Returns at the first signal since `install`, when the task is cancelled, or where `exitWithParent` says so when
  /// the parent process is gone. For one task of the process.
  static func first(exitWithParent: Bool) async {
    await withTaskGroup(of: Void.self) { watchers in
      watchers.addTask { await first() }
      if exitWithParent { watchers.addTask { await ParentWatch.parentExit() } }
      await watchers.next()
      watchers.cancelAll()
    }
  }

  private static let arrivals: AsyncStream<Void> = {
    let (stream, continuation) = AsyncStream<Void>.makeStream()
    let input = signalPipe.input
    // A thread of its own, since the read blocks. It ends with the process.
    let thread = Thread {
      var byte: UInt8 = 0
      while read(input, &byte, 1) < 0 && errno == EINTR {}
      continuation.yield()
    }
    thread.stackSize = 128 << 10
    thread.start()
    signal(SIGINT, signalArrived)
    signal(SIGTERM, signalArrived)
    return stream
  }()
}

/// From the signal handler, which may do next to nothing, to the thread that waits.
private let signalPipe: (input: Int32, output: Int32) = {
  var ends: [Int32] = [-1, -1]
  guard pipe(&ends) == 0 else { preconditionFailure("no file descriptor is left") }
  // Not for the programs that this one starts.
  for end in ends { _ = fcntl(end, F_SETFD, FD_CLOEXEC) }
  return (ends[0], ends[1])
}()

private func signalArrived(_ number: Int32) {
  // Whoever was interrupted may be about to read it.
  let before = errno
  defer { errno = before }
  signal(SIGINT, SIG_DFL)
  signal(SIGTERM, SIG_DFL)
  var byte: UInt8 = 1
  _ = write(signalPipe.output, &byte, 1)
}
