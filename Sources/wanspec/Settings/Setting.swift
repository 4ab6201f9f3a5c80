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
struct Setting<Value: Sendable>: Sendable {
  /// The flag without its dashes, and the file's key: "max-queue".
  let name: String
  /// "WANSPEC_MAX_QUEUE".
  let variable: String
  /// A sentence, with the unit where the value has one.
  let about: String
  /// What stands for the value in usage lines.
  let valueName: String
  /// What holds where nothing is given; nil for none.
  let fallback: Value?
  /// The same for people; nil where there is nothing to tell.
  let fallbackText: String?
  /// Whether the autopilot chooses what is not given.
  let isAutopilots: Bool
  /// Whether a value is read as one although it begins as a flag does: a negative number then gets its own error.
  let mayBeginWithDash: Bool
  /// What is wrong with a value, as what follows its name: "must be between 1 and 8, not 9".
  let problem: @Sendable (Value) -> String?
  /// The limits for people: "1 to 8".
  let limitsText: String?
  let parse: @Sendable (String) throws -> Value
  /// As the variable and the file have it.
  let text: @Sendable (Value) -> String

  /// The help of the flag.
  var help: ArgumentHelp {
    let notes = [limitsText, "env: \(variable)", fallbackText.map { "default: \($0)" }].compactMap { $0 }
    return ArgumentHelp("\(about) (\(notes.joined(separator: "; ")))", valueName: valueName)
  }

  /// The flag's value, else the variable's, else the file's, else the fallback. An empty variable counts as not given.
  ///
  /// - Throws: `ValidationError` that names the flag, the variable, or the file and its line
  func resolve(_ flag: Value?) throws -> Value? {
    let value: Value?
    let source: SettingSource
    if let flag {
      (value, source) = (flag, .flag)
    } else if let given = SettingSource.variables[variable], !given.isEmpty {
      source = .environment
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
  func value(_ flag: Value?) throws -> Value {
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
    case .environment: variable
    case .file(let place): "\(place): \(name)"
    }
  }
}

/// Where a value came from.
enum SettingSource: Sendable {
  case flag, environment, fallback
  case file(YAMLPlace)

  static let variables = ProcessInfo.processInfo.environment

  var words: String {
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
  init(
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
struct SettingLimits<Value: Comparable & Sendable>: Sendable {
  var range: ClosedRange<Value>
  /// "all", for a 0 that means all.
  var lowest: String?
  /// Whether the upper end is only what the type can hold.
  var isOpen = false

  var text: String {
    isOpen ? "\(lower) or more" : "\(lower) to \(plain(range.upperBound))"
  }

  private var lower: String { plain(range.lowerBound) + (lowest.map { " (\($0))" } ?? "") }

  func problem(_ value: Value) -> String? {
    if range.contains(value) { return nil }
    return isOpen
      ? "must be \(lower) or more, not \(plain(value))"
      : "must be between \(lower) and \(plain(range.upperBound)), not \(plain(value))"
  }
}

/// 100, and not 100.0.
private func plain(_ value: some Sendable) -> String {
  let text = "\(value)"
  return text.hasSuffix(".0") && value is any BinaryFloatingPoint ? String(text.dropLast(2)) : text
}

// MARK: Kinds of values

extension Setting where Value: LosslessStringConvertible & Comparable {
  /// A number, or a text.
  init(
    _ name: String, _ about: String, _ valueName: String, variable: String? = nil,
    default fallback: Value? = nil,
    says fallbackText: String? = nil, isAutopilots: Bool = false, limits: SettingLimits<Value>? = nil
  ) {
    self.init(
      name, about, valueName, variable: variable, default: fallback, says: fallbackText,
      isAutopilots: isAutopilots, mayBeginWithDash: Value.self is any Numeric.Type, limits: limits?.text,
      problem: { limits?.problem($0) },
      parse: { text in
        guard let value = Value(text) else { throw ArgumentProblem("\"\(text)\" is not \(Self.kind)") }
        return value
      }, text: { plain($0) })
  }

  private static var kind: String { Value.self is any BinaryInteger.Type ? "a whole number" : "a number" }
}

extension Setting where Value: RawRepresentable & CaseIterable, Value.RawValue == String {
  /// One of a few words.
  init(
    _ name: String, _ about: String, _ valueName: String, variable: String? = nil,
    default fallback: Value? = nil
  ) {
    self.init(
      name, about, valueName, variable: variable, default: fallback,
      parse: { text in
        guard let value = Value(rawValue: text) else {
          let choices = Value.allCases.map(\.rawValue).joined(separator: ", ")
          throw ArgumentProblem("\"\(text)\" is not one of them; the choices are \(choices)")
        }
        return value
      }, text: { $0.rawValue })
  }
}

extension Setting where Value: TextArgument {
  /// A value with a notation of its own.
  init(
    _ name: String, _ about: String, _ valueName: String, variable: String? = nil,
    default fallback: Value? = nil,
    says fallbackText: String? = nil, limits: String? = nil,
    problem: @escaping @Sendable (Value) -> String? = { _ in nil }
  ) {
    self.init(
      name, about, valueName, variable: variable, default: fallback, says: fallbackText,
      mayBeginWithDash: Value.self is any QuantityArgument.Type, limits: limits, problem: problem,
      parse: Value.init(parsing:),
      text: { ($0 as? DurationArgument)?.text ?? "\($0)" })
  }
}

extension Setting where Value == Bool {
  /// A flag that is off unless given.
  init(_ name: String, _ about: String, variable: String? = nil) {
    self.init(
      name, about, "", variable: variable, default: false, says: "", parse: Setting.yesOrNo,
      text: { $0 ? "true" : "false" })
  }

  static let yesOrNo: @Sendable (String) throws -> Bool = { text in
    switch text.lowercased() {
    case "1", "true", "yes", "on": return true
    case "0", "false", "no", "off": return false
    default: throw ArgumentProblem("\"\(text)\" is neither yes nor no; write 1 or 0")
    }
  }

  /// A flag that is not given leaves the word to the variable and the file.
  func resolve(_ flag: Bool) throws -> Bool { try value(flag ? true : nil) }
}

extension Setting {
  /// A list of what another setting takes once: the flag is repeated, variable and file have spaces in between.
  static func list<Element>(
    _ one: Setting<Element>, default fallback: [Element], says fallbackText: String? = nil
  ) -> Setting where Value == [Element] {
    Setting(
      one.name, one.about, one.valueName, variable: one.variable, default: fallback,
      says: fallbackText ?? fallback.map(one.text).joined(separator: " "),
      mayBeginWithDash: one.mayBeginWithDash,
      problem: { $0.lazy.compactMap(one.problem).first },
      parse: { try $0.split(separator: " ").map { try one.parse(String($0)) } },
      text: { $0.map(one.text).joined(separator: " ") })
  }

  func resolve<Element>(_ flags: [Element]) throws -> [Element] where Value == [Element] {
    try value(flags.isEmpty ? nil : flags)
  }
}

// MARK: Flags

extension Setting {
  fileprivate func names(isShort: Bool) -> NameSpecification {
    NameSpecification((isShort ? [.short] : []) + [.customLong(name)])
  }
}

extension Option {
  /// - Parameter isShort: whether its first letter does as well
  init<T>(
    _ setting: Setting<T>, isShort: Bool = false, completion: CompletionKind? = nil
  ) where Value == T? {
    self.init(
      name: setting.names(isShort: isShort), parsing: setting.mayBeginWithDash ? .unconditional : .next,
      help: setting.help, completion: completion, transform: setting.parse)
  }

  init<T>(wrappedValue: [T], _ setting: Setting<[T]>) where Value == [T] {
    self.init(
      wrappedValue: wrappedValue, name: .customLong(setting.name),
      parsing: setting.mayBeginWithDash ? .unconditionalSingleValue : .singleValue, help: setting.help,
      transform: { text in
        guard let one = try setting.parse(text).first else {
          throw ArgumentProblem("\"\(text)\" says nothing")
        }
        return one
      })
  }
}

extension Flag where Value == Bool {
  /// - Parameter isShort: whether its first letter does as well
  init(wrappedValue: Bool, _ setting: Setting<Bool>, isShort: Bool = false) {
    self.init(wrappedValue: wrappedValue, name: setting.names(isShort: isShort), help: setting.help)
  }
}

extension Flag where Value == Bool? {
  /// `--name` and `--no-name`.
  init(eitherWay setting: Setting<Bool>) {
    self.init(name: .customLong(setting.name), inversion: .prefixedNo, help: setting.help)
  }
}
