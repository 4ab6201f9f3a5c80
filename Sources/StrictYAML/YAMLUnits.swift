/// Decimal numbers, exactly.
package enum YAMLDecimal {
  /// An optional sign, digits, and optionally a point and digits.
  package static func isDecimal(_ text: some StringProtocol) -> Bool {
    let bytes = text.utf8.drop { _ in false }
    let unsigned = bytes.first.map { "+-".utf8.contains($0) } == true ? bytes.dropFirst() : bytes
    let parts = unsigned.split(separator: UInt8(ascii: "."), omittingEmptySubsequences: false)
    return (1...2).contains(parts.count) && parts.allSatisfy { !$0.isEmpty && $0.allSatisfy(isDigit) }
  }

  /// A decimal, and optionally an exponent.
  package static func isNumber(_ text: some StringProtocol) -> Bool {
    let parts = text.split(omittingEmptySubsequences: false) { $0 == "e" || $0 == "E" }
    guard (1...2).contains(parts.count), isDecimal(parts[0]) else { return false }
    return parts.count == 1 || (isDecimal(parts[1]) && !parts[1].contains("."))
  }

  package static func isDigit(_ byte: UInt8) -> Bool {
    (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(byte)
  }

  /// Without the ".0" of a whole number.
  package static func text(_ value: Double) -> String {
    let text = "\(value)"
    return text.hasSuffix(".0") ? String(text.dropLast(2)) : text
  }
}

/// A number and its unit, as in "50 ms".
package struct YAMLQuantity {
  var number: Substring
  var unit: Substring

  /// Nil when it does not begin with a decimal number.
  init?(_ text: String) {
    let number = text.prefix { "+-.".contains($0) || ($0.isASCII && $0.isNumber) }
    guard YAMLDecimal.isDecimal(number) else { return nil }
    self.number = number
    unit = text[number.endIndex...].drop { $0 == " " }
  }
}

/// Durations to the nanosecond.
package enum YAMLDuration {
  /// Smallest first.
  package static let units: [(name: String, nanoseconds: Int64)] = [
    ("ns", 1), ("us", 1_000), ("ms", 1_000_000), ("s", 1_000_000_000), ("min", 60_000_000_000),
    ("h", 3_600_000_000_000),
  ]

  /// More digits than any duration that fits needs.
  private static let maxDigits = 24

  package enum Reading: Equatable {
    case exact(Duration)
    case tooLarge
    /// Not zero, but nearer to zero than to a nanosecond.
    case tooSmall
    case tooManyDigits
  }

  /// To the nearest nanosecond. In whole numbers, so that 0.1s is 100ms.
  package static func read(_ number: Substring, nanosecondsPerUnit: Int64) -> Reading {
    let digits = number.utf8.filter(YAMLDecimal.isDigit)
    guard digits.count <= maxDigits else { return .tooManyDigits }
    let value = digits.reduce(Int128(0)) { $0 * 10 + Int128($1 - UInt8(ascii: "0")) }
    let decimals = number.split(separator: ".").dropFirst().first?.count ?? 0
    let scale = (0..<decimals).reduce(Int128(1)) { scale, _ in scale * 10 }
    let nanoseconds = (value * Int128(nanosecondsPerUnit) + scale / 2) / scale
    if nanoseconds == 0, value != 0 { return .tooSmall }
    guard let fitting = Int64(exactly: nanoseconds) else { return .tooLarge }
    return .exact(.nanoseconds(number.hasPrefix("-") ? -fitting : fitting))
  }

  /// In the largest unit that takes no fraction: "1500ms", "0s".
  package static func text(_ duration: Duration) -> String {
    let (seconds, attoseconds) = duration.components
    let (whole, overflow) = seconds.multipliedReportingOverflow(by: 1_000_000_000)
    guard !overflow else { return "\(seconds)s" }
    let nanoseconds = whole.addingReportingOverflow(attoseconds / 1_000_000_000).partialValue
    guard nanoseconds != 0 else { return "0s" }
    let unit = units.last { nanoseconds % $0.nanoseconds == 0 } ?? units[0]
    return "\(nanoseconds / unit.nanoseconds)\(unit.name)"
  }
}

/// Rates of links.
package enum YAMLRate {
  /// Smallest first, with the power of ten.
  package static let units: [(name: String, power: Int)] = [
    ("bit/s", 0), ("kbit/s", 3), ("Mbit/s", 6), ("Gbit/s", 9),
  ]

  /// In the largest unit that gives 1 or more.
  package static func text(_ bitsPerSecond: Double) -> String {
    let scales = [1, 1e3, 1e6, 1e9]
    let index = scales.lastIndex { abs(bitsPerSecond) >= $0 } ?? 0
    return YAMLDecimal.text(bitsPerSecond / scales[index]) + units[index].name
  }
}
