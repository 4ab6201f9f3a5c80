import Foundation
import ProcessControl
import Testing

/// What follows from the table of settings, wherever a setting is given. No model is loaded.
struct SettingsTests {
  /// The page is made from the table; who adds a setting makes it again.
  @Test func theReferencePageIsUpToDate() async throws {
    let script = ServeTests.root.appending(path: "dev/generate-settings")
    let child = try await ChildProcess.start(
      "generate-settings", program: script.path, arguments: ["--check", Program.url.path],
      environment: ProcessInfo.processInfo.environment)
    child.closeInput()
    let exit = await child.exit()
    #expect(exit == .status(0), "\(child.errors)")
  }

  /// Limits hold wherever a value comes from, and the error says where that was.
  @Test(arguments: [
    (["serve", "--sessions", "0"], [:], "--sessions must be between 1 and 128, not 0"),
    (["serve"], ["WANSPEC_SESSIONS": "1000"], "WANSPEC_SESSIONS must be between 1 and 128, not 1000"),
    (["serve"], ["WANSPEC_SESSIONS": "many"], "WANSPEC_SESSIONS: \"many\" is not a whole number"),
    (
      ["generate", "hi"], ["WANSPEC_MIN_GAIN": "-1"],
      "WANSPEC_MIN_GAIN must be between 0 (never pause) and 100, not -1"
    ),
    (
      ["generate", "hi"], ["WANSPEC_MODE": "warp"],
      "WANSPEC_MODE: \"warp\" is not one of them; the choices are plain"
    ),
    (["generate", "hi"], ["WANSPEC_AUTOPILOT": "maybe"], "neither yes nor no"),
    (["bench", "--prompts", "x"], ["WANSPEC_RTT": "30ms 2h"], "WANSPEC_RTT must be at most 60s"),
    (["bench", "--prompts", "x", "--limit", "-1"], [:], "--limit must be 0 (all) or more, not -1"),
    (["serve", "--alias", "--print-config"], [:], "Missing value for '--alias <name>'"),
    (["link"], ["WANSPEC_LINK_SEED": "x"], "WANSPEC_LINK_SEED: \"x\" is not a whole number"),
    (["certs", "list"], ["WANSPEC_CERTS": "/nowhere"], "/nowhere"),
  ])
  func limitsAndPlacesAreTold(arguments: [String], environment: [String: String], message: String)
    async throws
  {
    let result = try await Program.run(arguments, environment: environment)
    #expect(result.status != 0)
    #expect(result.errors.contains(message), "\(result.errors)")
  }

  /// An empty variable is none, and a flag is not looked at twice.
  @Test func whatIsEmptyIsNotGiven() async throws {
    let result = try await Program.run(
      ["serve", "--print-config", "--sessions", "2"],
      environment: ["WANSPEC_PORT": "", "WANSPEC_SESSIONS": "1000", "WANSPEC_LOG_PROMPTS": "yes"])
    #expect(result.status == 0, "\(result.errors)")
    #expect(result.output.contains("port: 8080") && result.output.contains("sessions: 2"))
    #expect(result.output.contains("log-prompts: true"))
    // No line says nothing.
    for line in result.output.split(separator: "\n") {
      let key = line.split(separator: "#", omittingEmptySubsequences: true)[0]
      #expect(!key.trimmingCharacters(in: .whitespaces).hasSuffix(":"), "\(line)")
    }
  }

  /// What the autopilot chooses is shown with its value, but not set: it is not set by hand. Both commands that read a
  /// configuration file print one.
  @Test func everyValueThatHoldsIsShown() async throws {
    func lines(_ arguments: [String]) async throws -> [String] {
      let result = try await Program.run(arguments + ["--print-config"])
      #expect(result.status == 0, "\(result.errors)")
      return result.output.split(separator: "\n").map { $0.split(separator: " ").joined(separator: " ") }
    }
    let automatic = try await lines(["serve"])
    for line in ["# verify-width: 64 # the autopilot", "# lookup: 8 # the autopilot"] {
      #expect(automatic.contains(line), "\(automatic)")
    }
    #expect(automatic.contains { $0.hasPrefix("# min-gain: 1.0") })
    let fixed = try await lines(["serve", "--no-autopilot", "--lookup", "3"])
    #expect(fixed.contains("lookup: 3 # command line"), "\(fixed)")
    #expect(fixed.contains { $0.hasPrefix("# verify-width: ") && $0.hasSuffix("# default") }, "\(fixed)")
    let worker = try await lines(["worker", "--max-depth", "5"])
    #expect(worker.contains("# pass-width: 64 # the autopilot"), "\(worker)")
    #expect(worker.contains("max-depth: 5 # command line") && worker.contains("sessions: 8 # default"))
  }

  /// Values that are wrong together are told by where they come from, too: no flag gave them.
  @Test func aFilesValueIsToldByItsLine() async throws {
    let folder = FileManager.default.temporaryDirectory.appending(path: "wanspec-\(UUID().uuidString)")
    try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
    defer { try? FileManager.default.removeItem(at: folder) }
    let file = folder.appending(path: "serve.yaml")
    for (text, message) in [
      ("port: 80\nsessions: 1000\n", "serve.yaml:2: sessions must be between 1 and 128, not 1000"),
      ("sessions: 4\ncontext: 512\ncache-tokens: 300\n", "serve.yaml:3: cache-tokens 300 has no room"),
    ] {
      try Data(text.utf8).write(to: file)
      let result = try await Program.run(["serve", "--config", file.path])
      #expect(result.status == 64 && result.errors.contains(message), "\(result.errors)")
    }
    let both = try await Program.run(
      ["serve", "--context", "512"], environment: ["WANSPEC_CACHE_TOKENS": "300"])
    #expect(both.errors.contains("WANSPEC_CACHE_TOKENS 300 has no room"), "\(both.errors)")
    #expect(both.errors.contains("--context 512"))
  }

  /// A default is told once.
  @Test func helpTellsDefaultsOnce() async throws {
    let dump = try await Program.run(["--experimental-dump-help"])
    let object = try JSONSerialization.jsonObject(with: Data(dump.output.utf8)) as? [String: Any]
    func check(_ command: [String: Any], _ path: String) {
      let path = path + " " + (command["commandName"] as? String ?? "")
      for argument in command["arguments"] as? [[String: Any]] ?? [] where argument["defaultValue"] != nil {
        let abstract = argument["abstract"] as? String ?? ""
        #expect(!abstract.contains("default:"), "\(path): \(abstract)")
      }
      for sub in command["subcommands"] as? [[String: Any]] ?? [] { check(sub, path) }
    }
    check(try #require(object?["command"] as? [String: Any]), "")
  }
}
