import Foundation
import ModelStore
import Testing

@Suite struct PullTests {
  @Test func fetchesJoinsAndRemembers() async throws {
    let fixture = try PackageFixture()
    let store = try fixture.store()
    let recorder = ProgressRecorder()
    #expect(store.state(of: fixture.entry) == .absent)

    let file = try await store.pull(fixture.entry, progress: recorder.record)
    #expect(try Data(contentsOf: file) == fixture.content)
    #expect(store.state(of: fixture.entry) == .present)
    #expect(fixture.leftovers == ["tiny.gguf"])
    let seen = recorder.seen
    #expect(seen.allSatisfy { $0.bytesDone <= $0.bytesTotal && $0.bytesTotal == fixture.entry.bytes })
    #expect(seen.contains { $0.phase == .downloading && $0.bytesDone == $0.bytesTotal })

    // A second pull needs neither Python nor index.
    let offline = try fixture.store(before: "exit 9")
    try await offline.pull(fixture.entry)
    #expect(fixture.downloads(of: 0) == 1)
    #expect(try offline.resolve("tiny") == file)
  }

  @Test func continuesAfterBeingCancelled() async throws {
    let fixture = try PackageFixture()
    var slow = try fixture.store(before: "case \"$*\" in *part2==*) exec sleep 60 ;; esac")
    slow.parallelDownloads = 1
    let store = slow
    let pull = Task { try await store.pull(fixture.entry) }
    while store.state(of: fixture.entry) != .partial(bytes: Int64(PackageFixture.partBytes)) {
      try await Task.sleep(for: .milliseconds(20))
    }
    pull.cancel()
    await #expect(throws: CancellationError.self) { try await pull.value }
    #expect(fixture.leftovers == ["tiny.gguf.parts"])

    let file = try await fixture.store().pull(fixture.entry)
    #expect(try Data(contentsOf: file) == fixture.content)
    #expect(fixture.downloads(of: 0) == 1, "the finished part is not fetched again")
  }

  @Test func continuesAfterACrash() async throws {
    let fixture = try PackageFixture()
    let parts = fixture.folder.appending(path: "models/tiny.gguf.parts")
    try FileManager.default.createDirectory(
      at: parts.appending(path: "3.download"), withIntermediateDirectories: true)
    // Part 1 is whole, part 2 was damaged, part 3 was cut short, an old joined file is under way.
    try fixture.parts[0].write(to: parts.appending(path: "01"))
    try Data(repeating: 0, count: PackageFixture.partBytes).write(to: parts.appending(path: "02"))
    try fixture.parts[2].prefix(100).write(to: parts.appending(path: "03"))
    try Data("half".utf8).write(to: fixture.folder.appending(path: "models/tiny.gguf.tmp"))
    try fixture.unpublish(0)

    let file = try await fixture.store().pull(fixture.entry)
    #expect(try Data(contentsOf: file) == fixture.content)
    #expect(fixture.leftovers == ["tiny.gguf"])
    #expect((0..<3).map(fixture.downloads) == [0, 1, 1])
  }

  @Test func refusesAPackageWithOtherContent() async throws {
    let fixture = try PackageFixture(parts: 2)
    try fixture.publish([1], content: Data(repeating: 1, count: PackageFixture.partBytes))
    let store = try fixture.store()
    let error = await #expect(throws: ModelStoreError.self) { try await store.pull(fixture.entry) }
    #expect(error?.code == .corrupt)
    #expect(error?.message.contains("part 2 of 2 of tiny") == true)
    #expect(!fixture.leftovers.contains("tiny.gguf"))

    try fixture.publish([1])
    try await store.pull(fixture.entry)
    #expect(store.state(of: fixture.entry) == .present)
  }

  @Test func fetchesADamagedFileAgain() async throws {
    let fixture = try PackageFixture(parts: 1)
    let store = try fixture.store()
    let file = try await store.pull(fixture.entry)
    var bytes = fixture.content
    bytes[5_000] ^= 1
    try PackageFixture.write(bytes, later: file)
    #expect(store.state(of: fixture.entry) == .unverified)
    guard case .corrupt = try await store.verify(fixture.entry) else {
      Issue.record("a flipped bit was not found")
      return
    }
    #expect(store.state(of: fixture.entry).name == "corrupt")
    #expect(throws: ModelStoreError.self) { try store.resolve("tiny") }
    try await store.pull(fixture.entry)
    #expect(try Data(contentsOf: file) == fixture.content)

    // Truncated: the size alone tells.
    try PackageFixture.write(bytes.prefix(100), later: file)
    #expect(store.state(of: fixture.entry).name == "corrupt")
    try await store.pull(fixture.entry)
    #expect(try await store.verify(fixture.entry) == .present)
    #expect(fixture.downloads(of: 0) == 3)
  }

  @Test func saysWhenTheIndexCannotBeReached() async throws {
    let fixture = try PackageFixture(parts: 1)
    // What pip prints without a network; real pip would take seconds of retries to say it.
    let store = try fixture.store(
      before: """
        case "$*" in *download*)
          echo "WARNING: Retrying (Retry(total=0)) after connection broken by 'NewConnectionError'"
          echo "ERROR: No matching distribution found for wanspec-tiny-part1==1.0"
          exit 1 ;;
        esac
        """)
    let error = await #expect(throws: ModelStoreError.self) { try await store.pull(fixture.entry) }
    #expect(error?.code == .offline)
    #expect(error?.hint?.contains("wanspec models add tiny FILE") == true)
    #expect(error?.hint?.contains("Example/Tiny-GGUF") == true)
    #expect(error?.description.contains("\n") == false)
  }

  @Test func saysWhenAPackageIsGone() async throws {
    let fixture = try PackageFixture(parts: 2)
    try fixture.unpublish(1)
    let store = try fixture.store()
    let error = await #expect(throws: ModelStoreError.self) { try await store.pull(fixture.entry) }
    #expect(error?.code == .downloadFailed)
    #expect(error?.message.contains("No matching distribution") == true)
    #expect(error?.description.contains("\n") == false)
  }

  @Test func twoPullsAtOnceFetchOnce() async throws {
    let fixture = try PackageFixture(parts: 2)
    let store = try fixture.store()
    let recorder = ProgressRecorder()
    try await withThrowingTaskGroup(of: Void.self) { group in
      for _ in 0..<2 {
        group.addTask {
          try await store.pull(fixture.entry, progress: recorder.record)
        }
      }
      try await group.waitForAll()
    }
    #expect(recorder.seen.contains { $0.phase == .waiting })
    #expect((0..<2).map(fixture.downloads) == [1, 1])
    #expect(store.state(of: fixture.entry) == .present)
  }

  @Test func takesAFileFromElsewhere() async throws {
    let fixture = try PackageFixture(parts: 1)
    let store = try fixture.store(before: "exit 9")
    let source = fixture.folder.appending(path: "mine.gguf")
    for wrong in [Data("short".utf8), Data(repeating: 2, count: PackageFixture.partBytes)] {
      try wrong.write(to: source)
      let error = await #expect(throws: ModelStoreError.self) {
        try await store.add(source, as: fixture.entry)
      }
      #expect(error?.code == .corrupt)
      #expect(store.state(of: fixture.entry) == .absent)
    }
    try fixture.content.write(to: source)
    try await store.add(source, as: fixture.entry)
    #expect(store.state(of: fixture.entry) == .present)

    // Put in place by hand: checked by the pull, not fetched.
    let file = store.path(for: fixture.entry)
    try FileManager.default.removeItem(at: file)
    try PackageFixture.write(fixture.content, later: file)
    #expect(store.state(of: fixture.entry) == .unverified)
    try await store.pull(fixture.entry)
    #expect(store.state(of: fixture.entry) == .present)
  }
}
