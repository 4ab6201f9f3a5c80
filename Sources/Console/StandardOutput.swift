import Foundation
import OutputFiles
import VisibleText

#if canImport(Glibc)
  import Glibc
#elseif canImport(Musl)
  import Musl
#elseif canImport(Darwin)
  import Darwin
#endif

/// Standard output, unbuffered. Where it cannot be written, `FileHandle.write(_:)` would trap and `print` say
/// nothing.
///
/// Nothing that others wrote acts on a terminal: not what people read (`line`), wherever it goes, and not data either where
/// a terminal takes them (`write`). Files and pipes get data as they are.
package enum StandardOutput {
  private static let isTerminal = isatty(STDOUT_FILENO) == 1

  /// Data. Where nobody reads any more, the process ends as quietly as by SIGPIPE; any other failure is told and ends it
  /// with exit code 1. Children notice that their standard input ends.
  package static func write(_ data: Data) { put(isTerminal ? Descriptors.forTerminal(data) : data) }

  package static func write(_ text: String) { write(Data(text.utf8)) }

  package static func write(_ text: StyledText) {
    put(Data(text.rendered(isRaw: !isTerminal).utf8))
  }

  /// A line, or several, for people.
  package static func line(_ text: String) { put(Data((text.visible + "\n").utf8)) }

  package static func line(_ text: StyledText) { put(Data((text.rendered(isRaw: false) + "\n").utf8)) }

  /// Data for whoever reads; where nobody does, or cannot, it does not matter.
  package static func offer(_ data: Data) {
    _ = Descriptors.writeAll(isTerminal ? Descriptors.forTerminal(data) : data, to: STDOUT_FILENO)
  }

  private static func put(_ data: Data) {
    let problem = Descriptors.writeAll(data, to: STDOUT_FILENO)
    if problem == 0 { return }
    if problem == EPIPE { _exit(128 + SIGPIPE) }
    StandardError.write("Error: cannot write to standard output: \(String(cString: strerror(problem)))\n")
    _exit(1)
  }
}

/// Standard error, unbuffered. What cannot be written there is lost: there is nowhere to say so.
package enum StandardError {
  /// Text for people, with its line feeds; what others wrote in it does not act on a terminal.
  package static func write(_ text: String) { put(text.visible) }

  package static func write(_ text: StyledText) { put(text.rendered(isRaw: false)) }

  /// What this program itself says to a terminal: the movements of a progress bar.
  static func command(_ text: String) { put(text) }

  private static func put(_ text: String) {
    _ = Descriptors.writeAll(Data(text.utf8), to: STDERR_FILENO)
  }
}

/// The standard streams as every command may count on them.
package enum StandardStreams {
  /// To be called before anything is opened or written.
  ///
  /// A stream that is closed is opened, so that no file gets its number and with it what is meant for people. Writing where
  /// nobody reads, or more than a file may have, becomes an error of that write; it would end the process.
  package static func prepare() {
    for descriptor in STDIN_FILENO...STDERR_FILENO where fcntl(descriptor, F_GETFD) < 0 {
      // Not for writing: what is written to a closed stream is an error, not lost.
      _ = open("/dev/null", O_RDONLY)
    }
    signal(SIGPIPE, SIG_IGN)
    signal(SIGXFSZ, SIG_IGN)
  }
}
