import Spelling

/// One value that is being read. Each reader takes one kind of value and refuses the others.
public struct YAMLValue: Sendable {
  public enum Kind: Sendable, Hashable {
    /// A key without a value, or with `null`. Every reader refuses it.
    case empty
    case scalar, list, mapping
  }

  public let node: YAMLNode
  /// "workers.0.link.rtt"
  public let path: String
  /// Of the key, or of the element of a list.
  public let place: YAMLPlace
  /// Whose `finish()` also finishes the sections read from here.
  let owner: YAMLSection

  public var kind: Kind {
    switch node.content {
    case _ where node.isEmpty: .empty
    case .scalar: .scalar
    case .list: .list
    case .mapping: .mapping
    }
  }

  /// What is written, when it is a scalar: to tell "never" from {entropy: 1.0}.
  public var scalar: String? {
    guard case .scalar(let text, _) = node.content, !node.isEmpty else { return nil }
    return text
  }

  /// For the caller's own checks.
  public func error(_ message: String, hint: String? = nil) -> YAMLError {
    YAMLError(place, "\(path): \(message)", hint: hint)
  }

  /// The value is of the wrong kind. `expected` completes "expected": "a number".
  public func unexpected(_ expected: String, hint: String? = nil) -> YAMLError {
    error(
      "expected \(expected), found \(node.shown)",
      hint: node.isEmpty ? "write a value, or remove the key" : hint)
  }

  private func outside(_ range: String, _ found: String) -> YAMLError {
    error("must be \(range), found \(found.count <= 60 ? found : String(found.prefix(60)) + "...")")
  }

  // MARK: Scalars

  /// - Parameter maxLength: in characters.
  public func text(maxLength: Int = 10_000) throws(YAMLError) -> String {
    guard let text = scalar else { throw unexpected("a text") }
    guard text.count <= maxLength else {
      throw error("must have at most \(maxLength) characters, found \(text.count)")
    }
    return text
  }

  public func flag() throws(YAMLError) -> Bool {
    switch node.content {
    case .scalar("true", plain: true): return true
    case .scalar("false", plain: true): return false
    default: throw unexpected("true or false")
    }
  }

  public func integer(in range: ClosedRange<Int>) throws(YAMLError) -> Int {
    let text = try plainNumber("a whole number")
    let digits = text.first.map { "+-".contains($0) } == true ? text.dropFirst() : text[...]
    guard !digits.isEmpty, digits.utf8.allSatisfy(YAMLDecimal.isDigit) else {
      throw unexpected("a whole number", hint: "write digits only, as in 12000")
    }
    guard digits.count == 1 || digits.first != "0" else {
      throw unexpected("a whole number", hint: "remove the 0 that it begins with")
    }
    guard let value = Int(text), range.contains(value) else {
      throw outside(
        Self.rangeText(
          range.lowerBound == .min ? nil : "\(range.lowerBound)",
          range.upperBound == .max ? nil : "\(range.upperBound)"
        ), text)
    }
    return value
  }

  /// - Parameter percent: whether 85% is taken too, as 0.85.
  public func number(in range: ClosedRange<Double>, percent: Bool = false) throws(YAMLError) -> Double {
    let expected = percent ? "a number or a percentage" : "a number"
    let inPercent = scalar?.hasSuffix("%") == true
    if inPercent, !percent { throw unexpected(expected, hint: "write a plain number") }
    let text = inPercent ? String(scalar?.dropLast() ?? "") : try plainNumber(expected)
    guard inPercent ? YAMLDecimal.isDecimal(text) : YAMLDecimal.isNumber(text) else {
      throw unexpected(expected)
    }
    // The exponent goes into the text, so that 85% is the very number that 0.85 is.
    guard let value = Double(inPercent ? text + "e-2" : text), range.contains(value) else {
      func shown(_ bound: Double) -> String? {
        guard abs(bound) < .greatestFiniteMagnitude else { return nil }
        // Rounded, since 0.07 times 100 is not 7.
        return inPercent
          ? YAMLDecimal.text((bound * 1e6).rounded() / 1e4) + "%" : YAMLDecimal.text(bound)
      }
      throw outside(
        Self.rangeText(shown(range.lowerBound), shown(range.upperBound)), text + (inPercent ? "%" : ""))
    }
    guard value.isFinite else { throw error("\(text.shown) is too large") }
    guard value != 0 || text.prefix(while: { $0 != "e" && $0 != "E" }).allSatisfy({ "+-0.".contains($0) })
    else {
      throw error("\(text.shown) is too small", hint: "write 0")
    }
    return value
  }

  /// A number with its unit, as in 50ms, to the nearest nanosecond.
  public func duration(
    in range: ClosedRange<Duration> = .zero ... .seconds(31_536_000)
  ) throws(YAMLError) -> Duration {
    let names = YAMLDuration.units.map(\.name)
    let quantity = try quantity("a duration, such as 50ms", units: names, example: "ms")
    guard let unit = YAMLDuration.units.first(where: { $0.name == quantity.unit }) else {
      throw unknownUnit(quantity, names)
    }
    let written = "\(quantity.number)\(quantity.unit)"
    switch YAMLDuration.read(quantity.number, nanosecondsPerUnit: unit.nanoseconds) {
    case .exact(let value) where range.contains(value): return value
    case .tooSmall: throw error("\(written.shown) is less than a nanosecond", hint: "write 0\(unit.name)")
    case .tooManyDigits: throw error("\(written.shown) has too many digits")
    case .exact, .tooLarge:
      throw outside(
        Self.rangeText(YAMLDuration.text(range.lowerBound), YAMLDuration.text(range.upperBound)),
        written)
    }
  }

  /// A number with its unit, as in 100Mbit/s.
  /// - Returns: bits per second.
  public func rate(in range: ClosedRange<Double> = 1...1e13) throws(YAMLError) -> Double {
    let names = YAMLRate.units.map(\.name)
    let quantity = try quantity("a rate, such as 100Mbit/s", units: names, example: "Mbit/s")
    guard let unit = YAMLRate.units.first(where: { $0.name == quantity.unit }) else {
      if quantity.unit.contains("B") || quantity.unit.lowercased().contains("byte") {
        throw error(
          "rates are in bits, not bytes, found \(scalar?.shown ?? "")",
          hint: "1 byte is 8 bits; units: \(names.joined(separator: ", "))")
      }
      throw unknownUnit(quantity, names)
    }
    guard let value = Double("\(quantity.number)e\(unit.power)"), range.contains(value) else {
      throw outside(
        Self.rangeText(YAMLRate.text(range.lowerBound), YAMLRate.text(range.upperBound)),
        "\(quantity.number)\(quantity.unit)")
    }
    return value
  }

  public func choice<T: RawRepresentable & CaseIterable>(
    _ type: T.Type = T.self
  ) throws(YAMLError) -> T where T.RawValue == String {
    let names = T.allCases.map(\.rawValue)
    let hint = "choices: \(names.joined(separator: ", "))"
    guard let text = scalar else { throw unexpected("one of the choices", hint: hint) }
    guard let value = T(rawValue: text) else {
      let meant = NearestName.of(text, among: names).map { "; did you mean \"\($0)\"?" } ?? ""
      throw error("unknown choice \(text.shown)" + meant, hint: hint)
    }
    return value
  }

  // MARK: Lists and mappings

  public func section() throws(YAMLError) -> YAMLSection {
    guard case .mapping = node.content else { throw unexpected("a mapping", hint: "write its keys below it") }
    return owner.section(of: self)
  }

  public func list<T>(
    maxCount: Int, _ element: (YAMLValue) throws(YAMLError) -> T
  ) throws(YAMLError) -> [T] {
    guard case .list(let nodes) = node.content else {
      throw unexpected("a list", hint: kind == .scalar ? "write [\(scalar?.shown ?? "")]" : nil)
    }
    guard nodes.count <= maxCount else {
      throw error("must have at most \(maxCount) elements, found \(nodes.count)")
    }
    var result: [T] = []
    for (index, node) in nodes.enumerated() {
      result.append(
        try element(YAMLValue(node: node, path: "\(path).\(index)", place: node.place, owner: owner)))
    }
    return result
  }

  // MARK: Parts

  private func plainNumber(_ expected: String) throws(YAMLError) -> String {
    guard case .scalar(let text, let plain) = node.content, plain, !node.isEmpty else {
      throw unexpected(expected, hint: kind == .scalar ? "remove the quotes" : nil)
    }
    return text
  }

  private func quantity(
    _ expected: String, units: [String], example: String
  ) throws(YAMLError) -> YAMLQuantity {
    let hint = "units: \(units.joined(separator: ", "))"
    guard let text = scalar, let quantity = YAMLQuantity(text) else {
      throw unexpected(expected, hint: hint)
    }
    guard !quantity.unit.isEmpty else {
      let number = quantity.number.count <= 60 ? String(quantity.number) : quantity.number.prefix(60) + "..."
      throw error("\(number) has no unit; write \(number)\(example)", hint: hint)
    }
    return quantity
  }

  private func unknownUnit(_ quantity: YAMLQuantity, _ units: [String]) -> YAMLError {
    let unit = String(quantity.unit)
    let meant =
      NearestName.ofUnit(unit, among: units).map { "; did you mean \(quantity.number.prefix(60))\($0)?" }
      ?? ""
    return error("unknown unit \(unit.shown)" + meant, hint: "units: \(units.joined(separator: ", "))")
  }

  /// Completes "must be". A bound that is nil is none.
  private static func rangeText(_ low: String?, _ high: String?) -> String {
    switch (low, high) {
    case (let low?, let high?): "\(low) to \(high)"
    case (let low?, nil): "\(low) or more"
    case (nil, let high?): "\(high) or less"
    case (nil, nil): "a finite number"
    }
  }
}
