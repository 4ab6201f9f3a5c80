import Foundation

/// How long a credential is to be good: "90d", "12h", "2w", "10y". A bare number is refused, since its unit
/// would be a guess.
package struct LifetimeArgument: TextArgument, Hashable, CustomStringConvertible {
  package var seconds: TimeInterval

  private static let units: [(suffix: String, seconds: TimeInterval)] = [
    ("min", 60), ("h", 3600), ("d", 86_400), ("w", 7 * 86_400), ("y", 365 * 86_400),
  ]
  private static let longest: TimeInterval = 100 * 365 * 86_400

  package init(parsing text: String) throws {
    let digits = text.prefix { $0.isASCII && $0.isNumber }
    guard let count = Int(digits), count > 0, digits.count <= 6,
      let unit = Self.units.first(where: { $0.suffix == text[digits.endIndex...] })
    else {
      throw ArgumentProblem(
        "\"\(text)\" is not a time span; write a whole number and min, h, d, w or y, such as 90d")
    }
    seconds = TimeInterval(count) * unit.seconds
    guard seconds <= Self.longest else { throw ArgumentProblem("\"\(text)\" is longer than 100 years") }
  }

  package var description: String {
    let unit = Self.units.last { seconds.truncatingRemainder(dividingBy: $0.seconds) == 0 } ?? ("s", 1)
    return "\(Int(seconds / unit.seconds))\(unit.suffix)"
  }
}
