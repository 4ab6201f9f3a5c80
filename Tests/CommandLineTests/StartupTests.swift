import Foundation
import ProcessControl
import Testing

/// What programs do before they serve: signals in every phase, addresses of every kind, model files of any kind.
///
/// Needs the models of `make test` and Python.
@Suite(.serialized, .enabled(if: Models.arePresent, "run `make test` once: it fetches the models"))
struct StartupTests {
  private static let programs: [String: [String]] = [
    "serve": ServeTests.serve(),
    "worker": ProcessTests.worker(port: 9),
    "generate": [
      "generate", "--target", Models.target, "--mode", "wan", "--listen", "127.0.0.1:0", "--threads", "1",
      "Hello",
    ],
  ]

  /// Loading, measuring, comparing, binding, waiting: it ends at once, by the signal or in order, whenever it comes.
  @Test(arguments: ["serve", "worker", "generate"], [SIGTERM, SIGINT])
  func aSignalEndsItInEveryPhase(command: String, signal: Int32) async throws {
    let arguments = try #require(Self.programs[command])
    for delay in [0, 30, 80, 150, 300, 600, 1200, 2400, 5000] {
      let cache = FileManager.default.temporaryDirectory.appending(path: "wanspec-\(UUID().uuidString)")
      try FileManager.default.createDirectory(at: cache, withIntermediateDirectories: true)
      defer { try? FileManager.default.removeItem(at: cache) }
      let program = try await RunningProgram(arguments, environment: ["XDG_RUNTIME_DIR": cache.path])
      try await Task.sleep(for: .milliseconds(delay))
      let sent = ContinuousClock.now
      program.signal(signal)
      let result = await program.result()
      // A debug build on a busy machine; loading alone takes longer than this where it is not given up.
      #expect(ContinuousClock.now - sent < .seconds(8), "\(command) after \(delay) ms")
      #expect([0, 128 + signal].contains(result.status), "\(command) after \(delay) ms: \(result.errors)")
      #expect(
        !result.errors.lowercased().contains("error:"), "\(command) after \(delay) ms: \(result.errors)")
    }
  }

  /// A template may be a pipe that nobody writes to. (Files of keys may not.)
  @Test func aSignalEndsItWhileItWaitsForAFile() async throws {
    let pipe = FileManager.default.temporaryDirectory.appending(path: "wanspec-\(UUID().uuidString)").path
    try #require(mkfifo(pipe, 0o600) == 0)
    defer { unlink(pipe) }
    let program = try await RunningProgram(ServeTests.serve(["--chat-template", pipe]))
    try await Task.sleep(for: .seconds(1))
    #expect(program.isRunning, "it does not wait")
    let sent = ContinuousClock.now
    program.signal(SIGTERM)
    let result = await program.result()
    #expect(ContinuousClock.now - sent < .seconds(8))
    #expect(result.status == 128 + SIGTERM, "\(result.errors)")
  }

  /// IPv6 on both ports, between them the link emulator, and a certificate for an address.
  @Test func everythingTakesIPv6() async throws {
    let folder = FileManager.default.temporaryDirectory.appending(path: "wanspec-\(UUID().uuidString)")
    defer { try? FileManager.default.removeItem(at: folder) }
    for arguments in [
      ["init", folder.path], ["issue", "controller", "main", "--san", "::1", "--certs", folder.path],
      ["issue", "worker", "w1", "--certs", folder.path],
    ] {
      let result = try await Program.run(["certs"] + arguments)
      #expect(result.status == 0, "\(result.errors)")
    }
    let server = try await RunningProgram([
      "serve", "--target", Models.target, "--host", "::1", "--port", "0", "--listen", "[::1]:0", "--certs",
      folder.path,
      "--context", "512", "--threads", "1", "--json-logs",
    ])
    let ready = try await Self.ready(server)
    let url = try #require(ready["url"] as? String)
    #expect(url.hasPrefix("http://[::1]:"))
    let workers = try #require(ready["workers"] as? String)
    #expect(workers.hasPrefix("[::1]:"))

    let link = try await RunningProgram([
      "link", "--listen", "[::1]:0", "--connect", workers, "--rtt", "2ms", "--json",
    ])
    let near = try await link.event("ready")
    let port = try #require(near["port"] as? Int)
    let worker = try await RunningProgram([
      "worker", "--connect", "[::1]:\(port)", "--certs", folder.path, "--draft", Models.draft, "--threads",
      "1", "--json",
    ])
    _ = try await worker.event("connected")
    // Foundation's client takes no address of this kind.
    let ask = "import sys, urllib.request; print(urllib.request.urlopen(sys.argv[1]).status)"
    let client = try await ChildProcess.start(
      "health", program: ServeTests.python, arguments: ["-c", ask, url + "/health"],
      environment: ProcessInfo.processInfo.environment, keptOutput: 1 << 16)
    client.closeInput()
    #expect(await client.exit() == .status(0), "\(client.errors)")
    #expect(client.output.hasPrefix("200"))
    for program in [worker, link, server] { program.signal(SIGTERM) }
    #expect(await server.result().status == 0)
    _ = await (worker.result(), link.result())
  }

  /// The short form of Benchmarks/fuzz-models.
  @Test func hostileModelFilesAreRefusedInOneLine() async throws {
    let seed = UInt16.random(in: 0...9999)
    let result = try await ServeTests.script(
      "Benchmarks/fuzz-models", ["--wanspec", Program.url.path, "--cases", "60", "--seed", "\(seed)"])
    #expect(result.status == 0, "seed \(seed): \(result.output) \(result.errors)")
  }

  private static func ready(_ program: RunningProgram) async throws -> [String: Any] {
    let deadline = ContinuousClock.now + .seconds(60)
    while ContinuousClock.now < deadline, program.isRunning {
      let lines = program.child.errors.split(separator: "\n").compactMap {
        try? JSONSerialization.jsonObject(with: Data($0.utf8)) as? [String: Any]
      }
      if let ready = lines.first(where: { $0["message"] as? String == "ready" }) { return ready }
      try await Task.sleep(for: .milliseconds(20))
    }
    throw RunningProgram.EventMissing(description: "the server is not ready: \(program.child.errors)")
  }
}
