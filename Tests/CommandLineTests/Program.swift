import Foundation
import ProcessControl

/// The built `wanspec`, run as a user's shell would run it.
///
/// It stands beside the test bundle: `swift build --build-tests` puts both into one folder.
struct Program {
  static let url = url(of: "wanspec")

  static func url(of name: String) -> URL {
    var folder = URL(filePath: CommandLine.arguments[0]).deletingLastPathComponent()
    for _ in 0..<4 {
      let candidate = folder.appending(path: name)
      if FileManager.default.isExecutableFile(atPath: candidate.path) { return candidate }
      folder = folder.deletingLastPathComponent()
    }
    return URL(filePath: ".build/release/\(name)")
  }

  struct Result {
    var status: Int32
    var output: String
    var errors: String
  }

  /// Runs to the end.
  static func run(
    _ arguments: [String], environment: [String: String] = [:], input: Data = Data()
  ) async throws -> Result {
    let program = try await RunningProgram(arguments, environment: environment)
    if !input.isEmpty { program.child.write(input) }
    program.child.closeInput()
    return await program.result()
  }
}

/// A started program whose output is kept.
struct RunningProgram: Sendable {
  let child: ChildProcess

  /// - Parameter program: one of the package's, by name
  init(
    program: String = "wanspec", _ arguments: [String], environment: [String: String] = [:]
  ) async throws {
    child = try await ChildProcess.start(
      program, program: Program.url(of: program).path, arguments: arguments,
      environment: ProcessInfo.processInfo.environment.merging(environment) { _, new in new },
      keptOutput: 1 << 24)
  }

  var isRunning: Bool { child.isRunning }
  func signal(_ number: Int32) { child.signal(number) }

  func result() async -> Program.Result {
    let status: Int32 =
      switch await child.exit() {
      case .status(let status): status
      // As a shell tells it.
      case .signal(let signal): 128 + signal
      }
    return Program.Result(status: status, output: child.output, errors: child.errors)
  }

  /// The objects that a `--json` command has written so far.
  var events: [[String: Any]] {
    child.output.split(separator: "\n").compactMap {
      try? JSONSerialization.jsonObject(with: Data($0.utf8)) as? [String: Any]
    }
  }

  /// Waits until an event of this name was written.
  func event(_ name: String, within seconds: Double = 60) async throws -> [String: Any] {
    let deadline = ContinuousClock.now + .seconds(seconds)
    while ContinuousClock.now < deadline {
      if let event = events.first(where: { $0["event"] as? String == name }) { return event }
      if !isRunning { break }
      try await Task.sleep(for: .milliseconds(20))
    }
    throw EventMissing(
      description: "no event \"\(name)\" in \(seconds) s; output: \(child.output) errors: \(child.errors)")
  }

  /// Waits until a line that begins so was written.
  @discardableResult
  func line(_ beginning: String, within seconds: Double = 60) async throws -> String {
    let deadline = ContinuousClock.now + .seconds(seconds)
    while ContinuousClock.now < deadline {
      let line = child.output.split(separator: "\n").first { $0.hasPrefix(beginning) }
      if let line { return String(line) }
      if !isRunning { break }
      try await Task.sleep(for: .milliseconds(20))
    }
    throw EventMissing(
      description: "no line \"\(beginning)\" in \(seconds) s; output: \(child.output) errors: \(child.errors)"
    )
  }

  func tokenCount() -> Int { events.count { $0["event"] as? String == "token" } }

  struct EventMissing: Error, CustomStringConvertible {
    var description: String
  }
}
