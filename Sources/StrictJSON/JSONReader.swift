/// Reads JSON (RFC 8259) from a peer that is not trusted.
///
/// Stricter than Foundation's: duplicate keys, lone surrogates and invalid UTF-8 are errors, never repaired, since
/// two readers that repair differently see two requests. Depth and the number of values are bounded, so that memory
/// is a small multiple of the document's size and the stack is never exhausted. Keys keep their order and every value
/// its bytes, for what is handed on as it came (a JSON schema).
package struct JSONReader {
  package struct Limits: Sendable {
    /// Arrays and objects inside each other.
    package var depth = 64
    /// Values of all kinds in the document.
    package var values = 200_000
    /// Bytes of one number.
    package var numberBytes = 128

    package init() {}
  }

  private let bytes: [UInt8]
  private let limits: Limits
  private var at = 0
  private var values = 0

  /// - Throws: `JSONError`.
  package static func read(_ bytes: [UInt8], limits: Limits = Limits()) throws(JSONError) -> JSONNode {
    var reader = JSONReader(bytes: bytes, limits: limits)
    reader.skipSpace()
    let node = try reader.value(depth: 0)
    reader.skipSpace()
    if reader.at < bytes.count {
      throw reader.error("something follows: there is more after the end of the value")
    }
    return node
  }

  private init(bytes: [UInt8], limits: Limits) {
    self.bytes = bytes
    self.limits = limits
  }

  private func error(_ reason: String, at offset: Int? = nil) -> JSONError {
    JSONError(reason: reason, offset: offset ?? at)
  }

  private var next: UInt8? { at < bytes.count ? bytes[at] : nil }

  private mutating func skipSpace() {
    while at < bytes.count {
      switch bytes[at] {
      case 0x20, 0x09, 0x0A, 0x0D: at += 1
      default: return
      }
    }
  }

  private mutating func value(depth: Int) throws(JSONError) -> JSONNode {
    values += 1
    if values > limits.values { throw error("there are more than \(limits.values) values") }
    let start = at
    let value: JSONNode.Value
    switch next {
    case UInt8(ascii: "{"):
      value = .object(try object(depth: depth + 1))
    case UInt8(ascii: "["):
      value = .array(try array(depth: depth + 1))
    case UInt8(ascii: "\""):
      value = .string(try string())
    case UInt8(ascii: "t"):
      value = try literal("true", .bool(true))
    case UInt8(ascii: "f"):
      value = try literal("false", .bool(false))
    case UInt8(ascii: "n"):
      value = try literal("null", .null)
    case .some(UInt8(ascii: "-")), .some(UInt8(ascii: "0")...UInt8(ascii: "9")):
      value = try number()
    case nil:
      throw error("the document ends where a value should begin")
    default:
      throw error("no value begins like this")
    }
    return JSONNode(value: value, range: start..<at)
  }

  private mutating func literal(
    _ text: StaticString, _ value: JSONNode.Value
  ) throws(JSONError) -> JSONNode.Value {
    let count = text.utf8CodeUnitCount
    let matches =
      bytes.count - at >= count && (0..<count).allSatisfy { bytes[at + $0] == text.utf8Start[$0] }
    guard matches else { throw error("no value begins like this") }
    at += count
    return value
  }

  private mutating func array(depth: Int) throws(JSONError) -> [JSONNode] {
    if depth > limits.depth { throw error("arrays and objects are nested more than \(limits.depth) deep") }
    at += 1
    skipSpace()
    var result: [JSONNode] = []
    if next == UInt8(ascii: "]") {
      at += 1
      return result
    }
    while true {
      result.append(try value(depth: depth))
      skipSpace()
      switch next {
      case UInt8(ascii: ","):
        at += 1
        skipSpace()
      case UInt8(ascii: "]"):
        at += 1
        return result
      default:
        throw error("an array needs a comma or its closing bracket")
      }
    }
  }

  private mutating func object(depth: Int) throws(JSONError) -> [JSONMember] {
    if depth > limits.depth { throw error("arrays and objects are nested more than \(limits.depth) deep") }
    at += 1
    skipSpace()
    var result: [JSONMember] = []
    if next == UInt8(ascii: "}") {
      at += 1
      return result
    }
    // Only objects that are not small pay for a set.
    var keys: Set<String> = []
    while true {
      guard next == UInt8(ascii: "\"") else { throw error("a key in double quotes is expected") }
      let start = at
      let key = try string()
      let isRepeated: Bool
      if result.count < 16 {
        isRepeated = result.contains { $0.key.utf8.elementsEqual(key.utf8) }
      } else {
        if keys.isEmpty { keys = Set(result.map(\.key)) }
        isRepeated = !keys.insert(key).inserted
      }
      if isRepeated { throw error("the key \"\(key.prefix(64))\" occurs twice", at: start) }
      skipSpace()
      guard next == UInt8(ascii: ":") else { throw error("a key needs a colon after it") }
      at += 1
      skipSpace()
      result.append(JSONMember(key: key, node: try value(depth: depth)))
      skipSpace()
      switch next {
      case UInt8(ascii: ","):
        at += 1
        skipSpace()
      case UInt8(ascii: "}"):
        at += 1
        return result
      default:
        throw error("an object needs a comma or its closing brace")
      }
    }
  }

  // MARK: Numbers

  private mutating func digits() -> Int {
    let start = at
    while at < bytes.count, (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(bytes[at]) { at += 1 }
    return at - start
  }

  private mutating func number() throws(JSONError) -> JSONNode.Value {
    let start = at
    var isInteger = true
    if next == UInt8(ascii: "-") { at += 1 }
    let first = at
    let whole = digits()
    if whole == 0 { throw error("a number needs a digit here") }
    if whole > 1, bytes[first] == UInt8(ascii: "0") {
      throw error("a number may not begin with 0", at: first)
    }
    if next == UInt8(ascii: ".") {
      isInteger = false
      at += 1
      if digits() == 0 { throw error("a number needs a digit here") }
    }
    if next == UInt8(ascii: "e") || next == UInt8(ascii: "E") {
      isInteger = false
      at += 1
      if next == UInt8(ascii: "+") || next == UInt8(ascii: "-") { at += 1 }
      if digits() == 0 { throw error("a number needs a digit here") }
    }
    if at - start > limits.numberBytes {
      throw error("a number has more than \(limits.numberBytes) characters", at: start)
    }
    let text = String(decoding: bytes[start..<at], as: UTF8.self)
    if isInteger, let value = Int128(text) { return .integer(value) }
    guard let value = Double(text), value.isFinite else {
      throw error("the number \(text.prefix(40)) is too large", at: start)
    }
    return .real(value)
  }

  // MARK: Strings

  private mutating func string() throws(JSONError) -> String {
    let start = at
    at += 1
    var from = at
    var unescaped: [UInt8]? = nil
    while true {
      guard let byte = next else { throw error("a string has no end", at: start) }
      switch byte {
      case UInt8(ascii: "\""):
        let text: String?
        if var whole = unescaped {
          whole += bytes[from..<at]
          text = String(validating: whole, as: UTF8.self)
        } else {
          text = String(validating: bytes[from..<at], as: UTF8.self)
        }
        guard let text else { throw error("a string is not valid UTF-8", at: start) }
        at += 1
        return text
      case UInt8(ascii: "\\"):
        if unescaped == nil { unescaped = [] }
        unescaped! += bytes[from..<at]
        at += 1
        unescaped! += try escape()
        from = at
      case 0..<0x20:
        throw error("a string contains a control character that is not escaped")
      default:
        at += 1
      }
    }
  }

  /// The bytes that the escape after a backslash stands for.
  private mutating func escape() throws(JSONError) -> [UInt8] {
    guard let byte = next else { throw error("a string has no end") }
    at += 1
    switch byte {
    case UInt8(ascii: "\""), UInt8(ascii: "\\"), UInt8(ascii: "/"): return [byte]
    case UInt8(ascii: "b"): return [0x08]
    case UInt8(ascii: "f"): return [0x0C]
    case UInt8(ascii: "n"): return [0x0A]
    case UInt8(ascii: "r"): return [0x0D]
    case UInt8(ascii: "t"): return [0x09]
    case UInt8(ascii: "u"):
      let start = at - 2
      let unit = try hexUnit()
      var scalar = UInt32(unit)
      if (0xD800...0xDFFF).contains(unit) {
        guard unit < 0xDC00, next == UInt8(ascii: "\\"), at + 1 < bytes.count,
          bytes[at + 1] == UInt8(ascii: "u")
        else { throw error("half of a surrogate pair stands alone", at: start) }
        at += 2
        let low = try hexUnit()
        guard (0xDC00...0xDFFF).contains(low) else {
          throw error("half of a surrogate pair stands alone", at: start)
        }
        scalar = 0x10000 + (UInt32(unit) - 0xD800) << 10 + (UInt32(low) - 0xDC00)
      }
      return Array(String(Unicode.Scalar(scalar)!).utf8)
    default:
      throw error("there is no escape like this", at: at - 1)
    }
  }

  private mutating func hexUnit() throws(JSONError) -> UInt16 {
    var unit: UInt16 = 0
    for _ in 0..<4 {
      guard let byte = next, let digit = Character(Unicode.Scalar(byte)).hexDigitValue, byte < 0x80 else {
        throw error("\\u needs four hexadecimal digits")
      }
      unit = unit << 4 | UInt16(digit)
      at += 1
    }
    return unit
  }
}
