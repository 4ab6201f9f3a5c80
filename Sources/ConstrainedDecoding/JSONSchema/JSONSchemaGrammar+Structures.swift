import StrictJSON

// Objects and arrays.
extension JSONSchemaGrammar {
  private struct Property {
    var key: String
    var schema: OrderedJSON
    var pointer: String
    var isRequired: Bool
  }

  /// An object: its properties in the schema's order, each left out where it may be.
  ///
  /// Two rules for each property say what follows it: `first` where nothing stands before, `rest` where a comma is
  /// needed. So the grammar grows with the number of properties, not with the number of their combinations.
  mutating func object(_ schema: OrderedJSON, at pointer: String) throws -> String {
    let properties = try properties(of: schema, at: pointer)
    let known = Set(properties.map(\.key))
    if let missing = try requiredKeys(of: schema, at: pointer).first(where: { !known.contains($0) }) {
      throw Self.error("\(pointer)/required", "\(missing) is required, but is none of the properties")
    }
    let extra = try additional(schema, besides: properties, at: pointer)
    let ws = primitive("ws")
    if properties.isEmpty && extra == nil { return rule(#""{" \#(ws) "}""#) }
    // The space before the closing brace belongs to what stands before it: an empty object has one space at most.
    var rest = extra.map { rule(#"("," \#(ws) \#($0))* \#(ws)"#) } ?? ws
    var first = extra.map { rule(#"(\#($0) \#(rest))?"#) } ?? ""
    for property in properties.reversed() {
      let value = try expression(property.schema, at: property.pointer)
      let key = Self.literal(JSONString.quoted(property.key) + ":")
      let pair = rule("\(key) \(ws) (\(value))")
      // What goes on without the property comes before the bar: after one, a line end would not end the rule.
      let without = property.isRequired ? ("", "") : ("\(first) | ", "\(rest) | ")
      (first, rest) = (
        rule("\(without.0)\(pair) \(rest)"), rule(#"\#(without.1)"," \#(ws) \#(pair) \#(rest)"#)
      )
    }
    return rule(#""{" \#(ws) \#(first) "}""#)
  }

  private func requiredKeys(of schema: OrderedJSON, at pointer: String) throws -> [String] {
    guard let value = schema["required"] else { return [] }
    guard case .array(let names) = value else {
      throw Self.error("\(pointer)/required", "required is a list of strings, not \(value.kind)")
    }
    return try names.map { name in
      guard case .string(let key) = name else {
        throw Self.error("\(pointer)/required", "required is a list of strings")
      }
      return key
    }
  }

  private func properties(of schema: OrderedJSON, at pointer: String) throws -> [Property] {
    let required = Set(try requiredKeys(of: schema, at: pointer))
    guard let value = schema["properties"] else { return [] }
    guard case .object(let members) = value else {
      throw Self.error("\(pointer)/properties", "properties is an object, not \(value.kind)")
    }
    return members.map { member in
      let part = member.key.replacing("~", with: "~0").replacing("/", with: "~1")
      return Property(
        key: member.key, schema: member.value, pointer: "\(pointer)/properties/\(part)",
        isRequired: required.contains(member.key))
    }
  }

  /// A key and value that the properties do not name; nil where there may be none.
  private mutating func additional(
    _ schema: OrderedJSON, besides properties: [Property], at pointer: String
  ) throws -> String? {
    let value: String
    switch schema["additionalProperties"] {
    case nil where properties.isEmpty, .bool(true): value = primitive("value")
    case nil, .bool(false): return nil
    case .some(let other): value = try expression(other, at: "\(pointer)/additionalProperties")
    }
    let key = properties.isEmpty ? primitive("string") : otherKey(than: properties.map(\.key))
    return rule(#"\#(key) ":" \#(primitive("ws")) (\#(value))"#)
  }

  /// A string without escapes that is none of the keys: along a trie of them, at every place a character that no
  /// key goes on with, or the end where no key ends.
  private mutating func otherKey(than keys: [String]) -> String {
    let plain = #"[^"\\\x00-\x1F\x7F]"#
    let any = rule("\(plain)*")
    struct Node {
      var children: [(scalar: Unicode.Scalar, node: Int)] = []
      var isKey = false
    }
    var nodes = [Node()]
    for key in keys {
      var at = 0
      for scalar in key.unicodeScalars {
        if let child = nodes[at].children.first(where: { $0.scalar == scalar }) {
          at = child.node
        } else {
          nodes[at].children.append((scalar, nodes.count))
          at = nodes.count
          nodes.append(Node())
        }
      }
      nodes[at].isKey = true
    }
    // Children have higher numbers than their parents.
    var names = [String](repeating: "", count: nodes.count)
    for index in nodes.indices.reversed() {
      let excluded = nodes[index].children.map { Self.escape($0.scalar.value) }.joined()
      var alternatives = [#"[^"\\\x00-\x1F\x7F\#(excluded)] \#(any)"#]
      for child in nodes[index].children where !Self.needsEscape(child.scalar) {
        alternatives.append("[\(Self.escape(child.scalar.value))] \(names[child.node])")
      }
      if !nodes[index].isKey { alternatives.insert("", at: 0) }
      names[index] = rule(alternatives.joined(separator: " | "))
    }
    return rule(#""\"" \#(names[0]) "\"""#)
  }

  private static func needsEscape(_ scalar: Unicode.Scalar) -> Bool {
    scalar == "\"" || scalar == "\\" || scalar.value < 0x20 || scalar.value == 0x7F
  }

  mutating func array(_ schema: OrderedJSON, at pointer: String) throws -> String {
    if let unique = schema["uniqueItems"], unique != .bool(false) {
      throw Self.error("\(pointer)/uniqueItems", "uniqueItems is not supported")
    }
    var (least, most) = try Self.bounds(schema, "minItems", "maxItems", at: pointer)
    var leading: [String] = []
    switch schema["prefixItems"] {
    case nil: break
    case .array(let schemas):
      for (index, item) in schemas.enumerated() {
        leading.append(try expression(item, at: "\(pointer)/prefixItems/\(index)"))
      }
    case .some(let other):
      throw Self.error("\(pointer)/prefixItems", "prefixItems is a list, not \(other.kind)")
    }
    var following: String?
    switch schema["items"] {
    case .bool(false): most = min(most ?? leading.count, leading.count)
    case nil: following = primitive("value")
    case .some(let item): following = try expression(item, at: "\(pointer)/items")
    }
    if let most { leading = Array(leading.prefix(most)) }
    if let most, most < least {
      throw Self.error("\(pointer)/minItems", "there may be \(most) items at most, not \(least)")
    }
    return rule(elements(leading, following, least, most))
  }

  /// The whole array. Items of `leading` come first, then any number of `following` within the bounds.
  private mutating func elements(
    _ leading: [String], _ following: String?, _ least: Int, _ most: Int?
  ) -> String {
    let ws = primitive("ws")
    var tail = ""
    // What may come after all of `leading`, beginning with a comma.
    if let following, most.map({ $0 > leading.count }) ?? true {
      let item = rule(#""," \#(ws) (\#(following))"#)
      let bounds = Self.repetition(least - leading.count, most.map { $0 - leading.count })
      tail = rule("\(item)\(bounds)")
      if leading.isEmpty {
        // The first one has no comma.
        let more = rule("\(item)\(Self.repetition(least - 1, most.map { $0 - 1 }))")
        return
          #""[" \#(ws) \#(least > 0 ? "(\(following)) \(more)" : "((\(following)) \(more))?") \#(ws) "]""#
      }
    }
    for (index, item) in leading.enumerated().reversed() {
      let one = index == 0 ? "(\(item)) \(tail) \(ws)" : #""," \#(ws) (\#(item)) \#(tail)"#
      tail = rule(index < least ? one : "(\(one))?")
    }
    return #""[" \#(ws) \#(tail) "]""#
  }

  static func repetition(_ least: Int, _ most: Int?) -> String {
    let least = max(0, least)
    return most.map { "{\(least),\(max(least, $0))}" } ?? "{\(least),}"
  }

  // MARK: allOf

  /// Several object schemas as one: all their properties, required where any of them says so.
  mutating func merged(_ schema: OrderedJSON, at pointer: String) throws -> String {
    guard case .array(let parts) = schema["allOf"], !parts.isEmpty else {
      throw Self.error("\(pointer)/allOf", "allOf is a list of at least one schema")
    }
    let own = ["type", "properties", "required", "additionalProperties"].filter { schema[$0] != nil }
    if parts.count == 1 && own.isEmpty { return try expression(parts[0], at: "\(pointer)/allOf/0") }
    var sources: [(OrderedJSON, String)] = own.isEmpty ? [] : [(schema, pointer)]
    for (index, part) in parts.enumerated() {
      sources.append(try dereferenced(part, at: "\(pointer)/allOf/\(index)"))
    }
    var properties: [OrderedJSON.Member] = []
    var required: [OrderedJSON] = []
    for (index, (source, place)) in sources.enumerated() {
      try checkMergeable(source, at: place, mayHaveParts: index == 0 && !own.isEmpty)
      for property in try self.properties(of: source, at: place) {
        if properties.contains(where: { $0.key == property.key }) {
          throw Self.error(property.pointer, "allOf names property \(property.key) twice")
        }
        properties.append(OrderedJSON.Member(key: property.key, value: property.schema))
      }
      required += try requiredKeys(of: source, at: place).map { .string($0) }
    }
    return try object(
      .object([
        OrderedJSON.Member(key: "properties", value: .object(properties)),
        OrderedJSON.Member(key: "required", value: .array(required)),
        // Closed, as an object that says nothing about it: a part could forbid what another allows.
        OrderedJSON.Member(key: "additionalProperties", value: .bool(false)),
      ]), at: pointer)
  }

  private func dereferenced(_ part: OrderedJSON, at pointer: String) throws -> (OrderedJSON, String) {
    var (part, pointer) = (part, pointer)
    for _ in 0..<32 {
      guard case .string(let reference) = part["$ref"] else { return (part, pointer) }
      pointer = try resolve(reference, at: "\(pointer)/$ref")
      part = schema(at: pointer) ?? .null
    }
    throw Self.error(pointer, "references lead on and on")
  }

  private func checkMergeable(_ schema: OrderedJSON, at pointer: String, mayHaveParts: Bool) throws {
    guard case .object(let members) = schema, schema["type"] ?? .string("object") == .string("object") else {
      throw Self.error(pointer, "allOf is supported for objects only")
    }
    try Self.checkKeywords(members, at: pointer)
    for keyword in ["enum", "const", "anyOf", "oneOf", "$ref", "allOf"] where schema[keyword] != nil {
      if keyword == "allOf" && mayHaveParts { continue }
      throw Self.error("\(pointer)/\(keyword)", "\(keyword) within allOf is not supported")
    }
  }
}
