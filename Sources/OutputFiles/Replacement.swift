import Foundation

#if canImport(Glibc)
  import Glibc
#elseif canImport(Musl)
  import Musl
#elseif canImport(Darwin)
  import Darwin
#endif

/// A new file that takes the place of another, or of none, when it is complete.
///
/// Where the system can, it has no name until then, so that a process that is killed leaves nothing behind.
final class Replacement {
  let descriptor: Int32

  private let path: String
  private let target: String
  private let old: stat?
  private let isWhole: Bool
  /// nil: it has no name yet, or has lost it to the target.
  private var name: String?

  /// - Parameters:
  ///   - target: a regular file or none
  ///   - name: what errors call it
  /// - Returns: nil where nothing can be made beside the target, which is to be overwritten
  init?(_ target: String, named path: String, mode: UInt16?, isWhole: Bool) throws(OutputError) {
    (self.path, self.target, self.isWhole) = (path, target, isWhole)
    var status = stat()
    old = lstat(target, &status) == 0 ? status : nil
    if isWhole, let old, old.st_nlink > 1 {
      throw OutputError(
        .unsuitable, "\(path) has other names (hard links), which a change would leave as they are",
        hint: "make it one file with one name")
    }
    // A new file could take the place of one that may not be written.
    if !isWhole, old != nil, faccessat(AT_FDCWD, target, W_OK, AT_EACCESS) != 0 {
      throw .writing(path, errno)
    }
    let folder = OutputPlace.folder(of: target)
    let permissions = mode_t(old.map { UInt16($0.st_mode & 0o777) } ?? mode ?? 0o666)
    (descriptor, name) = Self.make(in: folder, permissions)
    guard descriptor >= 0 else {
      let problem = errno
      if !isWhole, old != nil, [EACCES, EPERM, EROFS].contains(problem) { return nil }
      throw .writing(path, problem)
    }
    // Whatever the umask says.
    if old != nil || mode != nil { fchmod(descriptor, permissions) }
  }

  deinit { if let name { unlink(name) } }

  private static func make(in folder: String, _ mode: mode_t) -> (descriptor: Int32, name: String?) {
    #if os(Linux)
      // __O_TMPFILE | O_DIRECTORY, which are macros that Swift does not see.
      let unnamed = Int32(0o20_000_000) | O_DIRECTORY
      if access("/proc/self/fd", X_OK) == 0 {
        let descriptor = Descriptors.opened(folder, O_RDWR | unnamed, mode)
        if descriptor >= 0 { return (descriptor, nil) }
      }
    #endif
    let name = freshName(in: folder)
    let descriptor = Descriptors.opened(name, O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW, mode)
    return (descriptor, descriptor >= 0 ? name : nil)
  }

  /// Short, for a file system's limit; random, so that nobody can prepare it.
  private static func freshName(in folder: String) -> String {
    "\(folder)/.wanspec-\(String(UInt64.random(in: .min ... .max), radix: 36)).new"
  }

  /// - Throws: `OutputError`; the target is as it was, unless it had to be overwritten in place
  func finish() throws(OutputError) {
    if let old {
      let isKept =
        old.st_nlink <= 1
        && (fchown(descriptor, old.st_uid, old.st_gid) == 0 || hasOwner(old)) && hasMode(old)
      guard isKept else {
        guard !isWhole else {
          throw OutputError(
            .failed, "cannot write \(path) so that its owner and mode stay",
            hint: "run this as the owner of the file")
        }
        return try overwrite()
      }
    }
    if name == nil { try link() }
    guard let made = name else { return }
    guard rename(made, target) == 0 else {
      // Something is mounted there: a container's single file, say.
      if errno == EBUSY, !isWhole { return try overwrite() }
      throw .writing(path, errno)
    }
    name = nil
    // The name lasts once the folder is on the disk.
    let folder = Descriptors.opened(OutputPlace.folder(of: target), O_RDONLY | O_DIRECTORY)
    guard folder >= 0 else { return }
    fsync(folder)
    close(folder)
  }

  private func hasOwner(_ old: stat) -> Bool {
    Descriptors.status(of: descriptor).map { $0.st_uid == old.st_uid && $0.st_gid == old.st_gid } ?? false
  }

  /// A change of the owner may take bits of the mode away.
  private func hasMode(_ old: stat) -> Bool { fchmod(descriptor, old.st_mode & 0o777) == 0 }

  private func link() throws(OutputError) {
    #if os(Linux)
      let fresh = Self.freshName(in: OutputPlace.folder(of: target))
      let place = "/proc/self/fd/\(descriptor)"
      guard linkat(AT_FDCWD, place, AT_FDCWD, fresh, AT_SYMLINK_FOLLOW) == 0 else {
        throw .writing(path, errno)
      }
      name = fresh
    #endif
  }

  private func overwrite() throws(OutputError) {
    let output = Descriptors.opened(target, O_WRONLY)
    guard output >= 0 else { throw .writing(path, errno) }
    defer { close(output) }
    var offset: off_t = 0
    var buffer = [UInt8](repeating: 0, count: 1 << 20)
    while true {
      let count = pread(descriptor, &buffer, buffer.count, offset)
      guard count >= 0 else { throw .writing(path, errno) }
      if count == 0 { break }
      let problem = Descriptors.writeAll(Data(buffer[..<count]), to: output)
      guard problem == 0 else { throw .writing(path, problem) }
      offset += off_t(count)
    }
    guard ftruncate(output, offset) == 0, fsync(output) == 0 else { throw .writing(path, errno) }
  }
}
