import Foundation
import GRDB
import LatencyStudy
import StudyAnalysis
import Testing

/// A folder that goes away.
final class TemporaryFolder {
  let path: String

  init() throws {
    path = FileManager.default.temporaryDirectory.appending(path: "study-\(UUID().uuidString)").path
    try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true)
  }

  func file(_ name: String) -> String { path + "/" + name }

  deinit { try? FileManager.default.removeItem(atPath: path) }
}

enum SystemProgram {
  /// - Returns: whether it ended well
  static func run(_ path: String, _ arguments: [String]) -> Bool {
    let process = Process()
    process.executableURL = URL(filePath: path)
    process.arguments = arguments
    process.standardError = FileHandle.nullDevice
    guard (try? process.run()) != nil else { return false }
    process.waitUntilExit()
    return process.terminationStatus == 0
  }
}

@Suite struct StudyStoreTests {
  private func open(_ path: String, source: String = "eu-west-2") throws -> (StudyStore, StudyStore.Writer) {
    let store = try StudyStore.create(
      path, campaign: campaign(sources: "[eu-west-2, us-east-1]"), emulated: nil)
    let writer = try store.begin(
      source: source, firstSlot: 100, started: 0, version: "1", host: "h", clockAge: 3, acceleration: 1)
    return (store, writer)
  }

  private func record(
    _ slot: Int, source: String = "eu-west-2", outcome: ProbeOutcome = .ok, ordinal: Int = 0
  ) -> ProbeRecord {
    var record = ProbeRecord(
      key: ProbeKey(source: source, target: "a", slot: slot, ordinal: ordinal), scheduled: Int64(slot) * 10,
      started: Int64(slot) * 10 + 1, outcome: outcome, detail: outcome == .ok ? nil : "why, \"exactly\"")
    guard outcome == .ok else { return record }
    var phases = Phases(start: 0)
    let stamps: [(Phase, Int64)] = [
      (.connect, 10_000_000), (.written, 11_000_000), (.headers, 50_000_000), (.firstEvent, 50_000_000),
      (.firstContent, 111_000_000), (.lastContent, 111_000_000), (.lastContent, 141_000_000),
      (.end, 142_000_000),
    ]
    for (phase, time) in stamps { phases.stamp(phase, at: time) }
    record.phases = phases
    record.total = phases.total
    record.chunks = [Chunk(time: 111_000_000, bytes: 3), Chunk(time: 141_000_000, bytes: 300)]
    record.status = 200
    record.tcpMinRTT = 9_500
    record.outputTokens = 4
    record.usd = 0.25
    return record
  }

  private func count(_ path: String) throws -> Int {
    try DatabaseQueue(path: path).read { try Int.fetchOne($0, sql: "SELECT count(*) FROM probe") ?? -1 }
  }

  @Test func whatIsStoredIsReadAgain() async throws {
    let folder = try TemporaryFolder()
    let (store, writer) = try open(folder.file("s"))
    #expect(writer.slots == 100..<2116)
    // Not in order: probes are stored as they end.
    try await store.add(
      [record(102), record(100), record(101, outcome: .timeout), record(103, outcome: .missed)], writer)
    try await store.add([record(100, ordinal: 1)], writer)
    let data = try store.data()
    // As far as it has come.
    #expect(data.slots == 100..<104)
    #expect(data.sent == 4)
    #expect(data.usd == 0.75)
    #expect(data.clockAge == 3)
    let pair = try #require(data.pairs.first)
    #expect(data.pairs.count == 1)
    #expect(pair.slots == [100, 101, 102])
    #expect(pair.requestTTFT == [0.1, .infinity, 0.1])
    #expect(abs(pair.coldTTFT[0] - 0.111) < 1e-12)
    #expect(pair.roundTrip[0] == 0.0095)
    #expect(abs(pair.timePerToken[0] - 0.01) < 1e-12)
    #expect(pair.nameLookup[0].isNaN)
    #expect(
      data.exclusions.map { "\($0.outcome) \($0.count) \($0.censored)" }.sorted() == [
        "missed 1 false", "timeout 1 true",
      ])
    let progress = try store.progress(source: "eu-west-2")
    #expect(progress.stored.map(\.slot).sorted() == [100, 101, 102, 103])
    #expect(progress.sent == 4)
    #expect(try store.progress(source: "us-east-1") == StudyStore.Progress())
  }

  @Test func aProbeIsStoredOnce() async throws {
    let folder = try TemporaryFolder()
    let (store, writer) = try open(folder.file("s"))
    try await store.add([record(100, outcome: .missed), record(101)], writer)
    // Sent goes before missed; nothing goes before sent.
    try await store.add([record(100), record(101, outcome: .missed), record(101, outcome: .reset)], writer)
    let data = try store.data()
    #expect(data.pairs[0].slots == [100, 101])
    #expect(data.pairs[0].requestTTFT == [0.1, 0.1])
    #expect(data.exclusions.isEmpty)
    // Beginning again keeps the range.
    let again = try store.begin(
      source: "eu-west-2", firstSlot: 500, started: 0, version: "2", host: "h", clockAge: nil, acceleration: 1
    )
    #expect(again.slots == 100..<2116)
  }

  @Test func filesAreMergedWithoutDuplicates() async throws {
    let folder = try TemporaryFolder()
    let (first, one) = try open(folder.file("a"))
    try await first.add([record(100), record(101, outcome: .missed), record(102)], one)
    let (second, two) = try open(folder.file("b"), source: "us-east-1")
    try await second.add([record(100, source: "us-east-1")], two)
    let (copy, three) = try open(folder.file("c"))
    try await copy.add([record(101), record(102)], three)
    let all = try StudyStore.create(
      folder.file("all"), campaign: campaign(sources: "[eu-west-2, us-east-1]"), emulated: nil)
    #expect(try all.merge(first) == StudyStore.Merged(added: 3, known: 0))
    #expect(try all.merge(second) == StudyStore.Merged(added: 1, known: 0))
    // 101 was missed in one file and sent in the other.
    #expect(try all.merge(copy) == StudyStore.Merged(added: 1, known: 1))
    for store in [first, second, copy] { #expect(try all.merge(store).added == 0) }
    #expect(try count(all.path) == 4)
    #expect(try all.sources() == ["eu-west-2", "us-east-1"])
    #expect(try all.data().pairs.map(\.slots) == [[100, 101, 102], [100]])
    var lines: [String] = []
    #expect(try all.export(.jsonl) { lines.append($0) } == 4)
    // Chunks came along.
    #expect(
      lines.allSatisfy { $0.contains("\"chunk_times_ns\":[111000000,141000000],\"chunk_bytes\":[3,300]") })
  }

  @Test func otherCampaignsAreNotMerged() throws {
    let folder = try TemporaryFolder()
    let (store, _) = try open(folder.file("a"))
    let other = try StudyStore.create(folder.file("b"), campaign: campaign("every: 10min"), emulated: nil)
    #expect(throws: StoreError.self) { try store.merge(other) }
    #expect(throws: StoreError.self) {
      try StudyStore.create(folder.file("a"), campaign: campaign("every: 10min"), emulated: nil)
    }
    #expect(throws: StoreError.self) {
      try StudyStore.create(
        folder.file("a"), campaign: campaign(sources: "[eu-west-2, us-east-1]"), emulated: "a emulated")
    }
  }

  private func refusal(_ path: String) -> String {
    do {
      _ = try StudyStore.open(path)
      return ""
    } catch { return "\(error)" }
  }

  @Test func strangeFilesAreRefused() throws {
    let folder = try TemporaryFolder()
    #expect(refusal(folder.file("none")).contains("there is no such file"))
    try Data("hello, this is a text and no database, however long it may be".utf8).write(
      to: URL(filePath: folder.file("text")))
    #expect(refusal(folder.file("text")).contains("not a study's store"))
    try DatabaseQueue(path: folder.file("other")).write { try $0.execute(sql: "CREATE TABLE t (a)") }
    #expect(refusal(folder.file("other")).contains("a database, but not a study's"))
    _ = try open(folder.file("newer"))
    try DatabaseQueue(path: folder.file("newer")).write {
      try $0.execute(sql: "INSERT INTO grdb_migrations VALUES ('99')")
    }
    #expect(refusal(folder.file("newer")).contains("was written by a newer wanspec"))
    #expect(refusal(folder.file("newer")).contains("hint: "))
  }

  /// A real disk that is full, where this may make one.
  @Test func aFullDiskIsToldAndLosesNothing() async throws {
    let folder = try TemporaryFolder()
    guard mount(folder.path) else { return print("skipped: no tmpfs can be mounted here") }
    defer { _ = SystemProgram.run("/usr/bin/umount", ["-l", folder.path]) }
    let (store, writer) = try open(folder.file("s"))
    var stored = 0
    var failure: (any Error)?
    while failure == nil, stored < 100_000 {
      do {
        try await store.add((stored..<stored + 50).map { record($0) }, writer)
        stored += 50
      } catch { failure = error }
    }
    let error = try #require(failure as? StoreError)
    #expect(error.code == .diskFull, "\(error)")
    #expect(stored > 0)
    #expect(try store.progress(source: "eu-west-2").stored.count == stored)
  }

  private func mount(_ path: String) -> Bool {
    SystemProgram.run("/usr/bin/mount", ["-t", "tmpfs", "-o", "size=600k", "tmpfs", path])
  }

  @Test func onlyOneRunsOnAStore() throws {
    let folder = try TemporaryFolder()
    var lock: StoreLock? = try StoreLock(folder.file("s"))
    #expect(throws: StoreError.self) { try StoreLock(folder.file("s")) }
    withExtendedLifetime(lock) {}
    lock = nil
    _ = try StoreLock(folder.file("s"))
  }

  @Test func csvIsQuotedWhereItMustBe() async throws {
    let folder = try TemporaryFolder()
    let (store, writer) = try open(folder.file("s"))
    try await store.add([record(100), record(101, outcome: .reset)], writer)
    var text = ""
    try store.export(.csv) { text += $0 }
    let lines = text.split(separator: "\n")
    #expect(lines.count == 3)
    #expect(lines[0].hasPrefix("source,target,slot,ordinal,scheduled,started,outcome,detail,dns_ns,"))
    #expect(lines[1].hasPrefix("eu-west-2,a,100,0,1000,1001,ok,,,10000000,,1000000,"))
    #expect(lines[2].contains("reset,\"why, \"\"exactly\"\"\","))
  }

  @Test func chunksSurviveTheirCoding() {
    let chunks = [
      Chunk(time: 0, bytes: 0), Chunk(time: 127, bytes: 128), Chunk(time: 1 << 40, bytes: 70_000),
    ]
    #expect(ChunkCodec.decoded(ChunkCodec.encoded(chunks)) == chunks)
    #expect(ChunkCodec.decoded([0x80]) == nil)
    #expect(ChunkCodec.decoded([1]) == nil)
    #expect(ChunkCodec.decoded(Array(repeating: 0xFF, count: 20)) == nil)
    #expect(ChunkCodec.decoded([]) == [])
  }
}
