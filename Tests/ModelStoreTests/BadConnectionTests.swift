import Foundation
import ModelStore
import ProcessControl
import Testing

/// Real pip over HTTP, from an index that stalls, cuts, lies about lengths or is none at all.
@Suite(.serialized) struct BadConnectionTests {
  private static let script = URL(filePath: #filePath).deletingLastPathComponent()
    .appending(path: "misbehaving_index.py")

  /// - Returns: what `body` says, with an index that misbehaves in this way
  private func withIndex<Result>(
    _ mode: String, of fixture: PackageFixture, _ body: (String) async throws -> Result
  ) async throws -> Result {
    let python = try #require(
      await ChildProcess.find("python3", environment: ProcessInfo.processInfo.environment))
    let index = try await ChildProcess.start(
      "index", program: python, arguments: [Self.script.path, mode, fixture.wheels.path])
    var port: String?
    for await line in index.lines {
      port = line
      break
    }
    let result = try await body("http://127.0.0.1:\(try #require(port))/simple")
    await index.stop()
    return result
  }

  private struct Case: CustomTestStringConvertible {
    var mode: String
    var code: ModelStoreErrorCode = .downloadFailed
    var says: String
    var testDescription: String { mode }
  }

  private static let cases = [
    Case(mode: "cut", says: "cut"), Case(mode: "length too short", says: "cut"),
    Case(mode: "page instead of file", says: "something else answered"),
    Case(mode: "page instead of index", says: "No matching distribution"),
    Case(mode: "errors", says: "errors of its own"),
    Case(mode: "stalls", says: "stopped answering"),
    Case(mode: "trickles", says: "nothing has arrived for 4 s"),
  ]

  /// One line that says what was wrong and what to do; nothing of it is kept, and a good index is enough to go on.
  @Test(arguments: cases.indices) func saysWhatIsWrongAndGoesOnLater(index: Int) async throws {
    let wrong = Self.cases[index]
    let fixture = try PackageFixture(parts: 2)
    try await withIndex("good", of: fixture) { url in
      // The first part is there when the connection becomes bad.
      try fixture.unpublish(1)
      var store = try fixture.store(index: url)
      store.parallelDownloads = 1
      let orderly = store
      _ = try? await orderly.pull(fixture.entry)
      try fixture.publish([1])
    }
    let error = try await withIndex(wrong.mode, of: fixture) { url in
      var store = try fixture.store(index: url)
      store.stallLimit = .seconds(4)
      let patient = store
      return await #expect(throws: ModelStoreError.self) { try await patient.pull(fixture.entry) }
    }
    #expect(error?.code == wrong.code, "\(wrong.mode): \(error.map(String.init(describing:)) ?? "")")
    #expect(error?.message.contains(wrong.says) == true, "\(wrong.mode): \(error?.message ?? "")")
    #expect(error?.description.contains("\n") == false)
    #expect(error?.message.contains(NSTemporaryDirectory()) == false)
    #expect(error?.hint?.contains("run it again") == true)
    #expect(fixture.leftovers == ["tiny.gguf.parts"])

    try await withIndex("good", of: fixture) { url in
      let file = try await fixture.store(index: url).pull(fixture.entry)
      #expect(try Data(contentsOf: file) == fixture.content)
    }
    #expect(fixture.downloads(of: 0) == 1, "the part that was whole is not fetched again")
  }
}
