/// A regular expression of a schema's `pattern` as a grammar of the JSON strings that match it.
///
/// Understood: characters and `.`, classes with ranges and negation, `\d \w \s \D \W \S`, escapes
/// (`\n \r \t \f \v`, `\xHH`, `\uHHHH` and punctuation), groups (also `(?:`), `|`, the quantifiers
/// `* + ? {m} {m,} {m,n}`, and `^` and `$` at the ends of an alternative of the outermost level. Without them more
/// text may stand before or behind, as JSON Schema says. Not understood, and refused: look-around, references back,
/// lazy quantifiers, properties of Unicode.
struct JSONSchemaPattern {
  struct Failure: Error {
    var problem: String
  }

  static let maxNesting = 32

  private let scalars: [Unicode.Scalar]
  private var at = 0
  private var nesting = 0

  private init(_ text: String) { scalars = Array(text.unicodeScalars) }

  /// - Parameter character: the rule of one character of a JSON string
  /// - Throws: `Failure`
  static func grammar(of pattern: String, character: String) throws -> String {
    var parser = JSONSchemaPattern(pattern)
    var alternatives: [String] = []
    repeat {
      let isAnchored = parser.skip("^")
      let body = try parser.sequence()
      let isEndAnchored = parser.skip("$")
      if !isEndAnchored, let next = parser.peek, next != "|" { throw parser.unexpected(next) }
      if let next = parser.peek, next != "|" { throw parser.failure("$ is supported at the end only") }
      alternatives.append(
        (isAnchored ? "" : "\(character)* ") + body + (isEndAnchored ? "" : " \(character)*"))
    } while parser.skip("|")
    return #""\"" (\#(alternatives.joined(separator: " | "))) "\"""#
  }

  private mutating func alternatives() throws -> String {
    var all = [try sequence()]
    while skip("|") { all.append(try sequence()) }
    return all.joined(separator: " | ")
  }

  private mutating func sequence() throws -> String {
    var items: [String] = []
    while let next = peek, next != "|", next != ")", next != "$" {
      let item = try atom()
      items.append(item + (try quantifier()))
    }
    return items.joined(separator: " ")
  }

  private mutating func atom() throws -> String {
    guard let next = peek else { throw failure("it ends too early") }
    at += 1
    switch next {
    case "(":
      nesting += 1
      if nesting > Self.maxNesting { throw failure("groups are nested more than \(Self.maxNesting) deep") }
      if skip("?") {
        guard skip(":") else { throw failure("of the groups that begin with (? only (?: is supported") }
      }
      let body = try alternatives()
      guard skip(")") else { throw peek.map(unexpected) ?? failure("a ( has no )") }
      nesting -= 1
      return "(\(body))"
    case "[": return try encoded(try characterClass())
    case ".": return try encoded(ScalarSet([0x0A...0x0A, 0x0D...0x0D], negated: true))
    case "\\": return try encoded(try escape())
    case "*", "+", "?", "{", "}", "]", "^": throw unexpected(next)
    default: return try encoded(ScalarSet([next.value...next.value]))
    }
  }

  private mutating func quantifier() throws -> String {
    guard let next = peek else { return "" }
    var result: String
    switch next {
    case "*", "+", "?":
      at += 1
      result = String(Character(next))
    case "{":
      at += 1
      guard let least = number() else { throw failure("a number is expected after {") }
      var most: Int? = least
      if skip(",") { most = number() }
      guard skip("}") else { throw failure("a { has no }") }
      let limit = Grammar.maxRepetitions
      if least > limit || most ?? 0 > limit { throw failure("at most \(limit) repetitions are possible") }
      if let most, most < least { throw failure("a quantifier ends before it begins") }
      result = JSONSchemaGrammar.repetition(least, most)
    default: return ""
    }
    if let next = peek, next == "?" || next == "+" || next == "*" || next == "{" {
      throw failure("lazy and possessive quantifiers are not supported")
    }
    return result
  }

  private mutating func number() -> Int? {
    var value: Int?
    while let next = peek, ("0"..."9").contains(next) {
      value = min((value ?? 0) * 10 + Int(next.value - 48), 1_000_000)
      at += 1
    }
    return value
  }

  // MARK: Characters

  private static let digits: [ClosedRange<UInt32>] = [0x30...0x39]
  private static let word: [ClosedRange<UInt32>] = [0x30...0x39, 0x41...0x5A, 0x5F...0x5F, 0x61...0x7A]
  /// White space of ECMAScript.
  private static let space: [ClosedRange<UInt32>] = [
    0x09...0x0D, 0x20...0x20, 0xA0...0xA0, 0x1680...0x1680, 0x2000...0x200A, 0x2028...0x2029, 0x202F...0x202F,
    0x205F...0x205F, 0x3000...0x3000, 0xFEFF...0xFEFF,
  ]

  /// What follows a backslash.
  private mutating func escape() throws -> ScalarSet {
    guard let next = peek else { throw failure("it ends with a backslash") }
    at += 1
    switch next {
    case "d": return ScalarSet(Self.digits)
    case "D": return ScalarSet(Self.digits, negated: true)
    case "w": return ScalarSet(Self.word)
    case "W": return ScalarSet(Self.word, negated: true)
    case "s": return ScalarSet(Self.space)
    case "S": return ScalarSet(Self.space, negated: true)
    case "n": return ScalarSet([0x0A...0x0A])
    case "r": return ScalarSet([0x0D...0x0D])
    case "t": return ScalarSet([0x09...0x09])
    case "f": return ScalarSet([0x0C...0x0C])
    case "v": return ScalarSet([0x0B...0x0B])
    case "x", "u":
      var value: UInt32 = 0
      for _ in 0..<(next == "x" ? 2 : 4) {
        guard let digit = peek.flatMap({ Character($0).hexDigitValue }) else {
          throw failure("hexadecimal digits are expected after \\\(next)")
        }
        value = value << 4 | UInt32(digit)
        at += 1
      }
      return ScalarSet([value...value])
    case let other where other.isASCII && !Character(other).isLetter && !Character(other).isNumber:
      return ScalarSet([other.value...other.value])
    default: throw failure("the escape \\\(next) is not supported")
    }
  }

  private mutating func characterClass() throws -> ScalarSet {
    let isNegated = skip("^")
    var ranges: [ClosedRange<UInt32>] = []
    while !skip("]") {
      let first = try classMember()
      // A range only between single characters.
      if peek == "-", at + 1 < scalars.count, scalars[at + 1] != "]" {
        at += 1
        let last = try classMember()
        guard let low = Self.single(first), let high = Self.single(last), low <= high else {
          throw failure("a range of a class is not between two characters in their order")
        }
        ranges.append(low...high)
      } else {
        ranges += first.ranges
      }
    }
    if ranges.isEmpty { throw failure("a class is empty") }
    return ScalarSet(ranges, negated: isNegated)
  }

  private mutating func classMember() throws -> ScalarSet {
    guard let next = peek else { throw failure("a [ has no ]") }
    at += 1
    return next == "\\" ? try escape() : ScalarSet([next.value...next.value])
  }

  private static func single(_ set: ScalarSet) -> UInt32? {
    guard set.ranges.count == 1, let range = set.ranges.first, range.count == 1 else { return nil }
    return range.lowerBound
  }

  /// Characters as they stand in a JSON string: some only as escapes. Control characters without a short escape
  /// are left out.
  private func encoded(_ set: ScalarSet) throws -> String {
    let escapes: [(UInt32, String)] = [
      (0x22, #"\""#), (0x5C, #"\\"#), (0x08, #"\b"#), (0x0C, #"\f"#), (0x0A, #"\n"#), (0x0D, #"\r"#),
      (0x09, #"\t"#),
    ]
    var alternatives: [String] = []
    // Removing is adding to the complement.
    let special: [ClosedRange<UInt32>] = [0...0x1F, 0x22...0x22, 0x5C...0x5C, 0x7F...0x7F]
    let complement = ScalarSet(set.ranges, negated: true)
    let plain = ScalarSet(complement.ranges + special, negated: true)
    if !plain.ranges.isEmpty {
      let body = plain.ranges.map { range in
        let low = JSONSchemaGrammar.escape(range.lowerBound)
        return range.count == 1 ? low : "\(low)-\(JSONSchemaGrammar.escape(range.upperBound))"
      }
      alternatives.append("[\(body.joined())]")
    }
    for (value, text) in escapes where set.contains(value) {
      alternatives.append(JSONSchemaGrammar.literal(text))
    }
    if alternatives.isEmpty { throw failure("no character that can be written matches") }
    return alternatives.count == 1 ? alternatives[0] : "(\(alternatives.joined(separator: " | ")))"
  }

  // MARK: Reading

  private var peek: Unicode.Scalar? { at < scalars.count ? scalars[at] : nil }

  private mutating func skip(_ scalar: Unicode.Scalar) -> Bool {
    guard peek == scalar else { return false }
    at += 1
    return true
  }

  private func failure(_ problem: String) -> Failure {
    Failure(problem: "the pattern is not supported: \(problem) (character \(at))")
  }

  private func unexpected(_ scalar: Unicode.Scalar) -> Failure { failure("\(scalar) is not expected there") }
}
