/// Reads GBNF, llama.cpp's notation for grammars (its `grammars/README.md`), token literals such as `<[7]>` apart.
struct GrammarParser {
  indirect enum Expression {
    case set(ScalarSet)
    /// One of the rules, by number.
    case rule(Int)
    case sequence([Expression])
    case alternatives([Expression])
    /// `most` nil: any number.
    case repetition(Expression, least: Int, most: Int?)
  }

  struct Rule {
    var name: String
    /// Where it is mentioned first.
    var line: Int
    var body: Expression?
  }

  struct Failure: Error {
    var line: Int
    var problem: String
  }

  private(set) var rules: [Rule] = []
  private var numbers: [String: Int] = [:]
  private let text: [UInt8]
  private var at = 0
  private var line = 1
  private var nesting = 0

  /// - Throws: `Failure`
  static func rules(of text: some Sequence<UInt8>) throws(Failure) -> [Rule] {
    var parser = GrammarParser(text: Array(text))
    parser.skipSpace(overLines: true)
    while parser.peek != nil { try parser.parseRule() }
    for rule in parser.rules where rule.body == nil {
      throw Failure(line: rule.line, problem: "there is no rule \(rule.name)")
    }
    return parser.rules
  }

  private init(text: [UInt8]) { self.text = text }

  // MARK: Rules

  private mutating func parseRule() throws(Failure) {
    let number = try parseName()
    skipSpace(overLines: false)
    guard text[at...].starts(with: "::=".utf8) else { throw failure("expected ::= after the rule's name") }
    at += 3
    skipSpace(overLines: true)
    let body = try parseAlternatives(isNested: false)
    if rules[number].body != nil { throw failure("rule \(rules[number].name) is there twice") }
    rules[number].body = body
    if let byte = peek, byte != .newline, byte != .carriageReturn {
      throw failure("expected the end of the line, not \(describe(byte))")
    }
    skipSpace(overLines: true)
  }

  private mutating func parseName() throws(Failure) -> Int {
    let start = at
    while let byte = peek, byte.isNameByte { at += 1 }
    guard at > start else { throw failure("expected a rule's name, not \(peek.map(describe) ?? "the end")") }
    guard at - start <= 256 else { throw failure("a rule's name has at most 256 bytes") }
    let name = String(decoding: text[start..<at], as: UTF8.self)
    if let known = numbers[name] { return known }
    numbers[name] = rules.count
    rules.append(Rule(name: name, line: line, body: nil))
    return rules.count - 1
  }

  private mutating func parseAlternatives(isNested: Bool) throws(Failure) -> Expression {
    var all = [try parseSequence(isNested: isNested)]
    while peek == .bar {
      at += 1
      skipSpace(overLines: true)
      all.append(try parseSequence(isNested: isNested))
    }
    return all.count == 1 ? all[0] : .alternatives(all)
  }

  private mutating func parseSequence(isNested: Bool) throws(Failure) -> Expression {
    var items: [Expression] = []
    while let byte = peek {
      var item: Expression
      switch byte {
      case .quote: item = try parseLiteral()
      case .leftBracket: item = .set(try parseClass())
      case .leftParenthesis: item = try parseGroup()
      case .dot:
        at += 1
        item = .set(.any)
      case .less, .exclamation:
        throw failure("token literals such as <[7]> are not supported: write the text instead")
      case .star, .plus, .question, .leftBrace:
        throw failure("\(describe(byte)) has nothing before it to repeat")
      default:
        guard byte.isNameByte else { return .sequence(items) }
        item = .rule(try parseName())
      }
      skipSpace(overLines: isNested)
      var count = 0
      while let repeated = try parseRepetition(of: item, isNested: isNested) {
        item = repeated
        count += 1
        if count > 8 { throw failure("more than 8 repetition signs follow each other") }
      }
      items.append(item)
    }
    return .sequence(items)
  }

  private mutating func parseGroup() throws(Failure) -> Expression {
    nesting += 1
    guard nesting <= Grammar.maxNesting else {
      throw failure("parentheses are nested more than \(Grammar.maxNesting) deep")
    }
    at += 1
    skipSpace(overLines: true)
    let body = try parseAlternatives(isNested: true)
    guard peek == .rightParenthesis else { throw failure("a ( has no )") }
    at += 1
    nesting -= 1
    return body
  }

  private mutating func parseRepetition(
    of item: Expression, isNested: Bool
  ) throws(Failure) -> Expression? {
    guard let byte = peek else { return nil }
    let (least, most): (Int, Int?)
    switch byte {
    case .star: (least, most) = (0, nil)
    case .plus: (least, most) = (1, nil)
    case .question: (least, most) = (0, 1)
    case .leftBrace: (least, most) = try parseBounds(isNested: isNested)
    default: return nil
    }
    at += 1
    skipSpace(overLines: isNested)
    return .repetition(item, least: least, most: most)
  }

  /// `{m}`, `{m,}` or `{m,n}`, up to the closing brace.
  private mutating func parseBounds(isNested: Bool) throws(Failure) -> (Int, Int?) {
    at += 1
    skipSpace(overLines: isNested)
    guard let least = try parseNumber() else { throw failure("expected a number after {") }
    skipSpace(overLines: isNested)
    var most: Int? = least
    if peek == .comma {
      at += 1
      skipSpace(overLines: isNested)
      most = try parseNumber()
      skipSpace(overLines: isNested)
    }
    guard peek == .rightBrace else { throw failure("expected } after the repetition's numbers") }
    if let most, most < least { throw failure("the repetition {\(least),\(most)} ends before it begins") }
    return (least, most)
  }

  private mutating func parseNumber() throws(Failure) -> Int? {
    var value: Int?
    while let byte = peek, (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(byte) {
      value = (value ?? 0) * 10 + Int(byte - UInt8(ascii: "0"))
      at += 1
      if let value, value > Grammar.maxRepetitions {
        throw failure("at most \(Grammar.maxRepetitions) repetitions are possible")
      }
    }
    return value
  }

  // MARK: Characters

  private mutating func parseLiteral() throws(Failure) -> Expression {
    at += 1
    var items: [Expression] = []
    while peek != .quote {
      let scalar = try parseCharacter(in: "a literal")
      items.append(.set(ScalarSet([scalar...scalar])))
    }
    at += 1
    return items.count == 1 ? items[0] : .sequence(items)
  }

  private mutating func parseClass() throws(Failure) -> ScalarSet {
    at += 1
    let isNegated = peek == .caret
    if isNegated { at += 1 }
    var ranges: [ClosedRange<UInt32>] = []
    while peek != .rightBracket {
      let first = try parseCharacter(in: "a character class")
      var last = first
      if peek == .minus, at + 1 < text.count, text[at + 1] != .rightBracket {
        at += 1
        last = try parseCharacter(in: "a character class")
      }
      if last < first { throw failure("a range of a character class ends before it begins") }
      ranges.append(first...last)
    }
    at += 1
    if ranges.isEmpty { throw failure("a character class is empty") }
    return ScalarSet(ranges, negated: isNegated)
  }

  private mutating func parseCharacter(in what: String) throws(Failure) -> UInt32 {
    guard let byte = peek else { throw failure("\(what) has no end") }
    guard byte == .backslash else { return try parseScalar() }
    at += 1
    guard let escape = peek else { throw failure("\(what) has no end") }
    at += 1
    switch escape {
    case UInt8(ascii: "n"): return 10
    case UInt8(ascii: "r"): return 13
    case UInt8(ascii: "t"): return 9
    case .backslash, .quote, .leftBracket, .rightBracket, .minus: return UInt32(escape)
    case UInt8(ascii: "x"): return try parseHex(digits: 2)
    case UInt8(ascii: "u"): return try parseHex(digits: 4)
    case UInt8(ascii: "U"): return try parseHex(digits: 8)
    default: throw failure("there is no escape \\\(describe(escape)) (there are n r t \\ \" [ ] - x u U)")
    }
  }

  private mutating func parseHex(digits: Int) throws(Failure) -> UInt32 {
    var value: UInt32 = 0
    for _ in 0..<digits {
      guard let byte = peek, let digit = Character(Unicode.Scalar(byte)).hexDigitValue else {
        throw failure("expected \(digits) hexadecimal digits")
      }
      value = value << 4 | UInt32(digit)
      at += 1
    }
    return value
  }

  /// One UTF-8 character. The text comes out of a `String`, so it is well formed.
  private mutating func parseScalar() throws(Failure) -> UInt32 {
    let first = text[at]
    let length = first < 0x80 ? 1 : first < 0xE0 ? 2 : first < 0xF0 ? 3 : 4
    guard at + length <= text.count else { throw failure("a character is cut off") }
    if first == .newline { line += 1 }
    var value = length == 1 ? UInt32(first) : UInt32(first) & (0x7F >> UInt32(length))
    for byte in text[(at + 1)..<(at + length)] { value = value << 6 | UInt32(byte & 0x3F) }
    at += length
    return value
  }

  // MARK: Bytes

  private var peek: UInt8? { at < text.count ? text[at] : nil }

  /// Spaces, tabs and comments; line ends too where `overLines` says so.
  private mutating func skipSpace(overLines: Bool) {
    while let byte = peek {
      switch byte {
      case .newline where overLines:
        line += 1
        at += 1
      case .carriageReturn where overLines, UInt8(ascii: " "), UInt8(ascii: "\t"): at += 1
      case UInt8(ascii: "#"):
        while let byte = peek, byte != .newline, byte != .carriageReturn { at += 1 }
      default: return
      }
    }
  }

  private func failure(_ problem: String) -> Failure { Failure(line: line, problem: problem) }

  private func describe(_ byte: UInt8) -> String {
    byte > 0x20 && byte < 0x7F ? String(UnicodeScalar(byte)) : "byte \(byte)"
  }
}

extension UInt8 {
  fileprivate static let newline = UInt8(ascii: "\n")
  fileprivate static let carriageReturn = UInt8(ascii: "\r")
  fileprivate static let quote = UInt8(ascii: "\"")
  fileprivate static let backslash = UInt8(ascii: "\\")
  fileprivate static let bar = UInt8(ascii: "|")
  fileprivate static let leftParenthesis = UInt8(ascii: "(")
  fileprivate static let rightParenthesis = UInt8(ascii: ")")
  fileprivate static let leftBracket = UInt8(ascii: "[")
  fileprivate static let rightBracket = UInt8(ascii: "]")
  fileprivate static let leftBrace = UInt8(ascii: "{")
  fileprivate static let rightBrace = UInt8(ascii: "}")
  fileprivate static let star = UInt8(ascii: "*")
  fileprivate static let plus = UInt8(ascii: "+")
  fileprivate static let question = UInt8(ascii: "?")
  fileprivate static let dot = UInt8(ascii: ".")
  fileprivate static let comma = UInt8(ascii: ",")
  fileprivate static let caret = UInt8(ascii: "^")
  fileprivate static let minus = UInt8(ascii: "-")
  fileprivate static let less = UInt8(ascii: "<")
  fileprivate static let exclamation = UInt8(ascii: "!")

  /// llama.cpp's names have letters, digits and hyphens.
  fileprivate var isNameByte: Bool {
    switch self {
    case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
      UInt8(ascii: "0")...UInt8(ascii: "9"), .minus:
      true
    default: false
    }
  }
}
