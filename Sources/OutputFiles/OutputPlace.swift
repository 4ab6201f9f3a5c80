import Foundation

#if canImport(Glibc)
  import Glibc
#elseif canImport(Musl)
  import Musl
#elseif canImport(Darwin)
  import Darwin
#endif

/// What a path means that is to be written.
package enum OutputPlace: Equatable, Sendable {
  /// A regular file or none yet: its path behind all links.
  case file(String)
  /// A FIFO, a device, a terminal: what is written goes through it.
  case stream(String)
  /// One that this process has open: `/dev/stdout`, `/dev/fd/3`.
  case descriptor(Int32)

  /// As the system has it.
  private static let maximumLinks = 40

  /// - Throws: `OutputError` for a folder, a socket, or links that lead in a circle
  package init(_ path: String) throws(OutputError) {
    var current = path
    for _ in 0...Self.maximumLinks {
      if let number = Self.ownDescriptor(current) {
        guard fcntl(number, F_GETFD) >= 0 else { throw .writing(path, errno) }
        self = .descriptor(number)
        return
      }
      guard let target = Self.link(current) else {
        self = try Self.plain(current, named: path)
        return
      }
      // A link of /proc into a pipe or a file that was removed leads where no path does.
      if target.first != "/", current.hasPrefix("/proc/") {
        self = .stream(current)
        return
      }
      current = target.first == "/" ? target : Self.folder(of: current) + "/" + target
    }
    throw .writing(path, ELOOP)
  }

  /// The regular file that is meant.
  ///
  /// - Throws: `OutputError` where the path leads to anything else
  package static func meantFile(_ path: String) throws(OutputError) -> String {
    guard case .file(let target) = try OutputPlace(path) else {
      throw OutputError(.unsuitable, "\(path) is not a file", hint: "give the path of a file")
    }
    return target
  }

  /// Of a path without its last part; "." where there is only one.
  package static func folder(of path: String) -> String {
    guard let slash = path.lastIndex(of: "/") else { return "." }
    return slash == path.startIndex ? "/" : String(path[..<slash])
  }

  private static func plain(_ path: String, named name: String) throws(OutputError) -> OutputPlace {
    guard !path.isEmpty else { throw .writing("\"\"", ENOENT) }
    var status = stat()
    guard lstat(path, &status) == 0 else {
      if errno == ENOENT, path.last != "/" { return .file(path) }
      throw .writing(name, errno)
    }
    switch status.st_mode & S_IFMT {
    case S_IFREG: return .file(path)
    case S_IFDIR: throw OutputError(.unsuitable, "\(name) is a folder", hint: "give the path of a file")
    case S_IFSOCK: throw OutputError(.unsuitable, "\(name) is a socket", hint: "give the path of a file")
    default: return .stream(path)
    }
  }

  /// - Returns: nil where the path is no link
  private static func link(_ path: String) -> String? {
    var buffer = [UInt8](repeating: 0, count: Int(PATH_MAX))
    let count = buffer.withUnsafeMutableBytes { bytes in
      readlink(path, bytes.baseAddress!.assumingMemoryBound(to: CChar.self), bytes.count)
    }
    return count < 0 ? nil : String(decoding: buffer[..<count], as: UTF8.self)
  }

  private static func ownDescriptor(_ path: String) -> Int32? {
    for prefix in ["/dev/fd/", "/proc/self/fd/", "/proc/\(getpid())/fd/"] where path.hasPrefix(prefix) {
      return Int32(path.dropFirst(prefix.count))
    }
    switch path {
    // Links elsewhere, devices on Darwin.
    case "/dev/stdout": return STDOUT_FILENO
    case "/dev/stderr": return STDERR_FILENO
    default: return nil
    }
  }
}
