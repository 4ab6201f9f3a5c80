import Foundation
import OutputFiles

#if canImport(Glibc)
  import Glibc
#elseif canImport(Musl)
  import Musl
#elseif canImport(Darwin)
  import Darwin
#endif

/// Reading and writing the small files in which credentials live.
public enum CredentialFile {
  /// Bytes of one file: thousands of entries. A larger one is not what it is taken for.
  public static let maximumBytes = 4 << 20

  /// Tells by a glance whether a file is still the one that was read.
  struct Stamp: Hashable, Sendable {
    private var device: UInt64
    private var inode: UInt64
    private var size: Int64
    private var modified: [Int64]
    private var changed: [Int64]

    /// - Returns: nil when there is no such file
    init?(path: String) {
      var status = stat()
      guard stat(path, &status) == 0 else { return nil }
      self.init(status)
    }

    private init(_ status: stat) {
      device = UInt64(truncatingIfNeeded: status.st_dev)
      inode = UInt64(status.st_ino)
      size = Int64(status.st_size)
      #if canImport(Darwin)
        let (modification, change) = (status.st_mtimespec, status.st_ctimespec)
      #else
        let (modification, change) = (status.st_mtim, status.st_ctim)
      #endif
      modified = [Int64(modification.tv_sec), Int64(modification.tv_nsec)]
      changed = [Int64(change.tv_sec), Int64(change.tv_nsec)]
    }
  }

  /// - Throws: ``CredentialsError`` that names the file and what the system says
  public static func read(_ path: String) throws(CredentialsError) -> [UInt8] {
    // Non-blocking, so that a pipe in the place of a file cannot hold us up.
    let descriptor = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK)
    guard descriptor >= 0 else { throw problem("read", path) }
    defer { close(descriptor) }
    var status = stat()
    guard fstat(descriptor, &status) == 0 else { throw problem("read", path) }
    guard status.st_mode & S_IFMT == S_IFREG else {
      throw CredentialsError("\(path) is not a file", hint: "give the path of a file")
    }
    guard status.st_size <= maximumBytes else {
      throw CredentialsError(
        "\(path) has \(status.st_size) bytes, more than the \(maximumBytes) that are allowed",
        hint: "this is hardly the file that was meant")
    }
    var bytes: [UInt8] = []
    var buffer = [UInt8](repeating: 0, count: 64 << 10)
    while true {
      let count = readSome(descriptor, &buffer)
      if count == 0 { return bytes }
      if count < 0 {
        if errno == EINTR { continue }
        throw problem("read", path)
      }
      bytes += buffer[..<count]
      // It may grow while it is read.
      guard bytes.count <= maximumBytes else {
        throw CredentialsError("\(path) has more than the \(maximumBytes) bytes that are allowed")
      }
    }
  }

  /// As text.
  public static func readText(_ path: String) throws(CredentialsError) -> String {
    guard let text = String(validating: try read(path), as: UTF8.self) else {
      throw CredentialsError("\(path) is not UTF-8 text", hint: "give the path of a text file")
    }
    return text
  }

  /// Writes all of the file or nothing: readers see the old content or the new. The file that is meant is changed, behind
  /// links, with the owner and the mode that it has, or none.
  ///
  /// - Parameter mode: permissions of a new file, such as 0o600 for a secret
  public static func write(_ text: String, to path: String, mode: UInt16) throws(CredentialsError) {
    try write([Content(text: text, path: path, mode: mode)])
  }

  /// What a file is to hold.
  struct Content {
    var text: String
    var path: String
    /// Of a new file.
    var mode: UInt16
  }

  /// Writes files that belong together: none has changed where one of them cannot be written.
  static func write(_ contents: [Content]) throws(CredentialsError) {
    do throws(OutputError) {
      var files: [OutputFile] = []
      for content in contents {
        let file = try OutputFile(content.path, mode: content.mode, isWhole: true)
        try file.write(Data(content.text.utf8))
        try file.flush()
        files.append(file)
      }
      for file in files { try file.finish() }
    } catch {
      throw CredentialsError(error.message, hint: error.hint)
    }
  }

  /// What is wrong with the permissions of a file that holds secrets; nil when others cannot read it, or when
  /// there is no such file.
  public static func exposure(of path: String) -> String? {
    var status = stat()
    guard stat(path, &status) == 0, status.st_mode & 0o077 != 0 else { return nil }
    let mode = String(status.st_mode & 0o777, radix: 8)
    return "\(path) holds secrets and others may read or write it (mode \(mode)); run: chmod 600 \(path)"
  }

  static func problem(_ verb: String, _ path: String) -> CredentialsError {
    let number = errno
    return CredentialsError(
      "cannot \(verb) \(path): \(String(cString: strerror(number)))",
      hint: number == ENOENT ? "check the path" : "check the path and its permissions")
  }

  /// Runs `body` while no other process that asks has the lock on `path`, a file that is there for as long.
  ///
  /// - Throws: ``CredentialsError``, or what `body` throws
  static func locked<Result>(_ path: String, _ body: () throws -> Result) throws -> Result {
    let lock: LockFile?
    do { lock = try LockFile(path, waits: true, mode: 0o600) } catch {
      throw CredentialsError(error.message, hint: error.hint)
    }
    return try withExtendedLifetime(lock, body)
  }

  /// The file behind all links.
  ///
  /// - Throws: ``CredentialsError`` where the path leads to something that is no file
  static func meant(by path: String) throws(CredentialsError) -> String {
    do { return try OutputPlace.meantFile(path) } catch {
      throw CredentialsError(error.message, hint: error.hint)
    }
  }
}

// The name is taken where it is used.
private func readSome(_ descriptor: Int32, _ buffer: inout [UInt8]) -> Int {
  buffer.withUnsafeMutableBytes { systemRead(descriptor, $0.baseAddress, $0.count) }
}

#if canImport(Glibc)
  private let systemRead = Glibc.read
#elseif canImport(Musl)
  private let systemRead = Musl.read
#elseif canImport(Darwin)
  private let systemRead = Darwin.read
#endif
