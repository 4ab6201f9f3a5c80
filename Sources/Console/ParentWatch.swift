import Foundation

#if canImport(Glibc)
  import Glibc
#elseif canImport(Musl)
  import Musl
#elseif canImport(Darwin)
  import Darwin
#endif

/// Ends a child process with its parent, for `--exit-with-parent`.
///
/// The parent gives its child a pipe as standard input and keeps the other end open. However the parent ends,
/// SIGKILL included, the kernel closes that end, and the child reads the end of the file.
package enum ParentWatch {
  /// Returns when standard input ends, or when the task is cancelled. What is read is dropped.
  package static func parentExit() async {
    let (stream, continuation) = AsyncStream<Never>.makeStream()
    // A thread of its own, since the read blocks. It ends with the process.
    let thread = Thread {
      var byte: UInt8 = 0
      while true {
        let count = read(STDIN_FILENO, &byte, 1)
        if count == 0 || (count < 0 && errno != EINTR) { break }
      }
      continuation.finish()
    }
    thread.stackSize = 128 << 10
    thread.start()
    for await _ in stream {}
  }
}
