import ArgumentParser
import Foundation
import Synchronization

/// Environment variables, and keys of the configuration file, that stand in for flags. A flag on the command line
/// wins over its variable, and that over the file.
///
/// Declare the option as optional, then resolve it: `try twins("WANSPEC_LINK_RTT", rtt) ?? fallback`. The file's key
/// is the variable's name as a flag has it: `link-rtt`.
struct EnvironmentTwins: Sendable {
  /// Where a value came from.
  enum Source: String, Sendable {
    case flag = "command line"
    case environment
    case file = "configuration file"
    case fallback = "default"
  }

  private var environment: [String: String]
  private var file: ConfigurationFile?

  init(_ environment: [String: String] = ProcessInfo.processInfo.environment) {
    self.environment = environment
    file = ConfigurationFile.installed
  }

  private static let asked = Mutex<[String: Source]>([:])

  /// The keys that options of this process asked for, and where their values came from.
  static var askedFor: [String: Source] { asked.withLock { $0 } }

  /// "WANSPEC_MAX_TOKENS" is "max-tokens".
  static func key(of variable: String) -> String {
    variable.dropFirst("WANSPEC_".count).lowercased().replacing("_", with: "-")
  }

  /// The flag's value, else the variable's, else the file's; nil when none is given. An empty variable counts as not
  /// given.
  /// - Throws: `ValidationError` naming the variable, or the file and its line.
  func callAsFunction<Value>(
    _ variable: String, _ flag: Value?, parse: (String) throws -> Value
  ) throws -> Value? {
    let key = Self.key(of: variable)
    func note(_ source: Source) { Self.asked.withLock { $0[key] = source } }
    if let flag {
      note(.flag)
      return flag
    }
    if let text = environment[variable], !text.isEmpty {
      note(.environment)
      do {
        return try parse(text)
      } catch {
        throw ValidationError("environment variable \(variable): \(error)")
      }
    }
    guard let entry = file?.entries[key] else {
      note(.fallback)
      return nil
    }
    note(.file)
    do {
      return try parse(entry.text)
    } catch {
      throw ValidationError("\(entry.place): \(key): \(error)")
    }
  }

  func callAsFunction<Value: TextArgument>(_ variable: String, _ flag: Value?) throws -> Value? {
    try self(variable, flag, parse: Value.init(parsing:))
  }

  /// For numbers, names and other values that need no explanation of their own.
  func callAsFunction<Value: ExpressibleByArgument>(_ variable: String, _ flag: Value?) throws -> Value? {
    try self(variable, flag) { text in
      guard let value = Value(argument: text) else {
        let choices = Value.allValueStrings
        let hint = choices.isEmpty ? "" : "; the choices are \(choices.joined(separator: ", "))"
        throw ArgumentProblem("\"\(text)\" is not valid\(hint)")
      }
      return value
    }
  }

  /// A flag that is off unless given: on when the variable is 1, true, yes or on.
  func callAsFunction(_ variable: String, _ flag: Bool) throws -> Bool {
    try self(variable, flag ? true : nil) ?? false
  }

  /// A flag that may be given either way; nil when neither it nor the variable is.
  func callAsFunction(_ variable: String, _ flag: Bool?) throws -> Bool? {
    try self(variable, flag) { text in
      switch text.lowercased() {
      case "1", "true", "yes", "on": return true
      case "0", "false", "no", "off": return false
      default: throw ArgumentProblem("\"\(text)\" is neither yes nor no; write 1 or 0")
      }
    }
  }

  /// An option that may be repeated; the variable lists values separated by spaces.
  func callAsFunction<Value: TextArgument>(_ variable: String, _ flags: [Value]) throws -> [Value] {
    try self(variable, flags.isEmpty ? nil : flags) { text in
      try text.split(separator: " ").map { try Value(parsing: String($0)) }
    } ?? []
  }
}
