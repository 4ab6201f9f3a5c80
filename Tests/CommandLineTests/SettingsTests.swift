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
}
