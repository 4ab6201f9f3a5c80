import ArgumentParser
import Foundation

/// Environment variables that stand in for flags. A flag on the command line wins over its variable.
///
/// Declare the option as optional, then resolve it: `try twins("WANSPEC_LINK_RTT", rtt) ?? fallback`.
struct EnvironmentTwins: Sendable {
  private var environment: [String: String]

  init(_ environment: [String: String] = ProcessInfo.processInfo.environment) {
    self.environment = environment
  }

  /// The flag's value, else the variable's; nil when neither is given. An empty variable counts as not given.
  /// - Throws: `ValidationError` naming the variable.
  func callAsFunction<Value>(
    _ variable: String, _ flag: Value?, parse: (String) throws -> Value
  ) throws -> Value? {
    if let flag { return flag }
    guard let text = environment[variable], !text.isEmpty else { return nil }
    do {
      return try parse(text)
    } catch {
      throw ValidationError("environment variable \(variable): \(error)")
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
    try self(variable, flag ? true : nil) { text in
      switch text.lowercased() {
      case "1", "true", "yes", "on": return true
      case "0", "false", "no", "off": return false
      default: throw ArgumentProblem("\"\(text)\" is neither yes nor no; write 1 or 0")
      }
    } ?? false
  }

  /// An option that may be repeated; the variable lists values separated by spaces.
  func callAsFunction<Value: TextArgument>(_ variable: String, _ flags: [Value]) throws -> [Value] {
    try self(variable, flags.isEmpty ? nil : flags) { text in
      try text.split(separator: " ").map { try Value(parsing: String($0)) }
    } ?? []
  }
}
