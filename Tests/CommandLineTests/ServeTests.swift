import Foundation
import ProcessControl
import Testing

#if canImport(FoundationNetworking)
  import FoundationNetworking
#endif

/// `wanspec serve` as a real process with a real model, and with workers, as its users and their clients see it.
///
/// Needs the models of `make test` and Python.
@Suite(.serialized, .enabled(if: Models.arePresent, "run `make test` once: it fetches the models"))
struct ServeTests {
  static let root = URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
    .deletingLastPathComponent()

  /// The environment that dev/bootstrap --tests made has the openai client.
  static var python: String { root.appending(path: ".deps/venv/bin/python").path }

  static func serve(_ more: [String] = []) -> [String] {
    [
      "serve", "--target", Models.target, "--host", "127.0.0.1", "--port", "0", "--listen", "127.0.0.1:0",
      "--context", "512", "--threads", "1", "--json-logs",
    ] + more
  }

  /// A server that is ready, and the ports of its API and for its workers.
  static func start(_ more: [String] = []) async throws -> (RunningProgram, port: Int, workers: Int) {
    let program = try await RunningProgram(serve(more))
    let deadline = ContinuousClock.now + .seconds(60)
    while ContinuousClock.now < deadline, program.isRunning {
      let lines = program.child.errors.split(separator: "\n").compactMap {
        try? JSONSerialization.jsonObject(with: Data($0.utf8)) as? [String: Any]
      }
      if let ready = lines.first(where: { $0["message"] as? String == "ready" }) {
        let url = try #require((ready["url"] as? String).flatMap(URL.init(string:)))
        let workers = (ready["workers"] as? String)?.split(separator: ":").last
        return (program, try #require(url.port), workers.flatMap { Int($0) } ?? 0)
      }
      try await Task.sleep(for: .milliseconds(20))
    }
    program.signal(SIGKILL)
    throw RunningProgram.EventMissing(description: "the server is not ready: \(program.child.errors)")
  }

  /// Runs a script to its end.
  static func script(_ path: String, _ arguments: [String]) async throws -> Program.Result {
    let child = try await ChildProcess.start(
      path, program: python, arguments: [root.appending(path: path).path] + arguments,
      environment: ProcessInfo.processInfo.environment, keptOutput: 1 << 20)
    child.closeInput()
    let status: Int32 = if case .status(let status) = await child.exit() { status } else { -1 }
    return Program.Result(status: status, output: child.output, errors: child.errors)
  }

  /// Every field that the API takes, through the public client: whole and streamed, speculated and not.
  @Test func thePublicClientFindsWhatItExpects() async throws {
    let (server, port, workers) = try await Self.start()
    let worker = try await RunningProgram(ProcessTests.worker(port: workers))
    _ = try await worker.event("connected")
    let result = try await Self.script(
      "Tests/CommandLineTests/openai_client.py", ["http://127.0.0.1:\(port)/v1"])
    #expect(result.status == 0, "\(result.output) \(result.errors)")
    worker.signal(SIGTERM)
    #expect(await worker.result().status == 0)
    server.signal(SIGTERM)
    #expect(await server.result().status == 0)
  }

  /// Tools and thoughts, through the public client.
  @Test func theClientsToolsWork() async throws {
    let template = Self.root.appending(path: "Tests/CommandLineTests/Templates/tools.jinja").path
    let (server, port, workers) = try await Self.start(["--chat-template", template])
    let worker = try await RunningProgram(ProcessTests.worker(port: workers))
    _ = try await worker.event("connected")
    let result = try await Self.script(
      "Tests/CommandLineTests/tools_client.py", ["http://127.0.0.1:\(port)/v1"])
    #expect(result.status == 0, "\(result.output) \(result.errors)")
    for program in [worker, server] { program.signal(SIGTERM) }
    #expect(await server.result().status == 0)
    #expect(await worker.result().status == 0)
  }

  @Test(arguments: [
    (["--chat-template", "/nowhere.jinja"], "/nowhere.jinja: it cannot be read"),
    (["--chat-template-kwargs", "[]"], "is no object"), (["--chat-template-kwargs", "{"], "at byte"),
    (["--reasoning-format", "loud"], "must be auto, deepseek or none"),
  ])
  func wrongChatSettingsAreRefused(flags: [String], message: String) async throws {
    let result = try await Program.run(Self.serve(flags))
    #expect(result.status != 0 && result.errors.contains(message), "\(result.errors)")
  }

  /// The short form of what Benchmarks/chaos-serve does to workers and links; then in a cache that holds little more
  /// than one prompt, where sessions make room for each other all the time.
  @Test(arguments: [[], ["--tight", "--sessions", "2", "--kills", "0"]])
  func nothingIsLostWhileWorkersComeAndGo(more: [String]) async throws {
    let seed = UInt16.random(in: 0...9999)
    let result = try await Self.script(
      "Benchmarks/chaos-serve",
      [
        "--quick", "--seed", "\(seed)", "--program", Program.url.path, "--target", Models.target, "--drafts",
        "\(Models.draft),\(Models.target)",
      ] + more)
    #expect(result.status == 0, "seed \(seed): \(result.output) \(result.errors)")
  }

  /// A fault in the engine takes the process with it, but not before the clients were told.
  @Test func aCrashIsAnsweredWithAnErrorOfTheServer() async throws {
    let (server, port, _) = try await Self.start()
    var request = URLRequest(url: try #require(URL(string: "http://127.0.0.1:\(port)/v1/completions")))
    request.httpMethod = "POST"
    request.setValue("application/json", forHTTPHeaderField: "Content-Type")
    request.httpBody = Data(#"{"prompt": "One, two,", "max_tokens": 400, "ignore_eos": true}"#.utf8)
    let asked = request
    async let answer = URLSession.shared.data(for: asked)
    let metrics = try #require(URL(string: "http://127.0.0.1:\(port)/metrics"))
    while server.isRunning {
      let (page, _) = try await URLSession.shared.data(from: metrics)
      let lines = String(decoding: page, as: UTF8.self).split(separator: "\n")
      if lines.contains(where: { $0.hasPrefix("vllm:num_requests_running{") && $0.hasSuffix(" 1") }) { break }
      try await Task.sleep(for: .milliseconds(10))
    }
    server.signal(SIGSEGV)
    let (body, response) = try await answer
    #expect((response as? HTTPURLResponse)?.statusCode == 500)
    #expect(String(decoding: body, as: UTF8.self).contains("engine_crashed"))
    #expect(await server.result().status == 128 + SIGSEGV)
  }

  /// The short form of what Benchmarks/fuzz-serve sends.
  @Test func hostileRequestsAreRefused() async throws {
    let (server, port, workers) = try await Self.start()
    let seed = UInt16.random(in: 0...9999)
    let result = try await Self.script(
      "Benchmarks/fuzz-serve",
      [
        "--port", "\(port)", "--workers-port", "\(workers)", "--pid", "\(server.child.pid)", "--seed",
        "\(seed)", "--requests", "4000", "--max-growth", "0.25",
      ])
    #expect(result.status == 0, "seed \(seed): \(result.output) \(result.errors)")
    server.signal(SIGTERM)
    #expect(await server.result().status == 0)
  }

  /// At both ports; no model could be loaded with fewer.
  @Test(arguments: ["api", "workers"])
  func healthAnswersWithoutDescriptors(kind: String) async throws {
    let result = try await Self.script(
      "Benchmarks/exhaust-descriptors",
      ["--program", Program.url.path, "--kind", kind, "--target", Models.target, "--limit", "120"])
    #expect(result.status == 0, "\(result.output) \(result.errors)")
  }
}

/// Where the settings of `wanspec serve` come from, and what it says about wrong ones. No model is loaded.
struct ServeSettingsTests {
  private func withFile(_ text: String, _ body: (String) async throws -> Void) async throws {
    let file = FileManager.default.temporaryDirectory.appending(path: "wanspec-\(UUID().uuidString).yaml")
    try Data(text.utf8).write(to: file)
    defer { try? FileManager.default.removeItem(at: file) }
    try await body(file.path)
  }

  /// Key, value and source of each line of --print-config.
  private func settings(_ text: String) -> [String: (value: String, source: String)] {
    var result: [String: (String, String)] = [:]
    for line in text.split(separator: "\n") {
      let parts = line.split(separator: " ", omittingEmptySubsequences: true)
      guard let key = parts.first, key != "#", key.hasSuffix(":"), let mark = parts.lastIndex(of: "#") else {
        continue
      }
      result[String(key.dropLast())] = (
        parts[1..<mark].joined(separator: " "), parts[(mark + 1)...].joined(separator: " ")
      )
    }
    return result
  }

  @Test func aFlagWinsOverTheEnvironmentAndThatOverTheFile() async throws {
    try await withFile("port: 1111\nsessions: 3\nmax-queue: 7\nalias: from-file\n") { file in
      let result = try await Program.run(
        ["serve", "--config", file, "--port", "3333", "--print-config"],
        environment: ["WANSPEC_PORT": "2222", "WANSPEC_SESSIONS": "4"])
      #expect(result.status == 0, "\(result.errors)")
      let settings = settings(result.output)
      #expect(settings["port"]?.value == "3333" && settings["port"]?.source == "command line")
      #expect(settings["sessions"]?.value == "4" && settings["sessions"]?.source == "environment")
      #expect(settings["max-queue"]?.value == "7" && settings["max-queue"]?.source == "configuration file")
      #expect(settings["prefill-chunk"]?.source == "default")
      // What was printed is a file that says the same.
      try await withFile(result.output) { printed in
        let again = try await Program.run(["serve", "--config", printed, "--print-config"])
        #expect(again.status == 0, "\(again.errors)")
        let read = self.settings(again.output).mapValues(\.value)
        #expect(read == settings.mapValues(\.value))
      }
    }
  }

  /// What is set by hand is shown with its value, what is not as the autopilot's.
  @Test(arguments: [(["--lookup", "3"], "the autopilot"), (["--lookup", "3", "--no-autopilot"], "default")])
  func whatIsSetByHandIsTold(flags: [String], others: String) async throws {
    let result = try await Program.run(["serve"] + flags + ["--print-config"])
    #expect(result.status == 0, "\(result.errors)")
    #expect(settings(result.output)["lookup"]?.value == "3")
    #expect(settings(result.output)["autopilot"]?.value == "\(flags.count == 2)")
    for key in ["verify-width", "min-gain"] {
      let line = result.output.split(separator: "\n").first { $0.hasPrefix("# \(key):") }
      #expect(line?.hasSuffix("# \(others)") == true, "\(result.output)")
    }
  }

  @Test(arguments: [
    ("prot: 8080\n", ":1:", "did you mean port?"),
    ("sessions: 8\nsessions: 9\n", ":2:", "sessions"),
    ("sessions: many\n", "sessions", "many"),
    ("max-queue: 8\nsessions: 1000\n", ":2:", "sessions must be between 1 and 128, not 1000"),
    ("port: 1\nlisten: 7070\n", ":2:", "has no port"),
    ("- a\n- b\n", ":1:", "a configuration is a mapping"),
    ("listen: {host: x}\n", "listen", "not a mapping"),
  ])
  func aWrongFileIsRefused(text: String, place: String, message: String) async throws {
    try await withFile(text) { file in
      let result = try await Program.run(["serve", "--config", file, "--print-config"])
      #expect([1, 64].contains(result.status), "\(result.status)")
      #expect(result.errors.contains(place) && result.errors.contains(message), "\(result.errors)")
    }
  }

  @Test func aFileThatIsNotThereIsNamed() async throws {
    let result = try await Program.run(["serve", "--config", "/nowhere/serve.yaml", "--print-config"])
    #expect(result.status != 0 && result.errors.contains("/nowhere/serve.yaml"), "\(result.errors)")
  }

  @Test(arguments: [
    (["--sessions", "0"], "--sessions must be between 1 and 128"),
    (["--port", "70000"], "--port"),
    (["--max-queue", "-1"], "--max-queue must be between"),
    (["--policy", "always"], "needs --draft"),
    (["--listen", "0.0.0.0:7070"], "--insecure"),
    (["--host", "0.0.0.0", "--no-auth", "--ssl-cert-file", "/x"], "--ssl-key-file"),
    (["--host", "0.0.0.0"], "add --no-auth to allow it"),
    (["--host", "::"], "[::]:8080"),
    (["--no-auth", "--api-key-file", "/x"], "contradict each other"),
    (["--speculation", "sometimes"], "auto"),
  ])
  func wrongFlagsAreExplained(flags: [String], message: String) async throws {
    let result = try await Program.run(["serve"] + flags + ["--print-config"])
    #expect(result.status == 64, "\(result.status) \(result.errors)")
    #expect(result.errors.contains(message), "\(result.errors)")
  }
}
