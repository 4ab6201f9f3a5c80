import Foundation
import VisibleText

/// What a long-running command says while it runs: lines for people, or one JSON object a line for scripts.
package struct EventLines: Sendable {
  package let json: Bool

  package init(
    json: Bool
  ) {
    self.json = json
  }

  /// - Parameters:
  ///   - event: the object's "event"
  ///   - text: the line for people
  ///   - fields: further members of the object; strings, numbers, booleans
  package func say(_ event: String, _ text: String, _ fields: [String: any Sendable] = [:]) {
    if json {
      JSONLine.print(fields.merging(["event": event]) { own, _ in own })
    } else {
      StandardOutput.line(text.visibleLine)
    }
  }
}

package enum JSONLine {
  /// One object, keys sorted, and a line feed.
  package static func data(_ object: [String: any Sendable]) -> Data {
    guard
      let data = try? JSONSerialization.data(
        withJSONObject: object, options: [.sortedKeys, .withoutEscapingSlashes])
    else { preconditionFailure("an event holds only what JSON can say") }
    return line(data)
  }

  /// The same for a value that encodes itself.
  package static func data(_ value: some Encodable) throws -> Data {
    let encoder = JSONEncoder()
    encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
    return line(try encoder.encode(value))
  }

  private static func line(_ json: Data) -> Data {
    Data((VisibleText.json(String(decoding: json, as: UTF8.self)) + "\n").utf8)
  }

  /// Writes one object to standard output, unbuffered.
  package static func print(_ object: [String: any Sendable]) {
    StandardOutput.write(data(object))
  }

  package static func print(_ value: some Encodable) throws { StandardOutput.write(try data(value)) }
}
