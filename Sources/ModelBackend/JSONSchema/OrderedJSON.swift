/// A JSON document with its objects' keys in the order of the text, which decoders of the standard kind lose.
indirect enum OrderedJSON: Hashable, Sendable {
  case null
  case bool(Bool)
  /// As written: no digit is lost.
  case number(String)
  case string(String)
  case array([OrderedJSON])
  case object([Member])

  struct Member: Hashable, Sendable {
    var key: String
    var value: OrderedJSON
  }

  struct Failure: Error {
    var problem: String
  }

  /// - Parameter maxDepth: arrays and objects within each other
  /// - Throws: `Failure` that says what is wrong and at which byte.
  init(_ bytes: [UInt8], maxDepth: Int) throws(Failure) {
    var parser = Parser(bytes: bytes, maxDepth: maxDepth)
    self = try parser.document()
  }

  /// The value of a key of an object.
  subscript(key: String) -> OrderedJSON? {
    guard case .object(let members) = self else { return nil }
    return members.first { $0.key == key }?.value
  }

  var kind: String {
    switch self {
    case .null: "null"
    case .bool: "a boolean"
    case .number: "a number"
    case .string: "a string"
    case .array: "an array"
    case .object: "an object"
    }
  }

  /// JSON without spaces.
  var text: String {
    switch self {
    case .null: return "null"
    case .bool(let value): return value ? "true" : "false"
    case .number(let digits): return digits
    case .string(let value): return Self.quoted(value)
    case .array(let items): return "[" + items.map(\.text).joined(separator: ",") + "]"
    case .object(let members):
      return "{" + members.map { Self.quoted($0.key) + ":" + $0.value.text }.joined(separator: ",") + "}"
    }
  }

  /// A JSON string, quotes included.
  static func quoted(_ text: String) -> String {
    var result = "\""
    for scalar in text.unicodeScalars {
      switch scalar {
      case "\"": result += "\\\""
      case "\\": result += "\\\\"
      case "\n": result += "\\n"
      case "\r": result += "\\r"
      case "\t": result += "\\t"
      case let control where control.value < 0x20:
        let digits = String(control.value, radix: 16)
        result += "\\u" + String(repeating: "0", count: 4 - digits.count) + digits
      default: result.unicodeScalars.append(scalar)
      }
    }
    return result + "\""
  }
}

private struct Parser {
  typealias Failure = OrderedJSON.Failure

  let bytes: [UInt8]
  let maxDepth: Int
  private var at = 0
  private var depth = 0

  init(bytes: [UInt8], maxDepth: Int) {
    self.bytes = bytes
    self.maxDepth = maxDepth
  }

  mutating func document() throws(Failure) -> OrderedJSON {
    let value = try value()
    skipSpace()
    if at < bytes.count { throw failure("something follows the document") }
    return value
  }

  private mutating func value() throws(Failure) -> OrderedJSON {
    skipSpace()
    guard let byte = peek else { throw failure("the document ends where a value is expected") }
    switch byte {
    case UInt8(ascii: "{"): return try object()
    case UInt8(ascii: "["): return try array()
    case UInt8(ascii: "\""): return .string(try string())
    case UInt8(ascii: "-"), UInt8(ascii: "0")...UInt8(ascii: "9"): return .number(try number())
    default:
      for (word, value) in [("null", OrderedJSON.null), ("true", .bool(true)), ("false", .bool(false))]
      where bytes[at...].starts(with: word.utf8) {
        at += word.utf8.count
        return value
      }
      throw failure("expected a value")
    }
  }

  private mutating func object() throws(Failure) -> OrderedJSON {
    try descend()
    var members: [OrderedJSON.Member] = []
    var keys: Set<String> = []
    at += 1
    skipSpace()
    if skip("}") {
      depth -= 1
      return .object([])
    }
    repeat {
      skipSpace()
      guard peek == UInt8(ascii: "\"") else { throw failure("expected a key") }
      let key = try string()
      if !keys.insert(key).inserted { throw failure("key \(OrderedJSON.quoted(key)) is there twice") }
      skipSpace()
      guard skip(":") else { throw failure("expected : after a key") }
      members.append(OrderedJSON.Member(key: key, value: try value()))
      skipSpace()
    } while skip(",")
    guard skip("}") else { throw failure("expected , or } in an object") }
    depth -= 1
    return .object(members)
  }

  private mutating func array() throws(Failure) -> OrderedJSON {
    try descend()
    var items: [OrderedJSON] = []
    at += 1
    skipSpace()
    if skip("]") {
      depth -= 1
      return .array([])
    }
    repeat {
      items.append(try value())
      skipSpace()
    } while skip(",")
    guard skip("]") else { throw failure("expected , or ] in an array") }
    depth -= 1
    return .array(items)
  }

  private mutating func descend() throws(Failure) {
    depth += 1
    if depth > maxDepth { throw failure("it is nested more than \(maxDepth) deep") }
  }

  private mutating func number() throws(Failure) -> String {
    let start = at
    _ = skip("-")
    let whole = digits()
    var isValid = whole > 0
    if whole > 1, bytes[at - whole] == UInt8(ascii: "0") { isValid = false }
    if skip(".") { isValid = digits() > 0 && isValid }
    if skip("e") || skip("E") {
      if !skip("+") { _ = skip("-") }
      isValid = digits() > 0 && isValid
    }
    guard isValid else { throw failure("a number is not well formed") }
    return String(decoding: bytes[start..<at], as: UTF8.self)
  }

  private mutating func digits() -> Int {
    let start = at
    while let byte = peek, (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(byte) { at += 1 }
    return at - start
  }

  private mutating func string() throws(Failure) -> String {
    at += 1
    var text: [UInt8] = []
    while true {
      guard let byte = peek else { throw failure("a string has no end") }
      at += 1
      if byte == UInt8(ascii: "\"") { break }
      if byte < 0x20 { throw failure("a string contains a control character") }
      guard byte == UInt8(ascii: "\\") else {
        text.append(byte)
        continue
      }
      text += Array(String(Character(try escape())).utf8)
    }
    guard let result = String(validating: text, as: UTF8.self) else {
      throw failure("a string is not well-formed UTF-8")
    }
    return result
  }

  /// What follows a backslash.
  private mutating func escape() throws(Failure) -> Unicode.Scalar {
    guard let byte = peek else { throw failure("a string has no end") }
    at += 1
    switch byte {
    case UInt8(ascii: "\""), UInt8(ascii: "\\"), UInt8(ascii: "/"): return Unicode.Scalar(byte)
    case UInt8(ascii: "b"): return "\u{8}"
    case UInt8(ascii: "f"): return "\u{c}"
    case UInt8(ascii: "n"): return "\n"
    case UInt8(ascii: "r"): return "\r"
    case UInt8(ascii: "t"): return "\t"
    case UInt8(ascii: "u"):
      let first = try hex()
      if (0xD800..<0xDC00).contains(first) {
        guard skip("\\"), skip("u") else { throw failure("half of a surrogate pair is missing") }
        let second = try hex()
        guard (0xDC00..<0xE000).contains(second),
          let scalar = Unicode.Scalar(0x10000 + (first - 0xD800) << 10 + (second - 0xDC00))
        else { throw failure("half of a surrogate pair is missing") }
        return scalar
      }
      guard let scalar = Unicode.Scalar(first) else { throw failure("half of a surrogate pair is missing") }
      return scalar
    default: throw failure("there is no such escape")
    }
  }

  private mutating func hex() throws(Failure) -> UInt32 {
    var value: UInt32 = 0
    for _ in 0..<4 {
      guard let byte = peek, let digit = Character(Unicode.Scalar(byte)).hexDigitValue else {
        throw failure("expected 4 hexadecimal digits")
      }
      value = value << 4 | UInt32(digit)
      at += 1
    }
    return value
  }

  private var peek: UInt8? { at < bytes.count ? bytes[at] : nil }

  private mutating func skip(_ character: Unicode.Scalar) -> Bool {
    guard peek == UInt8(ascii: character) else { return false }
    at += 1
    return true
  }

  private mutating func skipSpace() {
    while let byte = peek, byte == 0x20 || byte == 0x0A || byte == 0x0D || byte == 0x09 { at += 1 }
  }

  private func failure(_ problem: String) -> Failure { Failure(problem: "\(problem) (byte \(at))") }
}
