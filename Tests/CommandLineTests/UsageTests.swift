import Foundation
import ProcessControl
import Testing

/// Help, wrong input and exit codes. No model is loaded.
struct UsageTests {
  static let commands = [
    "generate", "worker", "link", "models", "bench", "simulate", "trace", "profile", "demo", "doctor",
    "certs", "tokens", "keys",
  ]

  @Test(arguments: commands)
  func everyCommandHasHelp(command: String) async throws {
    let result = try await Program.run([command, "--help"])
    #expect(result.status == 0)
    #expect(result.output.contains("USAGE: wanspec \(command)"))
    #expect(result.output.contains("OVERVIEW:"))
  }

  @Test func theProgramNamesItsCommandsAndVersion() async throws {
    let help = try await Program.run(["--help"])
    for command in Self.commands { #expect(help.output.contains(command)) }
    #expect(try await Program.run(["--version"]).output.hasPrefix("wanspec 0."))
  }

  /// A file that a help names is there.
  @Test(
    arguments: commands.map { [$0] } + [["study"], ["plan"], ["serve"]]
      + ["run", "resume", "merge", "export", "report", "emulate"].map { ["study", $0] }
      + ["record", "info", "requests"].map { ["trace", $0] })
  func filesInHelpsAreThere(command: [String]) async throws {
    let help = try await Program.run(["help"] + command).output
    for match in help.matches(
      of: /\b(?:Scenarios|Benchmarks|docs|Examples|deploy|dev)\/[A-Za-z0-9._\/-]*[A-Za-z0-9]/)
    {
      let path = ServeTests.root.appending(path: String(match.output)).path
      #expect(FileManager.default.fileExists(atPath: path), "\(command): \(match.output)")
    }
  }

  /// Wrong flags: exit code 64, one sentence that names the flag or the value.
  @Test(arguments: [
    (["generate"], "Give a prompt"),
    (["generate", "hi", "--prompt-file", "x"], "not both"),
    (["generate", "hi", "--temperature", "-1"], "temperature must be between 0 and 100"),
    (["generate", "hi", "--temperature", "nan"], "temperature"),
    (["generate", "hi", "--top-p", "0"], "top-p must be above 0"),
    (["generate", "hi", "--top-p", "1.5"], "top-p must be above 0"),
    (["generate", "hi", "--min-p", "2"], "min-p must be between 0 and 1"),
    (["generate", "hi", "--top-k", "-3"], "top-k must be 0"),
    (["generate", "hi", "--max-tokens", "0"], "--max-tokens"),
    (["generate", "hi", "--threads", "-2"], "--threads must be between 1 and 512"),
    (["generate", "hi", "--context", "4"], "--context must be between 16"),
    (["generate", "hi", "--mode", "fast"], "mode"),
    (["generate", "hi", "--policy", "sometimes"], "not a policy"),
    (["generate", "hi", "--policy", "entropy:x"], "not a policy"),
    (["generate", "hi", "--cpus", "one"], "not a list of cores"),
    (["generate", "hi", "--listen", "7070"], "has no port"),
    (["generate", "hi", "--listen", "0.0.0.0:7070"], "--insecure"),
    (["generate", "hi", "--draft-length", "-1"], "--draft-length must be between 1 and 64"),
    (["generate", "hi", "--verify-width", "-1"], "--verify-width must be between 1 and 128"),
    (["generate", "hi", "--wait-worker", "-5s"], "negative"),
    (["generate", "hi", "--worker-timeout", "-5s"], "negative"),
    (["worker", "--connect", "example.org:7070"], "--insecure"),
    (["worker", "--no-autopilot", "--pass-width", "0"], "pass width"),
    (["bench", "--prompts", "x", "--warm", "--cache", "cold"], "--warm and --cache cold contradict"),
    (["bench", "--prompts", "x", "--cache", "tepid"], "cache"),
    (["bench", "--prompts", "x", "--lookup", "65"], "--lookup must be between 0 (none) and 64, not 65"),
    (["generate", "hi", "--policy", "value:fast"], "not a duration"),
    (
      ["study", "export", "x", "-o", "y.parquet"],
      "CSV or JSON lines is written, no .parquet; end its name in .csv"
    ),
    (["study", "export", "x", "-o", "y.csv.gz"], "no .gz"),
    (
      ["study", "report", "x", "--output", "y.pdf"],
      "a page is written, no .pdf; end its name in .html or .htm"
    ),
    (["plan", "x", "--output", "y.json"], "no .json"),
    (["study", "merge", "x", "--output", "y.csv"], "a study's file is written, no .csv"),
    (["simulate"], "Give a scenario file"),
    (["simulate", "x.yaml", "--faults"], "not both"),
    (["simulate", "x.yaml", "--seeds", "3"], "belong to --faults"),
    (["simulate", "x.yaml", "--speed"], "--speed takes neither"),
    (["simulate", "x.yaml", "--jobs", "0"], "--jobs must be between 1 and 1024"),
    (["simulate", "--faults", "--seeds", "0"], "--seeds must be between"),
    (["simulate", "--faults", "--output", "x"], "neither --set nor --output"),
    (["trace", "record", "x.gz"], "Give a prompt file"),
    (
      ["trace", "record", "x.gz", "--prompts", "p", "--candidates", "0"],
      "--candidates must be between 1 and 64"
    ),
    (["trace", "calibrate", "x.gz", "--candidates", "0"], "--candidates must be between 1 and 64"),
    (["profile", "--max-batch", "0"], "--max-batch must be between 1 and 64"),
    (["bench", "--prompts", "x", "--predict", "--modes", "wan"], "--predict needs the mode plain"),
    (["worker", "--connect", "127.0.0.1:99999"], "not a port"),
    (["worker", "--pass-width", "0"], "pass width"),
    (["worker", "--sessions", "0"], "--sessions"),
    (["worker", "--pass-width", "-1"], "pass width must be between"),
    (["worker", "--candidates", "-1"], "candidates must be between"),
    (["worker", "--max-depth", "-1"], "maximum depth must be between"),
    (["worker", "--min-path-probability", "-1"], "minimum path probability must be between"),
    (["worker", "--sessions", "-1"], "--sessions must be between"),
    (["link", "--listen", "127.0.0.1:0", "--connect", "127.0.0.1:1", "--rtt", "-5ms"], "negative"),
    (["link", "--listen", "127.0.0.1:0", "--connect", "127.0.0.1:1", "--rtt", "30"], "no unit"),
    (["link", "--report-every", "-1s"], "negative"),
    (["link", "--listen", "127.0.0.1:7070", "--connect", "127.0.0.1:7070"], "dial itself"),
    (["link", "--listen", "0.0.0.0:7070", "--connect", "localhost:7070", "--insecure"], "dial itself"),
    (["link", "--listen", "0.0.0.0:7071"], "--insecure"),
    (["link", "--connect", "example.org:7070"], "--insecure"),
    (["bench"], "Give a prompt file"),
    (["bench", "--prompts", "x", "--rtt", "2h"], "at most 60s"),
    (["bench", "--prompts", "x", "--rtt", "-5ms"], "negative"),
    (["bench", "--prompts", "x", "--limit", "-1"], "--limit must be 0"),
    (["bench", "--prompts", "x", "--max-tokens", "-1"], "--max-tokens must be between"),
    (["bench", "--prompts", "x", "--repeats", "-1"], "--repeats must be between"),
    (["bench", "--prompts", "x", "--verify-width", "-1"], "--verify-width must be between"),
    (["demo", "--max-tokens", "-1"], "--max-tokens must be between"),
    (["models", "convert", "a", "b", "--type", "bf16", "--threads", "-1"], "--threads must be between"),
    (["bench", "--prompts", "x", "--modes", "plain,warp"], "not a mode"),
    (["bench", "--prompts", "x", "--draft-lengths", "0"], "not a draft length"),
    (["generate", "hi", "--lookup", "-1"], "--lookup must be between 0 (none) and 64, not -1"),
    (["worker", "--nice", "20"], "neither a nice value from 0 to 19 nor"),
    (["serve", "--sessions", "0"], "--sessions must be between"),
    (["serve", "--context", "512", "--cache-tokens", "300"], "--cache-tokens 300 has no room"),
    (["serve", "--prefill-chunk", "0"], "--prefill-chunk must be between"),
    (["frobnicate"], "frobnicate"),
  ])
  func wrongFlagsAreNamed(arguments: [String], message: String) async throws {
    let result = try await Program.run(arguments)
    #expect(result.status == 64, "\(arguments): \(result)")
    #expect(result.errors.contains(message), "\(arguments): \(result.errors)")
    #expect(result.output.isEmpty)
  }

  @Test func environmentTwinsAreReadAndNamed() async throws {
    let wrong = try await Program.run(["generate", "hi"], environment: ["WANSPEC_TEMPERATURE": "hot"])
    #expect(wrong.status == 64)
    #expect(wrong.errors.contains("WANSPEC_TEMPERATURE"))
    // The flag wins, so the variable's value is not even looked at.
    let flag = try await Program.run(
      ["generate", "hi", "--temperature", "-1"], environment: ["WANSPEC_TEMPERATURE": "0.5"])
    #expect(flag.errors.contains("not -1"))
    let prompts = try await Program.run(["bench"], environment: ["WANSPEC_PROMPTS": "/no/prompts.jsonl"])
    #expect(prompts.status == 1)
    #expect(prompts.errors.contains("/no/prompts.jsonl"))
    let json = try await Program.run(["models", "list"], environment: ["WANSPEC_JSON": "1"])
    #expect(json.output.hasPrefix("{"), "\(json)")
  }

  /// A disk that is full is told; a reader that went away ends the program as quietly as SIGPIPE would.
  @Test(arguments: [
    (
      #""$0" models list > /dev/full; echo "status $?" >&2"#, ["cannot write to standard output", "status 1"]
    ),
    (#"trap '' PIPE; { sleep 1; "$0" models list; echo "status $?" >&2; } | :"#, ["status 141"]),
  ])
  func outputThatCannotBeWrittenIsNoCrash(script: String, messages: [String]) async throws {
    // Only Linux has such a device.
    guard FileManager.default.fileExists(atPath: "/dev/full") else { return }
    let shell = try await ChildProcess.run(
      "sh", program: "/bin/sh", arguments: ["-c", script, Program.url.path])
    for message in messages { #expect(shell.errors.contains(message), "\(shell.errors)") }
  }

  /// Wrong files: exit code 1, the file and the place named, a hint.
  @Test func wrongFilesAreNamed() async throws {
    let folder = FileManager.default.temporaryDirectory.appending(path: "wanspec-\(UUID().uuidString)")
    try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
    defer { try? FileManager.default.removeItem(at: folder) }
    func write(_ name: String, _ data: Data) throws -> String {
      let url = folder.appending(path: name)
      try data.write(to: url)
      return url.path
    }
    let text = try write("notes.gguf", Data("just some words, no model at all".utf8))
    let truncated = try write("short.gguf", Data("GGUF".utf8 + [3, 0, 0, 0]))
    let badLine = try write("bad.jsonl", Data("{\"prompt\": \"a\"}\n{\"prompt\": }\n".utf8))
    let badUTF8 = try write("latin.jsonl", Data("{\"prompt\": \"caf".utf8 + [0xE9] + "\"}\n".utf8))
    let noPrompt = try write("none.jsonl", Data("{\"prompt\": \"a\"}\n{\"id\": \"b\"}\n".utf8))
    let latin = try write("latin.txt", Data([0x63, 0xE9]))
    let cases: [([String], String)] = [
      (["generate", "--mode", "plain", "--target", "/no/such.gguf", "hi"], "/no/such.gguf"),
      (["generate", "--mode", "plain", "--target", "qwen2.5-coder-1.5b", "hi"], "did you mean"),
      (["generate", "--mode", "plain", "--target", text, "hi"], "not a GGUF"),
      (["generate", "--mode", "plain", "--target", truncated, "hi"], "short.gguf"),
      (["generate", "--mode", "plain", "--prompt-file", "/no/prompt.txt"], "/no/prompt.txt"),
      (["generate", "--mode", "plain", "--prompt-file", latin], "not valid UTF-8"),
      (["generate", "--mode", "plain", "   "], "is empty"),
      (["bench", "--prompts", "/no/prompts.jsonl"], "/no/prompts.jsonl"),
      (["bench", "--prompts", badLine], "line 2: not a JSON object"),
      (["bench", "--prompts", badUTF8], "line 1: not valid UTF-8"),
      (["bench", "--prompts", noPrompt], "line 2: no text under the key \"prompt\""),
    ]
    for (arguments, message) in cases {
      let result = try await Program.run(arguments)
      #expect(result.status == 1, "\(arguments): \(result)")
      #expect(result.errors.contains(message), "\(arguments): \(result.errors)")
    }
  }
}
