import Foundation

#if canImport(Glibc)
  import Glibc
#elseif canImport(Musl)
  import Musl
#elseif canImport(Darwin)
  import Darwin
#endif

/// The signals of a program error, so that a server whose engine crashes can tell its clients before it ends.
///
/// The thread that crashed stands still while others answer; then the process ends by the same signal as it would have
/// ended by at once. Whatever the crashed thread held (a lock, the heap) stays held, so answering may fail or hang: after
/// `patience` the process ends in any case.
package enum CrashSignals {
  private static let numbers = [SIGSEGV, SIGBUS, SIGILL, SIGFPE, SIGABRT, SIGTRAP]

  /// - Parameters:
  ///   - patience: seconds
  ///   - answer: called once, in a task of its own, with the name of the signal
  package static func install(patience: UInt32, answer: @escaping @Sendable (String) async -> Void) {
    crashPipe.whenSent { signal in
      let answered = DispatchSemaphore(value: 0)
      Task {
        await answer(name(of: signal))
        answered.signal()
      }
      _ = answered.wait(timeout: .now() + .seconds(Int(patience)))
      end(by: signal)
    }
    for number in numbers { signal(number, crashed) }
  }

  private static func end(by number: Int32) -> Never {
    signal(number, SIG_DFL)
    kill(getpid(), number)
    // Blocked, or ignored by whoever started this process.
    sleep(1)
    _exit(1)
  }

  private static func name(of signal: Int32) -> String {
    switch signal {
    case SIGSEGV: "SIGSEGV"
    case SIGBUS: "SIGBUS"
    case SIGILL: "SIGILL"
    case SIGFPE: "SIGFPE"
    case SIGABRT: "SIGABRT"
    case SIGTRAP: "SIGTRAP"
    default: "signal \(signal)"
    }
  }
}

private let crashPipe = SignalPipe()

/// Tells the thread that waits, and keeps the crashed one where it is.
private func crashed(_ number: Int32) {
  // A second crash, perhaps while answering: nothing is left to wait for.
  // One by one: an array would ask the heap, which the crashed thread may hold.
  signal(SIGSEGV, SIG_DFL)
  signal(SIGBUS, SIG_DFL)
  signal(SIGILL, SIG_DFL)
  signal(SIGFPE, SIG_DFL)
  signal(SIGABRT, SIG_DFL)
  signal(SIGTRAP, SIG_DFL)
  crashPipe.send(number)
  while true { pause() }
}
