import Foundation

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
      StandardOutput.line(text)
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
    return data + Data("\n".utf8)
  }

  /// Writes one object to standard output, unbuffered.
  package static func print(_ object: [String: any Sendable]) {
    StandardOutput.write(data(object))
  }
}
