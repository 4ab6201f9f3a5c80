import Foundation

#if canImport(Glibc)
  import Glibc
#elseif canImport(Musl)
  import Musl
#elseif canImport(Darwin)
  import Darwin
#endif

/// What the standard streams are connected to.
package enum Terminal {
  package enum Stream: Sendable {
    case standardOutput, standardError

    package var descriptor: Int32 {
      switch self {
      case .standardOutput: STDOUT_FILENO
      case .standardError: STDERR_FILENO
      }
    }
  }

  /// Whether a person's terminal is at the other end, one that can move its cursor.
  package static func isInteractive(_ stream: Stream) -> Bool {
    isatty(stream.descriptor) == 1 && ProcessInfo.processInfo.environment["TERM"] != "dumb"
  }

  /// Whether to write colour: on a terminal, unless `NO_COLOR` is set to anything (no-color.org).
  package static func wantsColor(on stream: Stream) -> Bool {
    (ProcessInfo.processInfo.environment["NO_COLOR"] ?? "").isEmpty && isInteractive(stream)
  }

  /// Columns of the terminal; 80 when it does not say.
  package static func width(of stream: Stream) -> Int {
    var size = winsize()
    guard ioctl(stream.descriptor, UInt(TIOCGWINSZ), &size) == 0, size.ws_col > 0 else { return 80 }
    return Int(size.ws_col)
  }
}
