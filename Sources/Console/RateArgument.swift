/// A rate with its unit: "100mbit".
package struct RateArgument: QuantityArgument {
  package var bitsPerSecond: Double

  private static let units: [(suffix: String, bits: Double)] = [
    ("kbit", 1e3), ("mbit", 1e6), ("gbit", 1e9), ("bit", 1),
  ]

  package init(parsing text: String) throws {
    let lower = text.lowercased()
    guard let unit = Self.units.first(where: { lower.hasSuffix($0.suffix) }),
      let value = Double(lower.dropLast(unit.suffix.count)), value.isFinite, value > 0
    else {
      throw ArgumentProblem(
        "\"\(text)\" is not a rate; write a number above 0 and bit, kbit, mbit or gbit (per second), such as "
          + "100mbit")
    }
    bitsPerSecond = value * unit.bits
  }
}
