import StrictYAML

/// One key of a scenario, declared once: how it is read, its limits, the error that names them and its row in
/// docs/simulator.md.
struct ScenarioKey<Value: Sendable>: Sendable {
  let name: String
  /// Its name in an earlier version, which is still read.
  let oldName: String?
  /// A sentence without its full stop, with the unit where the value has one.
  let about: String
  /// What may be written; nil for keys of its own.
  let values: String?
  /// What holds where nothing is written; nil where that depends on other keys or is nothing.
  let fallback: Value?
  /// The same for people.
  let fallbackText: String?
  let parse: @Sendable (YAMLValue) throws(YAMLError) -> Value

  init(
    _ name: String, old oldName: String? = nil, _ about: String, _ values: String?,
    default fallback: (value: Value, text: String)? = nil,
    parse: @escaping @Sendable (YAMLValue) throws(YAMLError) -> Value
  ) {
    self.name = name
    self.oldName = oldName
    self.about = about
    self.values = values
    self.fallback = fallback?.value
    fallbackText = fallback?.text
    self.parse = parse
  }

  /// - Returns: nil where the section, or the key in it, is not written
  func read(_ section: YAMLSection?) throws(YAMLError) -> Value? {
    guard let section else { return nil }
    let name = written(in: section)
    guard let value = section.value(name) else { return nil }
    return try parse(value)
  }

  /// The same for a key that has a default.
  ///
  /// - Parameter other: goes before the default: a profile's
  func value(_ section: YAMLSection?, or other: Value? = nil) throws(YAMLError) -> Value {
    guard let value = try read(section) ?? other ?? fallback else {
      preconditionFailure("\(name) has no default")
    }
    return value
  }

  /// The same for a key that must be there.
  func required(_ section: YAMLSection) throws(YAMLError) -> Value {
    try section.required(name, try read(section))
  }

  /// The name under which the section has it.
  func written(in section: YAMLSection) -> String {
    oldName.map { section.key(name, orOld: $0) } ?? name
  }

  var row: ScenarioKeyRow {
    ScenarioKeyRow(name: name, about: about, values: values, fallback: fallbackText)
  }
}

/// What people are told of a key.
public struct ScenarioKeyRow: Sendable, Hashable {
  public var name: String
  public var about: String
  /// nil for keys of its own.
  public var values: String?
  public var fallback: String?
}

// MARK: Kinds of values

extension ScenarioKey where Value == Int {
  init(
    _ name: String, _ about: String, in range: ClosedRange<Int>, default fallback: Int? = nil
  ) {
    self.init(
      name, about, "\(range.lowerBound) to \(range.upperBound)", default: fallback.map { ($0, String($0)) }
    ) { (value) throws(YAMLError) in try value.integer(in: range) }
  }
}

extension ScenarioKey where Value == Double {
  init(
    _ name: String, _ about: String, in range: ClosedRange<Double>, percent: Bool = false,
    default fallback: Double? = nil
  ) {
    self.init(
      name, about, "\(Self.text(range.lowerBound)) to \(Self.text(range.upperBound))",
      default: fallback.map { ($0, Self.text($0)) }
    ) { (value) throws(YAMLError) in try value.number(in: range, percent: percent) }
  }

  private static func text(_ number: Double) -> String {
    number == number.rounded() && abs(number) < 1e15 ? String(Int(number)) : "\(number)"
  }
}

extension ScenarioKey where Value == Duration {
  init(
    _ name: String, _ about: String, in range: ClosedRange<Duration>, default fallback: Duration? = nil
  ) {
    self.init(
      name, about, "\(YAMLDuration.text(range.lowerBound)) to \(YAMLDuration.text(range.upperBound))",
      default: fallback.map { ($0, YAMLDuration.text($0)) }
    ) { (value) throws(YAMLError) in try value.duration(in: range) }
  }
}

extension ScenarioKey where Value == Bool {
  init(_ name: String, _ about: String, default fallback: Bool) {
    self.init(name, about, "true, false", default: (fallback, "\(fallback)")) { (value) throws(YAMLError) in
      try value.flag()
    }
  }
}

extension ScenarioKey where Value == String {
  init(_ name: String, _ about: String, _ values: String, maxLength: Int = 10_000) {
    self.init(name, about, values) { (value) throws(YAMLError) in try value.text(maxLength: maxLength) }
  }
}

extension ScenarioKey where Value: RawRepresentable & CaseIterable, Value.RawValue == String {
  init(_ name: String, _ about: String, default fallback: Value? = nil) {
    self.init(
      name, about, Value.allCases.map(\.rawValue).joined(separator: ", "),
      default: fallback.map { ($0, $0.rawValue) }
    ) { (value) throws(YAMLError) in try value.choice() }
  }
}

extension ScenarioKey where Value == YAMLSection {
  /// A key whose value has keys of its own.
  init(_ name: String, old oldName: String? = nil, _ about: String) {
    self.init(name, old: oldName, about, nil) { (value) throws(YAMLError) in
      try value.section()
    }
  }
}

extension ScenarioKey where Value == [YAMLSection] {
  /// A list of such.
  init(list name: String, _ about: String, maxCount: Int) {
    self.init(name, about, "a list of at most \(maxCount)") { (value) throws(YAMLError) in
      try value.list(maxCount: maxCount) { (value) throws(YAMLError) in try value.section() }
    }
  }
}

extension ScenarioKey where Value == YAMLValue {
  /// A value of several shapes.
  init(_ name: String, _ about: String, _ values: String) {
    self.init(name, about, values) { (value) throws(YAMLError) in value }
  }
}
