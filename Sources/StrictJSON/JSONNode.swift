/// One value of a JSON document, with the bytes it was read from.
package struct JSONNode: Sendable {
  package var value: Value
  /// Where it stands in the document.
  package var range: Range<Int>

  package enum Value: Sendable {
    case null
    case bool(Bool)
    /// A number written without fraction and exponent.
    case integer(Int128)
    /// Finite.
    case real(Double)
    case string(String)
    case array([JSONNode])
    /// In the order of the document; no key occurs twice.
    case object([JSONMember])
  }

  package var isNull: Bool {
    if case .null = value { return true }
    return false
  }

  /// "a string", "an object"...: for messages.
  package var kind: String {
    switch value {
    case .null: "null"
    case .bool: "a boolean"
    case .integer: "an integer"
    case .real: "a number"
    case .string: "a string"
    case .array: "an array"
    case .object: "an object"
    }
  }
}

package struct JSONMember: Sendable {
  package var key: String
  package var node: JSONNode
}

/// Why a text is not a JSON document that is accepted here.
package struct JSONError: Error, Sendable, CustomStringConvertible {
  package var reason: String
  /// Of the first byte that is wrong.
  package var offset: Int

  package var description: String { "\(reason) at byte \(offset)" }
}
