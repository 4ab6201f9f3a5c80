import Foundation
import StrictJSON

/// A JSON value whose text is always the same bytes: object keys sorted, one way to write each number.
package enum JSON: Sendable, Equatable {
  case null
  case bool(Bool)
  case number(Double)
  case string(String)
  case array([JSON])
  case object([String: JSON])

  /// The text, without white space. `<` is written as an escape, so that it can stand in a script element.
  package var text: String {
    var output = ""
    write(to: &output)
    return output
  }

  private func write(to output: inout String) {
    switch self {
    case .null: output += "null"
    case .bool(let value): output += value ? "true" : "false"
    case .number(let value): output += NumberText.json(value)
    case .string(let value): output += JSONString.quoted(value, inScript: true)
    case .array(let values):
      output += "["
      for (index, value) in values.enumerated() {
        if index > 0 { output += "," }
        value.write(to: &output)
      }
      output += "]"
    case .object(let members):
      output += "{"
      for (index, name) in members.keys.sorted(by: { $0.utf8.lexicographicallyPrecedes($1.utf8) })
        .enumerated()
      {
        if index > 0 { output += "," }
        output += JSONString.quoted(name, inScript: true)
        output += ":"
        members[name]!.write(to: &output)
      }
      output += "}"
    }
  }

  /// The object with further members; nil leaves one out.
  /// Of an object.
  var members: [String: JSON?] {
    if case .object(let members) = self { members } else { [:] }
  }

  func adding(_ members: [String: JSON?]) -> JSON {
    guard case .object(var all) = self else { preconditionFailure("only an object has members") }
    for (name, value) in members {
      if let value { all[name] = value }
    }
    return .object(all)
  }
}

extension JSON: ExpressibleByStringLiteral, ExpressibleByFloatLiteral, ExpressibleByIntegerLiteral,
  ExpressibleByBooleanLiteral, ExpressibleByArrayLiteral, ExpressibleByDictionaryLiteral,
  ExpressibleByNilLiteral
{
  package init(nilLiteral: ()) { self = .null }
  package init(stringLiteral value: String) { self = .string(value) }
  package init(floatLiteral value: Double) { self = .number(value) }
  package init(integerLiteral value: Int) { self = .number(Double(value)) }
  package init(booleanLiteral value: Bool) { self = .bool(value) }
  package init(arrayLiteral elements: JSON...) { self = .array(elements) }
  package init(dictionaryLiteral elements: (String, JSON)...) {
    self = .object(Dictionary(uniqueKeysWithValues: elements))
  }
}
