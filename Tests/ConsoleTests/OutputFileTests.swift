import Foundation
import OutputFiles
import Testing

#if canImport(Glibc)
  import Glibc
#elseif canImport(Darwin)
  import Darwin
#endif

/// A folder of its own for each test.
final class OutputFolder {
  let path: String

  init() throws {
    path = FileManager.default.temporaryDirectory.appending(path: "wanspec-out-\(UUID().uuidString)").path
    try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true)
  }

  deinit { try? FileManager.default.removeItem(atPath: path) }

  func file(_ name: String) -> String { "\(path)/\(name)" }
  func text(_ name: String) -> String? { try? String(contentsOfFile: file(name), encoding: .utf8) }
  func put(_ name: String, _ text: String) throws { try Data(text.utf8).write(to: URL(filePath: file(name))) }
  var names: [String] { get throws { try FileManager.default.contentsOfDirectory(atPath: path).sorted() } }

  func status(_ name: String) throws -> stat {
    var status = stat()
    try #require(lstat(file(name), &status) == 0)
    return status
  }
}

struct OutputFileTests {
  private let folder: OutputFolder

  init() throws { folder = try OutputFolder() }

  @Test func newFilesFollowTheUmaskUnlessTheyHaveAMode() throws {
    try OutputFile.write("text", to: folder.file("plain"))
    try OutputFile.write(Data("secret".utf8), to: folder.file("secret"), mode: 0o600)
    #expect(folder.text("plain") == "text" && folder.text("secret") == "secret")
    let mask = umask(0)
    umask(mask)
    #expect(try folder.status("plain").st_mode & 0o777 == 0o666 & ~mask)
    #expect(try folder.status("secret").st_mode & 0o777 == 0o600)
    #expect(try folder.names == ["plain", "secret"])
  }

  /// Readers see the old file or the new one, which is nobody else's.
  @Test func filesAreReplacedAsAWholeAndKeepModeAndOwner() throws {
    try folder.put("file", "old")
    chmod(folder.file("file"), 0o640)
    // Another owner, where this test may give files away.
    let isRoot = chown(folder.file("file"), 4321, 1234) == 0 && geteuid() == 0
    let before = try folder.status("file")
    let file = try OutputFile(folder.file("file"))
    try file.write(Data("new".utf8))
    #expect(folder.text("file") == "old")
    try file.finish()
    #expect(folder.text("file") == "new")
    let after = try folder.status("file")
    #expect(after.st_mode == before.st_mode && after.st_ino != before.st_ino)
    #expect(after.st_uid == before.st_uid && after.st_gid == before.st_gid)
    if isRoot { #expect(after.st_uid == 4321 && after.st_gid == 1234) }
    #expect(try folder.names == ["file"])
  }

  @Test func whatIsNotFinishedLeavesNothing() throws {
    try folder.put("old", "old")
    for name in ["old", "new"] {
      let file = try OutputFile(folder.file(name))
      try file.write(Data(count: 100_000))
    }
    #expect(try folder.names == ["old"])
    #expect(folder.text("old") == "old")
  }

  /// Relative ones, several in a row, and those that lead to nothing yet.
  @Test func linksAreFollowed() throws {
    try FileManager.default.createDirectory(
      atPath: folder.file("below"), withIntermediateDirectories: false)
    try folder.put("below/real", "old")
    symlink("below/real", folder.file("one"))
    symlink("one", folder.file("two"))
    symlink("below/later", folder.file("dangling"))
    try OutputFile.write("new", to: folder.file("two"))
    try OutputFile.write("made", to: folder.file("dangling"))
    #expect(folder.text("below/real") == "new" && folder.text("below/later") == "made")
    for name in ["one", "two", "dangling"] { #expect(try folder.status(name).st_mode & S_IFMT == S_IFLNK) }
    symlink("circle", folder.file("circle"))
    #expect(throws: OutputError.self) { try OutputFile.write("x", to: folder.file("circle")) }
  }

  @Test func fifosAreWrittenThroughAndStay() async throws {
    mkfifo(folder.file("fifo"), 0o600)
    symlink("fifo", folder.file("link"))
    let path = folder.file("fifo")
    // A thread of its own: opening waits for the other end.
    async let read: String = withCheckedContinuation { continuation in
      DispatchQueue.global().async {
        let data = try? FileHandle(forReadingAtPath: path)?.readToEnd()
        continuation.resume(returning: String(decoding: data ?? Data(), as: UTF8.self))
      }
    }
    try OutputFile.write("through", to: folder.file("link"))
    #expect(await read == "through")
    #expect(try folder.status("fifo").st_mode & S_IFMT == S_IFIFO)
    // Who reads only whole files reads none of these; and nobody waits for a reader.
    let error = #expect(throws: OutputError.self) {
      try OutputFile.write(Data("x".utf8), to: path, isWhole: true)
    }
    #expect(error?.code == .unsuitable)
  }

  /// A node of its own for the device that is always full: writing fails, and the node is still there.
  @Test func devicesAreWrittenThroughAndStay() throws {
    let full = folder.file("full")
    guard mknod(full, S_IFCHR | 0o666, dev_t(1 << 8 | 7)) == 0 else { return }
    let error = #expect(throws: OutputError.self) { try OutputFile.write("x", to: full) }
    // A file system may not allow devices.
    if error?.code == .diskFull { #expect("\(error!)".contains("No space left on device")) }
    #expect(try folder.status("full").st_mode & S_IFMT == S_IFCHR)
    #expect(try folder.names == ["full"])
  }

  @Test func ownDescriptorsAreMeantByTheirNames() throws {
    var ends: [Int32] = [-1, -1]
    try #require(pipe(&ends) == 0)
    #expect(try OutputPlace("/dev/fd/\(ends[1])") == .descriptor(ends[1]))
    try OutputFile.write("piped", to: "/dev/fd/\(ends[1])")
    close(ends[1])
    var buffer = [UInt8](repeating: 0, count: 16)
    #expect(read(ends[0], &buffer, 16) == 5 && buffer[..<5].elementsEqual("piped".utf8))
    close(ends[0])
    #expect(try OutputPlace("/dev/stdout") == .descriptor(STDOUT_FILENO))
    #expect(throws: OutputError.self) { try OutputPlace("/dev/fd/\(ends[1])") }
  }

  /// Where a name cannot be exchanged the content is, so that all names have the new one; or nothing changes.
  @Test func filesWithOtherNamesAreOverwrittenUnlessTheyMustBeWhole() throws {
    try folder.put("one", "a long old text")
    link(folder.file("one"), folder.file("other"))
    try OutputFile.write("new", to: folder.file("one"))
    #expect(folder.text("one") == "new" && folder.text("other") == "new")
    let error = #expect(throws: OutputError.self) {
      try OutputFile.write(Data("newer".utf8), to: folder.file("one"), isWhole: true)
    }
    #expect(error?.code == .unsuitable)
    #expect(folder.text("one") == "new" && folder.text("other") == "new")
  }

  @Test func errorsNameThePathAndWhatToDo() throws {
    for (path, words) in [
      (folder.file("missing/file"), "No such file or directory"), (folder.path, "is a folder"),
      ("", "No such file"),
    ] {
      let error = #expect(throws: OutputError.self) { try OutputFile.write("x", to: path) }
      #expect(error.map { "\($0)" }?.contains(words) == true, "\(error as Any)")
      #expect(error?.hint != nil && error?.message.contains("\n") == false)
    }
  }
}

struct LineFileTests {
  private let folder: OutputFolder

  init() throws { folder = try OutputFolder() }

  @Test func linesAreAddedWhereTheFileIsMeant() throws {
    try folder.put("real", "a\ncut")
    symlink("real", folder.file("link"))
    try LineFile(folder.file("link"), .atEnd).append(Data("b".utf8))
    #expect(folder.text("real") == "a\ncut\nb\n")
    try LineFile(folder.file("link"), .empty).append(Data("c".utf8))
    #expect(folder.text("real") == "c\n")
    symlink("later", folder.file("dangling"))
    try LineFile(folder.file("dangling"), .atEnd, mode: 0o600).append(Data("d".utf8))
    #expect(folder.text("later") == "d\n")
    #expect(try folder.status("later").st_mode & 0o777 == 0o600)
  }
}

struct LockFileTests {
  @Test func goesWithItsHolderAndHoldsOthersOff() throws {
    let folder = try OutputFolder()
    let path = folder.file("x.lock")
    do {
      let held = try LockFile(path, waits: false)
      #expect(held != nil)
      #expect(try LockFile(path, waits: false) == nil)
      withExtendedLifetime(held) {}
    }
    #expect(try folder.names.isEmpty)
    // One that was left behind by a process that was killed.
    try folder.put("x.lock", "")
    #expect(try LockFile(path, waits: false) != nil)
  }

  /// Whoever waits for a lock whose file goes gets one that the next one sees.
  @Test func exactlyOneHasIt() async throws {
    let folder = try OutputFolder()
    let (lock, count) = (folder.file("x.lock"), folder.file("count"))
    try folder.put("count", "0")
    try await withThrowingTaskGroup(of: Void.self) { group in
      for _ in 0..<8 {
        group.addTask {
          try await Task.detached {
            for _ in 0..<40 {
              let held = try LockFile(lock, waits: true)
              let value = Int(try String(contentsOfFile: count, encoding: .utf8))!
              try Data("\(value + 1)".utf8).write(to: URL(filePath: count))
              withExtendedLifetime(held) {}
            }
          }.value
        }
      }
      try await group.waitForAll()
    }
    #expect(folder.text("count") == "320")
    #expect(try folder.names == ["count"])
  }
}
