import Foundation
import ProcessControl
import Testing

/// What commands write, to files of every kind and to streams that are closed, full or gone.
struct OutputTests {
  private static let recording = ServeTests.root
    .appending(path: "Scenarios/recordings/qwen2.5-coder.jsonl.gz").path
  private static let calibrate = ["trace", "calibrate", recording, "--html"]

  private func withFolder(_ body: (String) async throws -> Void) async throws {
    let folder = FileManager.default.temporaryDirectory.appending(path: "wanspec-\(UUID().uuidString)")
    try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
    defer { try? FileManager.default.removeItem(at: folder) }
    try await body(folder.path)
  }

  private func text(_ path: String) -> String { (try? String(contentsOfFile: path, encoding: .utf8)) ?? "" }

  private func names(_ folder: String) throws -> [String] {
    try FileManager.default.contentsOfDirectory(atPath: folder).sorted()
  }

  private func shell(_ script: String, _ arguments: [String] = []) async throws -> Program.Result {
    let child = try await ChildProcess.start(
      "sh", program: "/bin/sh", arguments: ["-c", script, Program.url.path] + arguments,
      environment: ProcessInfo.processInfo.environment, keptOutput: 1 << 24)
    child.closeInput()
    let exit = await child.exit()
    guard case .status(let status) = exit else {
      Issue.record("\(script): \(exit)")
      throw CancellationError()
    }
    return Program.Result(status: status, output: child.output, errors: child.errors)
  }

  @Test func pagesGoWhereTheirPathLeads() async throws {
    try await withFolder { folder in
      try Data("old".utf8).write(to: URL(filePath: "\(folder)/real.html"))
      try FileManager.default.createSymbolicLink(
        atPath: "\(folder)/link.html", withDestinationPath: "real.html")
      let linked = try await Program.run(Self.calibrate + ["\(folder)/link.html"])
      #expect(linked.status == 0, "\(linked.errors)")
      let page = text("\(folder)/real.html")
      #expect(page.lowercased().hasPrefix("<!doctype html>"), "\(page.prefix(40))")
      #expect(try FileManager.default.destinationOfSymbolicLink(atPath: "\(folder)/link.html") == "real.html")
      // Through a FIFO and through /dev/stdout, after what people read there.
      let piped = try await shell(
        #"mkfifo "$1/fifo"; cat "$1/fifo" > "$1/copy" & "$0" trace calibrate "$2" --html "$1/fifo" > /dev/null && wait; test -p "$1/fifo""#,
        [folder, Self.recording])
      #expect(piped.status == 0, "\(piped.errors)")
      #expect(text("\(folder)/copy") == page)
      let printed = try await Program.run(Self.calibrate + ["/dev/stdout"])
      #expect(printed.status == 0 && printed.output.hasSuffix(page.suffix(100)))
      let redirected = try await shell(
        #""$0" trace calibrate "$2" --html /dev/stdout > "$1/all""#, [folder, Self.recording])
      #expect(redirected.status == 0 && text("\(folder)/all") == printed.output)
      #expect(try names(folder) == ["all", "copy", "fifo", "link.html", "real.html"])
    }
  }

  /// A limit on the size of files stands for a disk that is full: an error with what to do, no signal, no part of a file.
  @Test func aFullDiskIsAnErrorAndLeavesNoPart() async throws {
    try await withFolder { folder in
      try Data("old".utf8).write(to: URL(filePath: "\(folder)/page.html"))
      let full = try await shell(
        #"ulimit -f 8; exec "$0" trace calibrate "$2" --html "$1/page.html""#, [folder, Self.recording])
      #expect(full.status == 1, "\(full)")
      #expect(full.errors.contains("\(folder)/page.html: File too large"), "\(full.errors)")
      #expect(text("\(folder)/page.html") == "old")
      #expect(try names(folder) == ["page.html"])
      let keys = try await shell(#"ulimit -f 0; exec "$0" keys create a --file "$1/keys""#, [folder])
      #expect(keys.status == 1 && keys.output.isEmpty && keys.errors.contains("File too large"), "\(keys)")
      let certs = try await shell(#"ulimit -f 0; exec "$0" certs init "$1/certs""#, [folder])
      #expect(certs.status == 1 && certs.errors.contains("File too large"), "\(certs)")
      #expect(try names(folder) == ["certs", "page.html"])
      #expect(try names("\(folder)/certs").isEmpty)
      let results = try await shell(
        #"ulimit -f 1; exec "$0" simulate "$2" --output "$1/results""#,
        [folder, ServeTests.root.appending(path: "Scenarios/round-trip.yaml").path])
      #expect(results.status == 1 && results.errors.contains("File too large"), "\(results.errors)")
      // Whole lines, so that the next run goes on.
      let points = text("\(folder)/results/points.jsonl")
      #expect(points.isEmpty || points.hasSuffix("}\n"))
    }
  }

  /// What is printed of somebody else's file does not act on the terminal.
  @Test func textOfFilesDoesNotDriveTheTerminal() async throws {
    try await withFolder { folder in
      let made = try await shell(
        #"gzip -dc "$2" | sed '1s/"target":"[^"]*"/"target":"\\u001b[2J\\u202e\\nforged"/' | gzip > "$1/r.gz""#,
        [folder, Self.recording])
      #expect(made.status == 0, "\(made.errors)")
      let shown = try await Program.run(["trace", "info", "\(folder)/r.gz"])
      #expect(shown.status == 0, "\(shown.errors)")
      #expect(shown.output.contains(#"\u{1B}[2J\u{202E}"#), "\(shown.output)")
      #expect(!shown.output.contains("\u{1B}") && !shown.output.contains("\u{202E}"))
      let json = try await Program.run(["trace", "info", "\(folder)/r.gz", "--json"])
      #expect(!json.output.contains("\u{1B}") && !json.output.contains("\u{202E}"))
      let object = try JSONSerialization.jsonObject(with: Data(json.output.utf8)) as? [String: Any]
      #expect(object?["target"] as? String == "\u{1B}[2J\u{202E}\nforged")
      // In an error, too.
      let wrong = try await Program.run(["trace", "info", "\(folder)/\u{1B}[2J"])
      #expect(wrong.status == 1 && !wrong.errors.contains("\u{1B}"), "\(wrong.errors.debugDescription)")
    }
  }

  /// Standard streams that are closed, full or not read: no crash, and no file in their place.
  @Test(arguments: [
    (#""$0" --help > /dev/full"#, 1, "cannot write to standard output: No space left"),
    (#""$0" --version >&-"#, 1, "cannot write to standard output"),
    (#""$0" models list 2>&- > /dev/null"#, 0, ""),
    (#""$0" trace calibrate "$1" --html "$2/page.html" >&-"#, 1, "cannot write to standard output"),
    (#"{ "$0" --help; echo "status $?" >&2; } | :"#, 0, "status 141"),
  ])
  func streamsMayBeMissing(script: String, status: Int32, message: String) async throws {
    try await withFolder { folder in
      let result = try await shell(script, [Self.recording, folder])
      #expect(
        result.status == status && (message.isEmpty || result.errors.contains(message)),
        "\(script): \(result)")
      #expect(try names(folder).isEmpty)
    }
  }

  /// The file that a server reads is the one that changes, whatever its path is called, with its mode and owner.
  @Test func revokingThroughALinkRevokes() async throws {
    try await withFolder { folder in
      let (real, link) = ("\(folder)/keys", "\(folder)/link")
      #expect(try await Program.run(["keys", "create", "alice", "--file", real]).status == 0)
      chmod(real, 0o640)
      let isRoot = chown(real, 4321, 1234) == 0 && geteuid() == 0
      try FileManager.default.createSymbolicLink(atPath: link, withDestinationPath: "keys")
      #expect(try await Program.run(["keys", "revoke", "alice", "--file", link]).status == 0)
      #expect(!text(real).contains("alice"))
      #expect(try FileManager.default.destinationOfSymbolicLink(atPath: link) == "keys")
      let attributes = try FileManager.default.attributesOfItem(atPath: real)
      #expect(attributes[.posixPermissions] as? Int == 0o640)
      if isRoot { #expect(attributes[.ownerAccountID] as? Int == 4321) }
      #expect(try names(folder) == ["keys", "link"])
      // What cannot be changed under all of its names is not changed under one.
      #expect(try await Program.run(["keys", "create", "bob", "--file", real]).status == 0)
      try FileManager.default.linkItem(atPath: real, toPath: "\(folder)/hard")
      let refused = try await Program.run(["keys", "revoke", "bob", "--file", real])
      #expect(refused.status == 1 && refused.errors.contains("hard links"), "\(refused.errors)")
      #expect(text(real).contains("bob"))
    }
  }

  @Test func revokingAWorkerThroughALinkRevokes() async throws {
    try await withFolder { folder in
      let certs = "\(folder)/certs"
      let flag = ["--certs", certs]
      #expect(try await Program.run(["certs", "init", certs]).status == 0)
      #expect(try await Program.run(["certs", "issue", "worker", "w1"] + flag).status == 0)
      try FileManager.default.moveItem(atPath: "\(certs)/allowed-workers", toPath: "\(folder)/shared")
      try FileManager.default.createSymbolicLink(
        atPath: "\(certs)/allowed-workers", withDestinationPath: "\(folder)/shared")
      #expect(text("\(folder)/shared").contains("w1"))
      #expect(try await Program.run(["certs", "revoke", "w1"] + flag).status == 0)
      #expect(!text("\(folder)/shared").contains("w1"))
      #expect(try names(certs) == ["allowed-workers", "ca.key", "ca.pem", "w1.key", "w1.pem"])
    }
  }
}
