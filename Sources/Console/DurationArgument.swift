/// A duration with its unit: "30ms", "1.5s", "2min". A bare number is refused, since its unit would be a guess.
package struct DurationArgument: QuantityArgument, Hashable, CustomStringConvertible {
  /// From 0 to a year.
  package var nanoseconds: Int64

  private static let units: [(suffix: String, nanoseconds: Double)] = [
    ("ns", 1), ("us", 1e3), ("µs", 1e3), ("ms", 1e6), ("s", 1e9), ("min", 60e9), ("h", 3600e9),
  ]
  private static let longest = 365.0 * 24 * 3600 * 1e9

  package init(nanoseconds: Int64) { self.nanoseconds = nanoseconds }

  package static func seconds(_ count: Int64) -> DurationArgument {
    DurationArgument(nanoseconds: count * 1_000_000_000)
  }

  package init(parsing text: String) throws {
    let number = text.prefix { $0.isASCII && ($0.isNumber || "+-.".contains($0)) }
    let suffix = text[number.endIndex...]
    guard let value = Double(number), value.isFinite else {
      throw ArgumentProblem("\"\(text)\" is not a duration; write a number and a unit, such as 30ms or 1.5s")
    }
    guard !suffix.isEmpty else {
      throw ArgumentProblem("\"\(text)\" has no unit; write \(text)ms or \(text)s")
    }
    guard let unit = Self.units.first(where: { $0.suffix == suffix }) else {
      throw ArgumentProblem("\"\(suffix)\" is not a unit of time; the units are ns, us, ms, s, min and h")
    }
    guard value >= 0 else { throw ArgumentProblem("a duration cannot be negative, as \"\(text)\" is") }
    guard value * unit.nanoseconds <= Self.longest else {
      throw ArgumentProblem("\"\(text)\" is longer than a year")
    }
    nanoseconds = Int64((value * unit.nanoseconds).rounded())
  }

  package var duration: Duration { .nanoseconds(nanoseconds) }
  package var milliseconds: Double { Double(nanoseconds) / 1e6 }

  /// As it is written on a command line: "30ms", "1.5ms", "10s".
  package var text: String {
    nanoseconds > 0 && nanoseconds % 1_000_000_000 == 0
      ? "\(nanoseconds / 1_000_000_000)s" : description.replacing(" ", with: "")
  }

  package var description: String { Self.describe(milliseconds: milliseconds) }

  /// "100 ms", "1.5 ms", "0.02 ms": three significant digits at least, no trailing zeros.
  package static func describe(milliseconds: Double) -> String {
    if milliseconds == milliseconds.rounded(), abs(milliseconds) < 1e15 { return "\(Int64(milliseconds)) ms" }
    let scale = abs(milliseconds) < 1 ? 1e4 : 1e2
    return "\((milliseconds * scale).rounded() / scale) ms"
  }
}
