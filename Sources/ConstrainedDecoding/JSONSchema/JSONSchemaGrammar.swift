/// A JSON Schema as a grammar in GBNF: whatever the grammar allows is valid JSON that the schema accepts.
///
/// Keywords of draft 2020-12 that are understood: `type` (also a list), `properties`, `required`,
/// `additionalProperties`; `items`, `prefixItems`, `minItems`, `maxItems`; `minLength`, `maxLength`, `pattern` (see
/// `JSONSchemaPattern`), `format` (date, time, date-time, uuid, ipv4); `minimum`, `maximum`, `exclusiveMinimum`,
/// `exclusiveMaximum` of integers, and `minimum` 0 of numbers; `enum`, `const`, `anyOf`, `oneOf` (as `anyOf`),
/// `allOf` of objects, `$ref` within the document (also to itself), `$defs`, `definitions`. Annotations are
/// ignored. Anything else is an error that names its place.
///
/// The grammar allows less than the schema, never more:
/// - properties come in the order in which the schema names them (as OpenAI's structured outputs do);
/// - an object that names properties has others only where `additionalProperties` says so, at the end;
/// - between values there is at most one space, or one line end and its indentation, so that a model cannot go on
///   with white space for ever; numbers have at most 16 digits before and after the point.
public struct JSONSchemaGrammar {
  /// Bytes of a schema.
  public static let maxBytes = 128 << 10
  /// Arrays and objects of a schema within each other.
  public static let maxDepth = 64
  /// Values of one `enum`.
  public static let maxEnumValues = 1000

  /// The grammar of any JSON object: what `response_format` `json_object` asks for.
  public static let anyObject: String = {
    var builder = JSONSchemaGrammar(root: .object([]))
    builder.rules.append((name: "root", body: builder.primitive("object")))
    return builder.text
  }()

  /// The grammar of the JSON documents that a schema describes.
  ///
  /// - Parameter schema: the schema as it came, in UTF-8
  /// - Throws: `ConstraintError` that names the place (a JSON pointer) and what is wrong there.
  public static func rules(schema: [UInt8]) throws -> GrammarRules {
    guard schema.count <= maxBytes else {
      throw error("", "it has \(schema.count) bytes: at most \(maxBytes) are accepted")
    }
    let root: OrderedJSON
    do {
      root = try OrderedJSON(schema, maxDepth: maxDepth)
    } catch {
      throw Self.error("", "it is not valid JSON: \(error)")
    }
    var builder = JSONSchemaGrammar(root: root)
    let body = builder.rule(forReference: "")
    builder.rules.insert((name: "root", body: body), at: 0)
    while let (pointer, name) = builder.waiting.popLast() {
      guard let target = builder.target(of: pointer) else { continue }
      let body = try builder.expression(target, at: pointer)
      builder.rules.append((name: name, body: body))
    }
    do {
      return try GrammarRules(builder.text)
    } catch let problem as ConstraintError {
      throw error("", "as a grammar it cannot be used (\(problem))")
    }
  }

  static func error(_ pointer: String, _ problem: String) -> ConstraintError {
    let place = pointer.isEmpty ? "" : " at \(pointer)"
    return ConstraintError("the JSON schema cannot be used\(place): \(problem)")
  }

  // MARK: Building

  let root: OrderedJSON
  private var rules: [(name: String, body: String)] = []
  private var primitives: Set<String> = []
  /// Rules of the places that references point to, by pointer.
  private var references: [String: String] = [:]
  /// Places whose rules are still to be written. A list and not recursion: references may form long chains.
  private var waiting: [(pointer: String, name: String)] = []

  private init(root: OrderedJSON) { self.root = root }

  private var text: String { rules.map { "\($0.name) ::= \($0.body)\n" }.joined() }

  /// Adds a rule and returns its name.
  mutating func rule(_ body: String) -> String {
    let name = "r\(rules.count)"
    rules.append((name: name, body: body))
    return name
  }

  private mutating func rule(forReference pointer: String) -> String {
    if let known = references[pointer] { return known }
    let name = "ref\(references.count)"
    references[pointer] = name
    waiting.append((pointer, name))
    return name
  }

  private func target(of pointer: String) -> OrderedJSON? {
    var at = root
    // The first part is the empty one before the first slash.
    for part in pointer.split(separator: "/", omittingEmptySubsequences: false).dropFirst() {
      let key = String(part.replacing("~1", with: "/").replacing("~0", with: "~"))
      if let member = at[key] {
        at = member
      } else if case .array(let items) = at, let index = Int(key), items.indices.contains(index) {
        at = items[index]
      } else {
        return nil
      }
    }
    return at
  }

  /// A schema as an expression that can stand in a sequence.
  mutating func expression(_ schema: OrderedJSON, at pointer: String) throws -> String {
    if case .bool(let allowsAll) = schema {
      if allowsAll { return primitive("value") }
      throw Self.error(pointer, "false allows nothing")
    }
    guard case .object(let members) = schema else {
      throw Self.error(pointer, "a schema is an object or a boolean, not \(schema.kind)")
    }
    try Self.checkKeywords(members, at: pointer)
    let asserted = members.filter { !Self.annotations.contains($0.key) && !$0.key.hasPrefix("x-") }
    if asserted.isEmpty { return primitive("value") }

    for (keyword, allowed) in Self.exclusive where schema[keyword] != nil {
      if let other = asserted.first(where: { $0.key != keyword && !allowed.contains($0.key) }) {
        throw Self.error("\(pointer)/\(other.key)", "\(other.key) beside \(keyword) is not supported")
      }
    }
    if let reference = schema["$ref"] { return try rule(for: reference, at: "\(pointer)/$ref") }
    if let value = schema["const"] { return try enumeration([value], of: schema, at: "\(pointer)/const") }
    if let values = schema["enum"] {
      guard case .array(let all) = values, !all.isEmpty else {
        throw Self.error("\(pointer)/enum", "enum is a list of at least one value")
      }
      return try enumeration(all, of: schema, at: "\(pointer)/enum")
    }
    for keyword in ["anyOf", "oneOf"] {
      if let all = schema[keyword] { return try choice(all, at: "\(pointer)/\(keyword)") }
    }
    if schema["allOf"] != nil { return try merged(schema, at: pointer) }
    return try typed(schema, at: pointer)
  }

  private mutating func rule(for reference: OrderedJSON, at pointer: String) throws -> String {
    guard case .string(let text) = reference else {
      throw Self.error(pointer, "$ref is a string, not \(reference.kind)")
    }
    return rule(forReference: try resolve(text, at: pointer))
  }

  /// The pointer that a reference names.
  func resolve(_ reference: String, at pointer: String) throws -> String {
    guard reference.first == "#", reference == "#" || reference.hasPrefix("#/") else {
      throw Self.error(pointer, "only references within the schema (#/...) are supported, not \(reference)")
    }
    let target = Self.decodingPercents(String(reference.dropFirst()))
    guard self.target(of: target) != nil else {
      throw Self.error(pointer, "the schema has nothing at \(reference)")
    }
    return target
  }

  func schema(at pointer: String) -> OrderedJSON? { target(of: pointer) }

  private mutating func enumeration(
    _ values: [OrderedJSON], of schema: OrderedJSON, at pointer: String
  ) throws -> String {
    guard values.count <= Self.maxEnumValues else {
      throw Self.error(pointer, "it has \(values.count) values: at most \(Self.maxEnumValues) are accepted")
    }
    if schema["type"] != nil {
      let types = try types(of: schema, at: pointer)
      if let other = values.first(where: { value in !types.contains { value.isOf(type: $0) } }) {
        throw Self.error(pointer, "\(other.text) is not of type \(types.joined(separator: " or "))")
      }
    }
    return rule(values.map { Self.literal($0.text) }.joined(separator: " | "))
  }

  private mutating func choice(_ schemas: OrderedJSON, at pointer: String) throws -> String {
    guard case .array(let all) = schemas, !all.isEmpty else {
      throw Self.error(pointer, "a list of at least one schema is expected")
    }
    var alternatives: [String] = []
    for (index, schema) in all.enumerated() {
      alternatives.append(try expression(schema, at: "\(pointer)/\(index)"))
    }
    return rule(alternatives.joined(separator: " | "))
  }

  // MARK: Types

  private mutating func typed(_ schema: OrderedJSON, at pointer: String) throws -> String {
    let types = try types(of: schema, at: pointer)
    var alternatives: [String] = []
    for type in types {
      switch type {
      case "object": alternatives.append(try object(schema, at: pointer))
      case "array": alternatives.append(try array(schema, at: pointer))
      case "string": alternatives.append(try string(schema, at: pointer))
      case "integer": alternatives.append(try integer(schema, at: pointer))
      case "number": alternatives.append(try number(schema, at: pointer))
      case "boolean", "null": alternatives.append(primitive(type))
      default: throw Self.error("\(pointer)/type", "there is no type \(type)")
      }
    }
    return alternatives.count == 1 ? alternatives[0] : rule(alternatives.joined(separator: " | "))
  }

  private func types(of schema: OrderedJSON, at pointer: String) throws -> [String] {
    switch schema["type"] {
    case .string(let type): return [type]
    case .array(let all):
      let types = all.compactMap { if case .string(let type) = $0 { type } else { nil } }
      if types.isEmpty || types.count != all.count || Set(types).count != all.count {
        throw Self.error("\(pointer)/type", "a list of types has at least one, each a string and each once")
      }
      return types
    case .some(let other):
      throw Self.error("\(pointer)/type", "type is a string or a list, not \(other.kind)")
    case nil:
      // Without a type, what else is said tells which one is meant.
      for (type, keywords) in Self.keywordsOfTypes where keywords.contains(where: { schema[$0] != nil }) {
        return [type]
      }
      throw Self.error(pointer, "it does not say which type is meant")
    }
  }
}

// MARK: Keywords

extension JSONSchemaGrammar {
  private static let annotations: Set<String> = [
    "$schema", "$id", "$comment", "$defs", "definitions", "title", "description", "default", "example",
    "examples", "deprecated", "readOnly", "writeOnly",
  ]

  private static let keywordsOfTypes: [(type: String, keywords: [String])] = [
    ("object", ["properties", "required", "additionalProperties"]),
    ("array", ["items", "prefixItems", "minItems", "maxItems", "uniqueItems"]),
    ("string", ["minLength", "maxLength", "pattern", "format"]),
    ("number", ["minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum"]),
  ]

  /// Keywords that decide everything, and what may stand beside them.
  private static let exclusive: [(keyword: String, allowed: Set<String>)] = [
    ("$ref", []), ("const", ["type"]), ("enum", ["type"]), ("anyOf", []), ("oneOf", []),
    ("allOf", ["type", "properties", "required", "additionalProperties"]),
  ]

  static func checkKeywords(_ members: [OrderedJSON.Member], at pointer: String) throws {
    for member in members {
      let key = member.key
      if annotations.contains(key) || key.hasPrefix("x-") || key == "type" { continue }
      if exclusive.contains(where: { $0.keyword == key }) { continue }
      if keywordsOfTypes.contains(where: { $0.keywords.contains(key) }) { continue }
      throw error("\(pointer)/\(key)", "the keyword \(key) is not supported")
    }
  }

  /// A whole number that is not negative; nil when the keyword is not there.
  static func count(_ schema: OrderedJSON, _ keyword: String, at pointer: String) throws -> Int? {
    guard let value = schema[keyword] else { return nil }
    guard case .number(let digits) = value, let count = Int(digits), count >= 0 else {
      throw error("\(pointer)/\(keyword)", "\(keyword) is a whole number from 0 on")
    }
    guard count <= Grammar.maxRepetitions else {
      throw error("\(pointer)/\(keyword)", "\(keyword) is at most \(Grammar.maxRepetitions), not \(count)")
    }
    return count
  }

  static func bounds(
    _ schema: OrderedJSON, _ least: String, _ most: String, at pointer: String
  ) throws -> (least: Int, most: Int?) {
    let low = try count(schema, least, at: pointer) ?? 0
    let high = try count(schema, most, at: pointer)
    if let high, high < low { throw error("\(pointer)/\(most)", "\(most) is below \(least)") }
    return (low, high)
  }

  private static func decodingPercents(_ text: String) -> String {
    var bytes: [UInt8] = []
    let source = Array(text.utf8)
    var at = 0
    while at < source.count {
      if source[at] == UInt8(ascii: "%"), at + 2 < source.count,
        let value = UInt8(String(decoding: source[(at + 1)...(at + 2)], as: UTF8.self), radix: 16)
      {
        bytes.append(value)
        at += 3
      } else {
        bytes.append(source[at])
        at += 1
      }
    }
    return String(decoding: bytes, as: UTF8.self)
  }
}

extension OrderedJSON {
  /// Whether it is of a type in the words of JSON Schema.
  fileprivate func isOf(type: String) -> Bool {
    switch self {
    case .null: type == "null"
    case .bool: type == "boolean"
    case .number(let digits): type == "number" || (type == "integer" && Int(digits) != nil)
    case .string: type == "string"
    case .array: type == "array"
    case .object: type == "object"
    }
  }
}

// MARK: Text of the grammar

extension JSONSchemaGrammar {
  /// Exactly this text.
  static func literal(_ text: String) -> String {
    var result = "\""
    for scalar in text.unicodeScalars {
      switch scalar {
      case "\"": result += "\\\""
      case "\\": result += "\\\\"
      case let control where control.value < 0x20 || control.value == 0x7F:
        result += escape(control.value)
      default: result.unicodeScalars.append(scalar)
      }
    }
    return result + "\""
  }

  static func escape(_ value: UInt32) -> String {
    let digits = String(value, radix: 16, uppercase: true)
    let width = value < 0x80 ? 2 : 8
    return (width == 2 ? "\\x" : "\\U") + String(repeating: "0", count: width - digits.count) + digits
  }

  private static let primitiveBodies: [String: (body: String, uses: [String])] = [
    "ws": (#"(" " | "\n" [ \t]{0,16})?"#, []),
    "hex": ("[0-9a-fA-F]", []),
    // Of the characters beyond 16 bits, an escape gives both halves.
    "char": (
      #"[^"\\\x00-\x1F\x7F] | "\\" (["\\/bfnrt] | "u" ([0-9abcefABCEF] hex{3} | [dD] [0-7] hex{2}"#
        + #" | [dD] [89abAB] hex{2} "\\u" [dD] [c-fC-F] hex{2}))"#, ["hex"]
    ),
    "string": (#""\"" char* "\"""#, ["char"]),
    "integer": (#""-"? ("0" | [1-9] [0-9]{0,15})"#, []),
    "number": ("integer fraction", ["integer", "fraction"]),
    "fraction": (#"("." [0-9]{1,16})? ([eE] [-+]? [0-9]{1,2})?"#, []),
    "boolean": (#""true" | "false""#, []),
    "null": (#""null""#, []),
    "value": (
      "object | array | string | number | boolean | null",
      ["object", "array", "string", "number", "boolean", "null"]
    ),
    "pair": (#"string ":" ws value"#, ["string", "ws", "value"]),
    "object": (#""{" ws (pair ("," ws pair)* ws)? "}""#, ["pair", "ws"]),
    "array": (#""[" ws (value ("," ws value)* ws)? "]""#, ["value", "ws"]),
  ]

  /// Adds a rule that many schemas need, and those that it needs itself.
  mutating func primitive(_ name: String) -> String {
    guard let (body, uses) = Self.primitiveBodies[name], primitives.insert(name).inserted else { return name }
    rules.append((name: name, body: body))
    for use in uses { _ = primitive(use) }
    return name
  }
}
