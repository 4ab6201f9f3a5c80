import Foundation

#if canImport(Glibc)
  import Glibc
#elseif canImport(Musl)
  import Musl
#elseif canImport(Darwin)
  import Darwin
#endif

/// Standard output, unbuffered. Where it cannot be written, `FileHandle.write(_:)` would trap and `print` say
/// nothing.
package enum StandardOutput {
  /// Writes everything. Where nobody reads any more, the process ends as quietly as by SIGPIPE, which
  /// SwiftNIO and `ProcessControl` turn off; any other failure is told and ends it with exit code 1. Children
  /// notice that their standard input ends.
  package static func write(_ data: Data) {
    let problem = writeAll(data, to: STDOUT_FILENO)
    if problem == 0 { return }
    if problem == EPIPE { _exit(128 + SIGPIPE) }
    StandardError.write("Error: cannot write to standard output: \(String(cString: strerror(problem)))\n")
    _exit(1)
  }

  package static func write(_ text: String) { write(Data(text.utf8)) }

  package static func line(_ text: String) { write(text + "\n") }
}

/// Standard error, unbuffered. What cannot be written there is lost: there is nowhere to say so.
package enum StandardError {
  package static func write(_ text: String) { _ = writeAll(Data(text.utf8), to: STDERR_FILENO) }
}

/// JSON lines in a file, each written at once, so that a run that fails or is interrupted keeps what it has.
package final class JSONLineFile: Sendable {
  private let path: String
  private let descriptor: Int32

  /// Replaces what is there.
  package init(_ path: String) throws {
    let descriptor = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0o644)
    guard descriptor >= 0 else {
      throw CommandFailure(
        "cannot write the results to \(path): \(String(cString: strerror(errno)))",
        hint: "check the path and its permissions")
    }
    self.path = path
    self.descriptor = descriptor
  }

  deinit { close(descriptor) }

  package func append(_ object: [String: any Sendable]) throws {
    let problem = writeAll(JSONLine.data(object), to: descriptor)
    guard problem == 0 else {
      throw CommandFailure(
        "cannot write the results to \(path): \(String(cString: strerror(problem)))",
        hint: "the lines before this one are there")
    }
  }
}

/// - Returns: 0, or the `errno` of the write that failed
private func writeAll(_ data: Data, to descriptor: Int32) -> Int32 {
  data.withUnsafeBytes { (bytes: UnsafeRawBufferPointer) -> Int32 in
    var rest = bytes[...]
    while !rest.isEmpty {
      let count = write(descriptor, UnsafeRawBufferPointer(rebasing: rest).baseAddress, rest.count)
      if count >= 0 {
        rest = rest.dropFirst(count)
      } else if errno == EAGAIN {
        // Somebody else made this terminal or pipe non-blocking.
        var ready = pollfd(fd: descriptor, events: Int16(POLLOUT), revents: 0)
        _ = poll(&ready, 1, -1)
      } else if errno != EINTR {
        return errno
      }
    }
    return 0
  }
}
