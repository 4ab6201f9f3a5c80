import SpeculationCore
import StrictYAML

/// Numbers and times as traces write them, from bytes: no string is made for any of the millions.
enum TraceValue {
  /// Digits only.
  static func whole(_ bytes: ArraySlice<UInt8>) -> Int? {
    guard (1...15).contains(bytes.count) else { return nil }
    var value = 0
    for byte in bytes {
      guard YAMLDecimal.isDigit(byte) else { return nil }
      value = value * 10 + Int(byte - UInt8(ascii: "0"))
    }
    return value
  }

  /// A decimal in units of so many nanoseconds, to the nearest one. "1e-05" is taken, since programs write it.
  static func scaled(_ bytes: ArraySlice<UInt8>, nanosecondsPerUnit unit: Int64) -> Int64? {
    let isNegative = bytes.first == UInt8(ascii: "-")
    let digits = isNegative ? bytes.dropFirst() : bytes
    var (value, scale) = (Int128(0), Int128(1))
    var (integers, decimals) = (0, 0)
    var isFraction = false
    for byte in digits {
      switch byte {
      case UInt8(ascii: "."):
        guard !isFraction, integers > 0 else { return nil }
        isFraction = true
      case UInt8(ascii: "e"), UInt8(ascii: "E"): return exponential(bytes, unit)
      default:
        guard YAMLDecimal.isDigit(byte) else { return nil }
        if isFraction { decimals += 1 } else { integers += 1 }
        guard integers <= 18 else { return nil }
        // Beyond twelve decimals of a second nothing is left to say.
        guard decimals <= 12 else { continue }
        value = value * 10 + Int128(byte - UInt8(ascii: "0"))
        if isFraction { scale *= 10 }
      }
    }
    guard integers > 0, !isFraction || decimals > 0 else { return nil }
    guard let nanoseconds = Int64(exactly: (value * Int128(unit) + scale / 2) / scale) else { return nil }
    return isNegative ? -nanoseconds : nanoseconds
  }

  private static func exponential(_ bytes: ArraySlice<UInt8>, _ unit: Int64) -> Int64? {
    let text = String(decoding: bytes, as: UTF8.self)
    guard YAMLDecimal.isNumber(text), let value = Double(text) else { return nil }
    return Int64(exactly: (value * Double(unit)).rounded())
  }

  /// A number with its unit, as in 1.5s.
  static func duration(_ bytes: ArraySlice<UInt8>) -> Int64? {
    let start = bytes.lastIndex { YAMLDecimal.isDigit($0) }.map { $0 + 1 } ?? bytes.startIndex
    let name = bytes[start...].drop { $0 == UInt8(ascii: " ") }
    guard let unit = YAMLDuration.units.first(where: { $0.name.utf8.elementsEqual(name) }) else { return nil }
    return scaled(bytes[..<start], nanosecondsPerUnit: unit.nanoseconds)
  }

  /// "2023-11-16 18:17:03.9799600", with "T" for the space and a zone ("Z", "+01:00") if it has one.
  /// - Returns: nanoseconds since 1970
  static func clock(_ bytes: ArraySlice<UInt8>) -> Int64? {
    var rest = bytes
    func number(_ count: Int) -> Int? {
      guard rest.count >= count, let value = whole(rest.prefix(count)) else { return nil }
      rest = rest.dropFirst(count)
      return value
    }
    func take(_ characters: String) -> Bool {
      guard let first = rest.first, characters.utf8.contains(first) else { return false }
      rest = rest.dropFirst()
      return true
    }
    guard let year = number(4), (1970...2200).contains(year), take("-"), let month = number(2), take("-"),
      let day = number(2), let days = days(year, month, day), take(" T"), let hour = number(2), hour < 24,
      take(":"), let minute = number(2), minute < 60, take(":"), let second = number(2), second <= 60
    else { return nil }
    var nanoseconds = ((Int64(days) * 24 + Int64(hour)) * 60 + Int64(minute)) * 60 + Int64(second)
    nanoseconds *= 1_000_000_000
    if take(".") {
      let fraction = rest.prefix { YAMLDecimal.isDigit($0) }
      guard (1...9).contains(fraction.count), let value = whole(fraction) else { return nil }
      nanoseconds += Int64((fraction.count..<9).reduce(value) { value, _ in value * 10 })
      rest = rest.dropFirst(fraction.count)
    }
    if rest.isEmpty || rest.elementsEqual("Z".utf8) { return nanoseconds }
    let isEast = rest.first == UInt8(ascii: "+")
    guard take("+-"), let hours = number(2), hours <= 14 else { return nil }
    _ = take(":")
    let minutes = rest.isEmpty ? 0 : number(2)
    guard let minutes, minutes < 60, rest.isEmpty else { return nil }
    let offset = Int64(hours * 60 + minutes) * 60_000_000_000
    return nanoseconds + (isEast ? -offset : offset)
  }

  /// Days since 1970; nil for a day that no calendar has.
  private static func days(_ year: Int, _ month: Int, _ day: Int) -> Int? {
    let isLeap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0)
    let lengths = [31, isLeap ? 29 : 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31]
    guard (1...12).contains(month), (1...lengths[month - 1]).contains(day) else { return nil }
    let before = year - 1
    let years = before * 365 + before / 4 - before / 100 + before / 400
    return years + lengths[..<(month - 1)].reduce(0, +) + day - 719_163
  }
}
