import Foundation
import Synchronization

#if canImport(Glibc)
  import Glibc
#elseif canImport(Musl)
  import Musl
#elseif canImport(Darwin)
  import Darwin
#endif

/// Lines in a file, each written at once and whole, so that a run that fails or is interrupted keeps what it has. A line that
/// does not fit is taken back. What is no regular file is written through.
package final class LineFile: Sendable {
  package enum Start: Sendable {
    /// What is there goes.
    case empty
    /// After what is there; a last line that was cut is ended.
    case atEnd
  }

  private let path: String
  private let descriptor: Mutex<Int32>

  /// - Parameter mode: of a file that is new, less what the umask takes
  /// - Throws: `OutputError`
  package init(_ path: String, _ start: Start, mode: UInt16 = 0o644) throws(OutputError) {
    self.path = path
    let opened: Int32 =
      switch try OutputPlace(path) {
      case .file(let target):
        Descriptors.opened(
          target, O_RDWR | O_CREAT | O_APPEND | (start == .empty ? O_TRUNC : 0), mode_t(mode))
      case .stream(let target): Descriptors.opened(target, O_WRONLY | O_NOCTTY)
      case .descriptor(let number): fcntl(number, F_DUPFD_CLOEXEC, 3)
      }
    guard opened >= 0 else { throw .writing(path, errno) }
    descriptor = Mutex(opened)
    var last: UInt8 = 0x0A
    if start == .atEnd, let status = Descriptors.status(of: opened), Descriptors.isRegular(status),
      status.st_size > 0, pread(opened, &last, 1, status.st_size - 1) == 1, last != 0x0A
    {
      try append(Data())
    }
  }

  deinit { close() }

  /// - Parameter line: without its line feed
  /// - Throws: `OutputError`; the lines before this one are there
  package func append(_ line: Data) throws(OutputError) {
    let problem = descriptor.withLock { descriptor -> Int32 in
      let before = Descriptors.status(of: descriptor)
      let data = line + [0x0A]
      let problem = Descriptors.writeAll(
        isatty(descriptor) == 1 ? Descriptors.forTerminal(data) : data, to: descriptor)
      if problem != 0, let before, Descriptors.isRegular(before) {
        _ = ftruncate(descriptor, before.st_size)
      }
      return problem
    }
    guard problem == 0 else { throw .writing(path, problem) }
  }

  package func close() {
    descriptor.withLock { descriptor in
      if descriptor >= 0 { systemClose(descriptor) }
      descriptor = -1
    }
  }
}

/// The name is taken above.
@discardableResult private func systemClose(_ descriptor: Int32) -> Int32 { close(descriptor) }
