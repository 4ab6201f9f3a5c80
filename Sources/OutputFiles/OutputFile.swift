import Foundation

#if canImport(Glibc)
  import Glibc
#elseif canImport(Musl)
  import Musl
#elseif canImport(Darwin)
  import Darwin
#endif

/// A file that a command was told to write, whatever its path leads to.
///
/// A regular file is replaced as a whole by `finish`, in its folder, with the mode and the owner that it had; until then
/// readers see the old one, and where writing fails, or the process ends, the old one stays. Links are followed. What is no
/// regular file (a FIFO, a device, `/dev/stdout`) is written through.
///
/// A file that cannot be replaced like that (it has other names, its owner could not be kept, nothing may be made in its
/// folder) is overwritten in place, unless its readers count on whole files.
package final class OutputFile {
  private enum Way {
    case replacing(Replacement)
    case through(isTerminal: Bool)
    case inPlace
  }

  private let path: String
  private let descriptor: Int32
  private let way: Way
  private var written: Int64 = 0

  /// - Parameters:
  ///   - mode: of a file that is new; nil: as the umask says
  ///   - isWhole: fail rather than overwrite in place or write to something that is no file
  /// - Throws: `OutputError`
  package init(_ path: String, mode: UInt16? = nil, isWhole: Bool = false) throws(OutputError) {
    self.path = path
    switch isWhole ? .file(try OutputPlace.meantFile(path)) : try OutputPlace(path) {
    case .file(let target):
      if let replacement = try Replacement(target, named: path, mode: mode, isWhole: isWhole) {
        (descriptor, way) = (replacement.descriptor, .replacing(replacement))
      } else {
        descriptor = Descriptors.opened(target, O_WRONLY)
        way = .inPlace
      }
    case .stream(let target):
      descriptor = Descriptors.opened(target, O_WRONLY | O_NOCTTY)
      way = .through(isTerminal: isatty(descriptor) == 1)
    case .descriptor(let number):
      descriptor = fcntl(number, F_DUPFD_CLOEXEC, 3)
      way = .through(isTerminal: isatty(descriptor) == 1)
    }
    guard descriptor >= 0 else { throw .writing(path, errno) }
  }

  deinit { close(descriptor) }

  /// - Throws: `OutputError`; then the file is as it was, where it is replaced as a whole
  package func write(_ data: Data) throws(OutputError) {
    var data = data
    if case .through(isTerminal: true) = way { data = Descriptors.forTerminal(data) }
    let problem = Descriptors.writeAll(data, to: descriptor)
    guard problem == 0 else { throw .writing(path, problem) }
    written += Int64(data.count)
  }

  /// Brings what was written to the disk, so that `finish` can hardly fail.
  ///
  /// - Throws: `OutputError`
  package func flush() throws(OutputError) {
    if case .through = way { return }
    guard fsync(descriptor) == 0 else { throw .writing(path, errno) }
  }

  /// Gives the file its name. To be called last; without it nothing has changed.
  ///
  /// - Throws: `OutputError`
  package func finish() throws(OutputError) {
    switch way {
    case .through: return
    case .inPlace:
      guard ftruncate(descriptor, off_t(written)) == 0 else { throw .writing(path, errno) }
      try flush()
    case .replacing(let replacement):
      try flush()
      try replacement.finish()
    }
  }

  /// Writes all of it.
  ///
  /// - Throws: `OutputError`
  package static func write(
    _ data: Data, to path: String, mode: UInt16? = nil, isWhole: Bool = false
  ) throws(OutputError) {
    let file = try OutputFile(path, mode: mode, isWhole: isWhole)
    try file.write(data)
    try file.finish()
  }

  package static func write(_ text: String, to path: String) throws(OutputError) {
    try write(Data(text.utf8), to: path)
  }

  /// Whether a file could be written there, as far as can be told without doing it: before hours of work, not after them.
  ///
  /// - Throws: `OutputError`
  package static func requireWritable(_ path: String) throws(OutputError) {
    if case .file = try OutputPlace(path) { _ = try OutputFile(path) }
  }
}
