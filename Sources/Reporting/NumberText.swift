import Foundation

/// Numbers as text, independent of locale and platform.
enum NumberText {
  /// The shortest text that reads back as the same number; nil if it is not finite.
  static func exact(_ value: Double) -> String? {
    guard value.isFinite else { return nil }
    if value == value.rounded(), abs(value) < 1e15 { return String(Int64(value)) }
    return value.description
  }

  /// As `exact`; what is not finite is null, because JSON knows no such numbers.
  static func json(_ value: Double) -> String { exact(value) ?? "null" }

  /// For a reader: with the given decimals, else whole numbers as they are and others to four digits.
  static func display(_ value: Double, decimals: Int?) -> String {
    guard value.isFinite else { return "–" }
    if let decimals { return grouped(String(format: "%.\(decimals)f", value)) }
    if value == value.rounded(), abs(value) < 1e15 { return grouped(String(Int64(value))) }
    let size = abs(value)
    if size >= 1e7 || size < 1e-4 { return String(format: "%.3e", value) }
    let places = max(0, 3 - Int(log10(size).rounded(.down)))
    var text = String(format: "%.\(places)f", value)
    if text.contains(".") {
      while text.hasSuffix("0") { text.removeLast() }
      if text.hasSuffix(".") { text.removeLast() }
    }
    return grouped(text)
  }

  /// Charts need no more than nine digits, and the page stays small.
  static func rounded(_ value: Double) -> Double {
    guard value.isFinite, value != value.rounded() else { return value }
    return Double(String(format: "%.9g", value)) ?? value
  }

  /// Thousands apart by a narrow space, from 10 000 on.
  private static func grouped(_ text: String) -> String {
    let sign = text.hasPrefix("-") ? "−" : ""
    let parts = text.drop { $0 == "-" }.split(separator: ".", maxSplits: 1)
    var whole = String(parts.first ?? "0")
    if whole.count > 4 {
      var result = ""
      for (index, digit) in whole.enumerated() {
        if index > 0, (whole.count - index) % 3 == 0 { result += "\u{202F}" }
        result.append(digit)
      }
      whole = result
    }
    return sign + whole + (parts.count > 1 ? "." + parts[1] : "")
  }
}
