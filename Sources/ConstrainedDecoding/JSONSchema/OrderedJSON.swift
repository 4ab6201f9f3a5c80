import StrictJSON

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

  /// - Parameter maxDepth: arrays and objects within each other
  /// - Throws: `JSONError`
  init(_ bytes: [UInt8], maxDepth: Int) throws(JSONError) {
    var limits = JSONReader.Limits()
    limits.depth = maxDepth
    self.init(try JSONReader.read(bytes, limits: limits), in: bytes)
  }

  private init(_ node: JSONNode, in bytes: [UInt8]) {
    switch node.value {
    case .null: self = .null
    case .bool(let flag): self = .bool(flag)
    case .integer, .real: self = .number(String(decoding: bytes[node.range], as: UTF8.self))
    case .string(let text): self = .string(text)
    case .array(let items): self = .array(items.map { OrderedJSON($0, in: bytes) })
    case .object(let members):
      self = .object(members.map { Member(key: $0.key, value: OrderedJSON($0.node, in: bytes)) })
    }
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
    case .string(let value): return JSONString.quoted(value)
    case .array(let items): return "[" + items.map(\.text).joined(separator: ",") + "]"
    case .object(let members):
      return "{" + members.map { JSONString.quoted($0.key) + ":" + $0.value.text }.joined(separator: ",")
        + "}"
    }
  }
}
