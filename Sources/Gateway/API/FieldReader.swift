import ModelBackend
import Spelling
import StrictJSON

/// Takes the fields out of one JSON object; what is missing, of a wrong type or unknown becomes an error that names
/// the field by its path in the document.
package struct FieldReader {
  /// Path of the object; empty for the document itself.
  package let path: String
  package static let unsupported = "is not supported by this server"
  private let members: [JSONMember]
  private var known: Set<String> = []

  /// - Throws: `APIError` when the value is no object.
  package init(_ node: JSONNode, path: String = "") throws(APIError) {
    guard case .object(let members) = node.value else {
      throw .invalid(
        path.isEmpty
          ? "the body must be a JSON object, not \(node.kind)"
          : "\(path) must be an object, not \(node.kind)",
        param: path.isEmpty ? nil : path)
    }
    self.members = members
    self.path = path
  }

  package var isEmpty: Bool { members.isEmpty }

  package func path(of name: String) -> String { path.isEmpty ? name : "\(path).\(name)" }

  /// The value of a field; null counts as absent.
  package mutating func node(_ name: String) -> JSONNode? {
    known.insert(name)
    guard let node = members.first(where: { $0.key == name })?.node, !node.isNull else { return nil }
    return node
  }

  package mutating func required(_ name: String) throws(APIError) -> JSONNode {
    guard let node = node(name) else {
      throw .invalid(
        "\(path(of: name)) is missing", param: path(of: name), code: "missing_required_parameter")
    }
    return node
  }

  package mutating func requiredString(_ name: String) throws(APIError) -> String {
    let node = try required(name)
    guard case .string(let text) = node.value else { throw wrongType(name, "a string", node) }
    return text
  }

  /// The elements of an array.
  ///
  /// - Parameter limit: elements at most
  package func elements(of node: JSONNode, _ name: String, limit: Int) throws(APIError) -> [JSONNode] {
    guard case .array(let elements) = node.value else { throw wrongType(name, "an array", node) }
    guard elements.count <= limit else {
      throw .invalid(
        "there are \(elements.count) \(name); at most \(limit) are possible", param: path(of: name),
        code: "invalid_value")
    }
    return elements
  }

  func wrongType(_ name: String, _ wanted: String, _ node: JSONNode) -> APIError {
    .invalid(
      "\(path(of: name)) must be \(wanted), not \(node.kind)", param: path(of: name), code: "invalid_type")
  }

  package mutating func string(_ name: String) throws(APIError) -> String? {
    guard let node = node(name) else { return nil }
    guard case .string(let text) = node.value else { throw wrongType(name, "a string", node) }
    return text
  }

  package mutating func bool(_ name: String) throws(APIError) -> Bool? {
    guard let node = node(name) else { return nil }
    guard case .bool(let flag) = node.value else { throw wrongType(name, "a boolean", node) }
    return flag
  }

  package mutating func integer(_ name: String, in range: ClosedRange<Int>) throws(APIError) -> Int? {
    guard let node = node(name) else { return nil }
    guard let value = node.wholeNumber else { throw wrongType(name, "an integer", node) }
    guard let small = Int(exactly: value), range.contains(small) else {
      let isHuge = range.upperBound == .max && value > range.upperBound
      let limits = isHuge ? "at most \(Int.max)" : Self.text(range)
      throw .invalid(
        "\(path(of: name)) must be \(limits), not \(value)", param: path(of: name),
        code: "invalid_value")
    }
    return small
  }

  package mutating func number(_ name: String, in range: ClosedRange<Double>) throws(APIError) -> Double? {
    guard let node = node(name) else { return nil }
    guard let value = node.number else { throw wrongType(name, "a number", node) }
    guard range.contains(value) else {
      throw .invalid(
        "\(path(of: name)) must be between \(Self.text(range.lowerBound)) and \(Self.text(range.upperBound)),"
          + " not \(Self.text(value))",
        param: path(of: name), code: "invalid_value")
    }
    return value
  }

  private static func text(_ range: ClosedRange<Int>) -> String {
    range.upperBound == .max
      ? "\(range.lowerBound) or more" : "between \(range.lowerBound) and \(range.upperBound)"
  }

  private static func text(_ value: Double) -> String {
    value == value.rounded() && abs(value) < 1e15 ? String(Int(value)) : "\(value)"
  }

  /// A field of the API that is not supported: accepted only with a value that asks for nothing.
  package mutating func unsupported(
    _ name: String, _ why: String = FieldReader.unsupported,
    unless neutral: (JSONNode) -> Bool = { _ in false }
  ) throws(APIError) {
    guard let node = node(name), !neutral(node) else { return }
    throw unsupported(name, why)
  }

  private func unsupported(_ name: String, _ why: String = FieldReader.unsupported) -> APIError {
    .invalid("\(path(of: name)) \(why)", param: path(of: name), code: "unsupported_parameter")
  }

  /// Call when all fields have been asked for.
  ///
  /// - Parameter others: what else the object may have
  /// - Throws: `APIError` for a field that asks for what is not supported, and for one that nobody knows unless
  ///   `UnknownFields` collects those.
  package func finish(_ others: ForeignFields = .none) throws(APIError) {
    let unknown = others.isStrict ? nil : UnknownFields.current
    for member in members where !known.contains(member.key) {
      if let rule = others.rules[member.key] {
        guard rule.accepts(member.node) else { throw unsupported(member.key) }
        continue
      }
      let name = String(member.key.prefix(64))
      func nearest() -> String? {
        NearestName.of(name, among: known.union(others.rules.keys).sorted()).map(path(of:))
      }
      if let unknown {
        unknown.note(path(of: name), nearest: nearest)
      } else {
        let hint = nearest().map { "; did you mean \($0)?" } ?? ""
        throw .invalid(
          "unknown field \(path(of: name))\(hint)", param: path(of: name), code: "unknown_parameter")
      }
    }
  }
}

extension JSONNode {
  /// An integer, also one that is written with a fraction of zero.
  package var wholeNumber: Int128? {
    switch value {
    case .integer(let value): value
    case .real(let value): Int128(exactly: value)
    default: nil
    }
  }

  package var number: Double? {
    switch value {
    case .integer(let value): Double(value)
    case .real(let value): value
    default: nil
    }
  }

  package var isEmptyArray: Bool {
    if case .array(let elements) = value { return elements.isEmpty }
    return false
  }

  package func isString(_ text: String) -> Bool {
    if case .string(let own) = value { return own == text }
    return false
  }

  package func isBool(_ flag: Bool) -> Bool {
    if case .bool(let own) = value { return own == flag }
    return false
  }
}
