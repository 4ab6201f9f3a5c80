import Foundation
import GRDB
import LatencyStudy
import Testing

/// What lies in the folder of a study: one file whenever nobody has it open.
@Suite struct StoreFileTests {
  private static let slots = 100..<140

  /// A store with probes of a source.
  private func store(_ path: String, source: String = "eu-west-2", _ extra: String = "") async throws
    -> StudyStore
  {
    let store = try StudyStore.create(
      path, campaign: campaign(extra, sources: "[eu-west-2, us-east-1]"), emulated: nil)
    let writer = try store.begin(
      source: source, firstSlot: 100, started: 0, version: "1", host: "h", clockAge: nil, acceleration: 1)
    try await store.add(
      Self.slots.map {
        ProbeRecord(
          key: ProbeKey(source: source, target: "a", slot: $0), scheduled: 0, started: 0, outcome: .timeout)
      }, writer)
    return store
  }

  private func copy(_ path: String, to other: String) throws {
    try FileManager.default.copyItem(atPath: path, toPath: other)
  }

  private func count(_ path: String) throws -> Int { try StudyStore.data(in: path).sent }

  private func names(_ folder: TemporaryFolder) throws -> [String] {
    try FileManager.default.contentsOfDirectory(atPath: folder.path).sorted()
  }

  private func refusal(_ body: () throws -> Void) -> String {
    do {
      try body()
      return ""
    } catch { return "\(error)" }
  }

  @Test func aClosedStudyIsOneFile() async throws {
    let folder = try TemporaryFolder()
    let store = try await store(folder.file("s"))
    #expect(store.close())
    #expect(try names(folder) == ["s"])
    try copy(folder.file("s"), to: folder.file("copy"))
    #expect(try count(folder.file("copy")) == Self.slots.count)
  }

  /// Every commit waits for the disk, whatever the library that holds the connection thinks of it.
  @Test func commitsSurviveALossOfPower() async throws {
    let folder = try TemporaryFolder()
    let store = try await store(folder.file("s"))
    #expect(try store.durability() == "wal 2")
  }

  /// A process that was killed leaves two files; whoever opens and closes them leaves one.
  @Test func whatAKilledProcessLeavesIsBroughtTogether() async throws {
    let folder = try TemporaryFolder()
    let store = try await store(folder.file("s"))
    for end in ["", "-wal"] { try copy(folder.file("s" + end), to: folder.file("k" + end)) }
    for end in ["", "-wal"] { try copy(folder.file("s" + end), to: folder.file("m" + end)) }
    store.close()
    // All of it is in the second file.
    try copy(folder.file("k"), to: folder.file("alone"))
    let message = refusal { _ = try StudyStore.open(folder.file("alone")) }
    #expect(message.contains("was copied without the \(folder.file("alone"))-wal"), "\(message)")
    #expect(!message.contains("remove"))
    #expect(try count(folder.file("k")) == Self.slots.count)
    try await StudyStore.merge([folder.file("m")], into: folder.file("all"))
    #expect(try names(folder) == ["all", "alone", "k", "m", "s"])
    try copy(folder.file("k"), to: folder.file("later"))
    #expect(try count(folder.file("later")) == Self.slots.count)
  }

  @Test func whoClosesItLastBringsItTogether() async throws {
    let folder = try TemporaryFolder()
    let store = try await store(folder.file("s"))
    let reader = try StudyStore.open(folder.file("s"))
    #expect(try reader.data().sent == Self.slots.count)
    #expect(!store.close())
    #expect(reader.close())
    #expect(try names(folder) == ["s"])
  }

  /// From a place where nothing can be written it is read all the same, alone and into another file.
  @Test func aFileThatCannotBeWrittenIsRead() async throws {
    let folder = try TemporaryFolder()
    let frozen = folder.file("read only?")
    try FileManager.default.createDirectory(atPath: frozen, withIntermediateDirectories: false)
    guard SystemProgram.run("/usr/bin/mount", ["-t", "tmpfs", "tmpfs", frozen]) else {
      return print("skipped: no tmpfs can be mounted here")
    }
    defer { _ = SystemProgram.run("/usr/bin/umount", ["-l", frozen]) }
    try await store(frozen + "/s").close()
    try #require(SystemProgram.run("/usr/bin/mount", ["-o", "remount,ro", frozen]))
    #expect(try count(frozen + "/s") == Self.slots.count)
    try await StudyStore.merge([frozen + "/s"], into: folder.file("all"))
    #expect(try count(folder.file("all")) == Self.slots.count)
    let refused = await #expect(throws: StoreError.self) {
      try await StudyStore.merge([folder.file("all")], into: frozen + "/s")
    }
    #expect(refused?.path == frozen + "/s")
  }

  @Test func aLinkIsTheFileItLeadsTo() async throws {
    let folder = try TemporaryFolder()
    try FileManager.default.createSymbolicLink(
      atPath: folder.file("link"), withDestinationPath: folder.file("s"))
    let lock = try StoreLock(folder.file("link"))
    #expect(throws: StoreError.self) { try StoreLock(folder.file("s")) }
    withExtendedLifetime(lock) {}
    let store = try await store(folder.file("link"))
    let reader = try StudyStore.open(folder.file("s"))
    #expect(!store.close() && reader.close())
  }

  @Test func aMakingThatWasCutShortGoesOn() async throws {
    let folder = try TemporaryFolder()
    try await store(folder.file("s")).close()
    let queue = try DatabaseQueue(path: folder.file("s"))
    try await queue.write { try $0.execute(sql: "DELETE FROM campaign") }
    try queue.close()
    let message = refusal { _ = try StudyStore.open(folder.file("s")) }
    #expect(message.contains("go on with it: wanspec study run CAMPAIGN --store"), "\(message)")
    try await store(folder.file("s")).close()
    #expect(try count(folder.file("s")) == Self.slots.count)
  }

  /// Somebody else's database is as it was after it was refused.
  @Test func whatIsNoStudyIsNotTouched() async throws {
    let folder = try TemporaryFolder()
    let queue = try DatabaseQueue(path: folder.file("other"))
    try await queue.write { try $0.execute(sql: "CREATE TABLE t (a)") }
    try queue.close()
    let before = try Data(contentsOf: URL(filePath: folder.file("other")))
    #expect(throws: StoreError.self) { try StudyStore.open(folder.file("other")) }
    #expect(throws: StoreError.self) {
      try StudyStore.create(folder.file("other"), campaign: campaign(), emulated: nil)
    }
    #expect(try Data(contentsOf: URL(filePath: folder.file("other"))) == before)
    #expect(try names(folder) == ["other"])
  }

  // MARK: Merging

  @Test func aMergeThatFailsLeavesNothing() async throws {
    let folder = try TemporaryFolder()
    try await store(folder.file("a")).close()
    try await store(folder.file("b"), source: "us-east-1").close()
    try await store(folder.file("other"), "every: 10min").close()
    await #expect(throws: StoreError.self) {
      try await StudyStore.merge([folder.file("a"), folder.file("other")], into: folder.file("all"))
    }
    #expect(try names(folder) == ["a", "b", "other"])
    // One that is there already stays as it was.
    try await StudyStore.merge([folder.file("a")], into: folder.file("all"))
    let failure = await #expect(throws: StoreError.self) {
      try await StudyStore.merge(
        [folder.file("b"), folder.file("other")], into: folder.file("all"))
    }
    #expect(failure?.path == folder.file("other"))
    #expect(try count(folder.file("all")) == Self.slots.count)
    try await StudyStore.merge([folder.file("b"), folder.file("a")], into: folder.file("all"))
    #expect(try count(folder.file("all")) == 2 * Self.slots.count)
    #expect(try names(folder) == ["a", "all", "b", "other"])
  }

  @Test func aMergeThatIsInterruptedLeavesNothing() async throws {
    let folder = try TemporaryFolder()
    try await store(folder.file("a")).close()
    let (input, output) = (folder.file("a"), folder.file("all"))
    let task = Task {
      withUnsafeCurrentTask { $0?.cancel() }
      _ = try await StudyStore.merge([input], into: output)
    }
    await #expect(throws: CancellationError.self) { try await task.value }
    #expect(try names(folder) == ["a"])
  }

  @Test func linksAreFollowedAndWhatIsNoFileIsRefused() async throws {
    let folder = try TemporaryFolder()
    try await store(folder.file("a")).close()
    try FileManager.default.createSymbolicLink(
      atPath: folder.file("link"), withDestinationPath: folder.file("all"))
    try await StudyStore.merge([folder.file("a")], into: folder.file("link"))
    #expect(try count(folder.file("all")) == Self.slots.count)
    #expect(
      try FileManager.default.destinationOfSymbolicLink(atPath: folder.file("link")) == folder.file("all"))
    #expect(mkfifo(folder.file("pipe"), 0o600) == 0)
    let message = await #expect(throws: StoreError.self) {
      try await StudyStore.merge([folder.file("a")], into: folder.file("pipe"))
    }
    #expect(message?.message == "is no regular file")
    // SQLite would take what a lost file left for the new one's.
    try Data("x".utf8).write(to: URL(filePath: folder.file("lost-wal")))
    await #expect(throws: StoreError.self) {
      try await StudyStore.merge([folder.file("a")], into: folder.file("lost"))
    }
    #expect(FileManager.default.fileExists(atPath: folder.file("lost-wal")))
  }

  @Test func aLockLeavesNoFile() throws {
    let folder = try TemporaryFolder()
    var first: StoreLock? = try StoreLock(folder.file("s"))
    #expect(throws: StoreError.self) { try StoreLock(folder.file("s")) }
    withExtendedLifetime(first) {}
    first = nil
    #expect(try names(folder).isEmpty)
  }
}
