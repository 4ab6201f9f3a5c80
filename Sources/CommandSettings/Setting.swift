import ArgumentParser
import Console
import Foundation
import StrictYAML

/// One thing that users can set, declared once.
///
/// It makes the flag with its help, the environment variable, the key of the configuration file, the limits and the error
/// that names them, the line of `--print-config` and the row of docs/settings.md. A flag wins over its variable, and that
/// over the file.
///
/// In a command: `@Option(Settings.maxQueue) var maxQueue: Int?`, and in its `validate()`
/// `maxQueue = try Settings.maxQueue.resolve(maxQueue)`.
package struct Setting<Value: Sendable>: Sendable {
  /// The flag without its dashes, and the file's key: "max-queue".
  package let name: String
  /// "WANSPEC_MAX_QUEUE".
  package let variable: String
  /// A sentence, with the unit where the value has one.
  package let about: String
  /// What stands for the value in usage lines.
  package let valueName: String
  /// What holds where nothing is given; nil for none.
  package let fallback: Value?
  /// The same for people; nil where there is nothing to tell.
  package let fallbackText: String?
  /// Whether the autopilot chooses what is not given.
  package let isAutopilots: Bool
  /// Whether a value is read as one although it begins as a flag does: a negative number then gets its own error.
  package let mayBeginWithDash: Bool
  /// What is wrong with a value, as what follows its name: "must be between 1 and 8, not 9".
  package let problem: @Sendable (Value) -> String?
  /// The limits for people: "1 to 8".
  package let limitsText: String?
  package let parse: @Sendable (String) throws -> Value
  /// As the variable and the file have it.
  package let text: @Sendable (Value) -> String

  /// The help of the flag.
  package var help: ArgumentHelp {
    let notes = [limitsText, "env: \(variable)", fallbackText.map { "default: \($0)" }].compactMap { $0 }
    return ArgumentHelp("\(about) (\(notes.joined(separator: "; ")))", valueName: valueName)
  }

  /// The flag's value, else the variable's, else the file's, else the fallback. An empty variable counts as not given.
  ///
  /// - Throws: `ValidationError` that names the flag, the variable, or the file and its line
  package func resolve(_ flag: Value?) throws -> Value? {
    let value: Value?
    let source: SettingSource
    if let flag {
      (value, source) = (flag, .flag)
    } else if let given = SettingSource.variables[variable], !given.isEmpty {
      source = .environment(variable)
      value = try reading("environment variable \(variable)") { try parse(given) }
    } else if let entry = ConfigurationFile.installed?.entries[name] {
      source = .file(entry.place)
      value = try reading("\(entry.place): \(name)") { try parse(entry.text) }
    } else {
      (value, source) = (fallback, .fallback)
    }
    if let value, let problem = problem(value) { throw ValidationError("\(place(source)) \(problem).") }
    SettingRecords.note(
      SettingRecords.Record(
        name: name, text: value.map(text), source: source, isAutopilots: isAutopilots))
    return value
  }

  /// The same for a setting that always has a value.
  package func value(_ flag: Value?) throws -> Value {
    guard let value = try resolve(flag) else { preconditionFailure("--\(name) has no default") }
    return value
  }

  private func reading<Result>(_ place: String, _ body: () throws -> Result) throws -> Result {
    do {
      return try body()
    } catch {
      throw ValidationError("\(place): \(error)")
    }
  }

  private func place(_ source: SettingSource) -> String {
    switch source {
    case .flag, .fallback: "--\(name)"
    case .environment(let variable): variable
    case .file(let place): "\(place): \(name)"
    }
  }
}

/// Where a value came from.
package enum SettingSource: Sendable {
  case flag, fallback
  /// The variable's name.
  case environment(String)
  case file(YAMLPlace)

  package static let variables = ProcessInfo.processInfo.environment

  package var words: String {
    switch self {
    case .flag: "command line"
    case .environment: "environment"
    case .file: "configuration file"
    case .fallback: "default"
    }
  }
}

extension Setting {
  /// - Parameters:
  ///   - variable: where it is not WANSPEC_ and the name
  ///   - fallbackText: where the fallback's own text is not what people should read; empty where nothing is to be told
  package init(
    _ name: String, _ about: String, _ valueName: String, variable: String? = nil,
    default fallback: Value? = nil,
    says fallbackText: String? = nil, isAutopilots: Bool = false, mayBeginWithDash: Bool = false,
    limits: String? = nil, problem: @escaping @Sendable (Value) -> String? = { _ in nil },
    parse: @escaping @Sendable (String) throws -> Value, text: @escaping @Sendable (Value) -> String
  ) {
    self.name = name
    self.variable = variable ?? "WANSPEC_" + name.uppercased().replacing("-", with: "_")
    self.about = about
    self.valueName = valueName
    self.fallback = fallback
    let told = fallbackText ?? (isAutopilots ? "the autopilot's" : fallback.map(text))
    self.fallbackText = told == "" ? nil : told
    self.isAutopilots = isAutopilots
    self.mayBeginWithDash = mayBeginWithDash
    self.problem = problem
    limitsText = limits
    self.parse = parse
    self.text = text
  }
}

/// A range for a setting, and what its lower end means.
package struct SettingLimits<Value: Comparable & Sendable>: Sendable {
  package var range: ClosedRange<Value>
  /// "all", for a 0 that means all.
  package var lowest: String?
  /// Whether the upper end is only what the type can hold.
  package var isOpen: Bool

  package init(range: ClosedRange<Value>, lowest: String? = nil, isOpen: Bool = false) {
    self.range = range
    self.lowest = lowest
    self.isOpen = isOpen
  }

  package var text: String {
    isOpen ? "\(lower) or more" : "\(lower) to \(plain(range.upperBound))"
  }

  private var lower: String { plain(range.lowerBound) + (lowest.map { " (\($0))" } ?? "") }

  package func problem(_ value: Value) -> String? {
    if range.contains(value) { return nil }
    return isOpen
      ? "must be \(lower) or more, not \(plain(value))"
      : "must be between \(lower) and \(plain(range.upperBound)), not \(plain(value))"
  }
}

/// 100, and not 100.0.
func plain(_ value: some Sendable) -> String {
  let text = "\(value)"
  return text.hasSuffix(".0") && value is any BinaryFloatingPoint ? String(text.dropLast(2)) : text
}
