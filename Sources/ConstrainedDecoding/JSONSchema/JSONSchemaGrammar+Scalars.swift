// Strings and numbers.
extension JSONSchemaGrammar {
  mutating func string(_ schema: OrderedJSON, at pointer: String) throws -> String {
    let hasLength = schema["minLength"] != nil || schema["maxLength"] != nil
    let special = ["pattern", "format"].filter { schema[$0] != nil }
    if special.count + (hasLength ? 1 : 0) > 1 {
      throw Self.error(
        "\(pointer)/\(special[0])", "\(special[0]) together with other limits on a string is not supported")
    }
    if let format = schema["format"] { return try self.format(format, at: "\(pointer)/format") }
    if let pattern = schema["pattern"] {
      guard case .string(let text) = pattern else {
        throw Self.error("\(pointer)/pattern", "pattern is a string, not \(pattern.kind)")
      }
      do {
        return rule(try JSONSchemaPattern.grammar(of: text, character: primitive("char")))
      } catch let failure as JSONSchemaPattern.Failure {
        throw Self.error("\(pointer)/pattern", failure.problem)
      }
    }
    guard hasLength else { return primitive("string") }
    let (least, most) = try Self.bounds(schema, "minLength", "maxLength", at: pointer)
    return rule(#""\"" \#(primitive("char"))\#(Self.repetition(least, most)) "\"""#)
  }

  private mutating func format(_ format: OrderedJSON, at pointer: String) throws -> String {
    guard case .string(let name) = format, let body = Self.formats[name] else {
      let known = Self.formats.keys.sorted().joined(separator: ", ")
      throw Self.error(pointer, "the format \(format.text) is not supported (there are \(known))")
    }
    return rule(#""\"" \#(body) "\"""#)
  }

  /// RFC 3339 and RFC 4122. February has 28 days, so that every date is one.
  private static let formats: [String: String] = {
    let day31 = #"("0" [13578] | "1" [02]) "-" ("0" [1-9] | [12] [0-9] | "3" [01])"#
    let day30 = #"("0" [469] | "11") "-" ("0" [1-9] | [12] [0-9] | "30")"#
    let day28 = #""02-" ("0" [1-9] | "1" [0-9] | "2" [0-8])"#
    let date = #"[0-9]{4} "-" (\#(day31) | \#(day30) | \#(day28))"#
    let clock = #"([01] [0-9] | "2" [0-3]) ":" [0-5] [0-9]"#
    let time = #"\#(clock) ":" [0-5] [0-9] ("." [0-9]{1,9})? ("Z" | [-+] \#(clock))"#
    let octet = #"("25" [0-5] | "2" [0-4] [0-9] | "1" [0-9] [0-9] | [1-9]? [0-9])"#
    return [
      "date": date, "time": time, "date-time": #"\#(date) "T" \#(time)"#,
      "uuid": #"[0-9a-f]{8} "-" [0-9a-f]{4} "-" [0-9a-f]{4} "-" [0-9a-f]{4} "-" [0-9a-f]{12}"#,
      "ipv4": #"\#(octet) ("." \#(octet)){3}"#,
    ]
  }()

  // MARK: Numbers

  mutating func number(_ schema: OrderedJSON, at pointer: String) throws -> String {
    for keyword in ["maximum", "exclusiveMinimum", "exclusiveMaximum"] where schema[keyword] != nil {
      throw Self.error("\(pointer)/\(keyword)", "\(keyword) is supported for integers only")
    }
    guard let least = schema["minimum"] else { return primitive("number") }
    guard case .number(let digits) = least, Double(digits) == 0 else {
      throw Self.error("\(pointer)/minimum", "for numbers that are no integers only minimum 0 is supported")
    }
    return rule(#"("0" | [1-9] [0-9]{0,15}) \#(primitive("fraction"))"#)
  }

  /// The largest number of digits that a bound may have: all integers below 10^16 are exact in most readers.
  private static let maxDigits = 16
  private static let largest: Int64 = 9_999_999_999_999_999

  mutating func integer(_ schema: OrderedJSON, at pointer: String) throws -> String {
    var low = -Self.largest
    var high = Self.largest
    for (keyword, isLower, isExclusive) in [
      ("minimum", true, false), ("exclusiveMinimum", true, true), ("maximum", false, false),
      ("exclusiveMaximum", false, true),
    ] {
      guard let bound = try bound(schema, keyword, isLower: isLower, isExclusive, at: pointer) else {
        continue
      }
      if isLower { low = max(low, bound) } else { high = min(high, bound) }
    }
    if low == -Self.largest && high == Self.largest { return primitive("integer") }
    guard low <= high else { throw Self.error(pointer, "no integer lies within the bounds") }
    var alternatives: [String] = []
    if low < 0 { alternatives.append("\"-\" (\(Self.digits(from: max(1, -high), to: -low)))") }
    if high >= 0 { alternatives.append(Self.digits(from: max(0, low), to: high)) }
    return rule(alternatives.joined(separator: " | "))
  }

  private func bound(
    _ schema: OrderedJSON, _ keyword: String, isLower: Bool, _ isExclusive: Bool, at pointer: String
  ) throws -> Int64? {
    guard let value = schema[keyword] else { return nil }
    guard case .number(let digits) = value, let number = Double(digits) else {
      throw Self.error("\(pointer)/\(keyword)", "\(keyword) is a number, not \(value.kind)")
    }
    if abs(number) > Double(Self.largest) {
      throw Self.error("\(pointer)/\(keyword)", "a bound has at most \(Self.maxDigits) digits")
    }
    let whole = Int64(isLower ? number.rounded(.up) : number.rounded(.down))
    return isExclusive && Double(whole) == number ? (isLower ? whole + 1 : whole - 1) : whole
  }

  /// The decimal numbers from one to another, both included, neither negative, as alternatives.
  static func digits(from low: Int64, to high: Int64) -> String {
    let (first, last) = (String(low).count, String(high).count)
    return (first...last).map { count in
      let least = count == first ? String(low) : "1" + String(repeating: "0", count: count - 1)
      let most = count == last ? String(high) : String(repeating: "9", count: count)
      return digits(from: Array(least.utf8)[...], to: Array(most.utf8)[...])
    }.joined(separator: " | ")
  }

  /// Of the same length.
  private static func digits(from low: ArraySlice<UInt8>, to high: ArraySlice<UInt8>) -> String {
    guard let first = low.first, let last = high.first else { return "" }
    func digit(_ value: UInt8) -> String { String(UnicodeScalar(value)) }
    let (lowRest, highRest) = (low.dropFirst(), high.dropFirst())
    let count = lowRest.count
    let zeros = lowRest.allSatisfy { $0 == UInt8(ascii: "0") }
    let nines = highRest.allSatisfy { $0 == UInt8(ascii: "9") }
    let free = count > 0 ? " [0-9]{\(count)}" : ""
    if zeros && nines { return "[\(digit(first))-\(digit(last))]\(free)" }
    if first == last { return "\"\(digit(first))\" (\(digits(from: lowRest, to: highRest)))" }
    var alternatives: [String] = []
    var (from, to) = (first, last)
    if !zeros {
      let top = [UInt8](repeating: UInt8(ascii: "9"), count: count)
      alternatives.append("\"\(digit(first))\" (\(digits(from: lowRest, to: top[...])))")
      from += 1
    }
    if !nines { to -= 1 }
    if from <= to { alternatives.append("[\(digit(from))-\(digit(to))]\(free)") }
    if !nines {
      let bottom = [UInt8](repeating: UInt8(ascii: "0"), count: count)
      alternatives.append("\"\(digit(last))\" (\(digits(from: bottom[...], to: highRest)))")
    }
    return alternatives.joined(separator: " | ")
  }
}
