import Foundation

#if canImport(Glibc)
  import Glibc
#elseif canImport(Musl)
  import Musl
#elseif canImport(Darwin)
  import Darwin
#endif

/// From a signal handler, which may do next to nothing, to a thread that waits. Make it before the handler is installed.
package struct SignalPipe: Sendable {
  private let input: Int32
  private let output: Int32

  package init() {
    var ends: [Int32] = [-1, -1]
    guard pipe(&ends) == 0 else { preconditionFailure("no file descriptor is left") }
    // Not for the programs that this one starts.
    for end in ends { _ = fcntl(end, F_SETFD, FD_CLOEXEC) }
    (input, output) = (ends[0], ends[1])
  }

  /// For the handler.
  package func send(_ signal: Int32) {
    var byte = UInt8(truncatingIfNeeded: signal)
    _ = write(output, &byte, 1)
  }

  /// Calls `body` with the first signal that is sent, on a thread of its own, since waiting blocks. The thread ends with
  /// the process if there is none.
  package func whenSent(_ body: @escaping @Sendable (Int32) -> Void) {
    let thread = Thread { [input] in
      var byte: UInt8 = 0
      while read(input, &byte, 1) < 0 && errno == EINTR {}
      body(Int32(byte))
    }
    thread.stackSize = 128 << 10
    thread.start()
  }
}
