import Console

extension Setting where Value: LosslessStringConvertible & Comparable {
  /// A number, or a text.
  package init(
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
  package init(
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
  package init(
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
  package init(_ name: String, _ about: String, variable: String? = nil) {
    self.init(
      name, about, "", variable: variable, default: false, says: "", parse: Setting.yesOrNo,
      text: { $0 ? "true" : "false" })
  }

  package static let yesOrNo: @Sendable (String) throws -> Bool = { text in
    switch text.lowercased() {
    case "1", "true", "yes", "on": return true
    case "0", "false", "no", "off": return false
    default: throw ArgumentProblem("\"\(text)\" is neither yes nor no; write 1 or 0")
    }
  }

  /// A flag that is not given leaves the word to the variable and the file.
  package func resolve(_ flag: Bool) throws -> Bool { try value(flag ? true : nil) }
}

extension Setting {
  /// A list of what another setting takes once: the flag is repeated, variable and file have spaces in between.
  package static func list<Element>(
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

  package func resolve<Element>(_ flags: [Element]) throws -> [Element] where Value == [Element] {
    try value(flags.isEmpty ? nil : flags)
  }
}
