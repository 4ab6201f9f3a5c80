/// Text that others wrote, for terminals and logs: what would move a cursor, change a screen, forge a line or turn the
/// order of letters is spelled out as `\u{1B}`. Files keep the text as it came.
package enum VisibleText {
  package enum Layout: Sendable {
    /// Line feeds and tabs stay.
    case lines
    /// One line: they are spelled out, too.
    case oneLine
  }

  package static func of(_ text: String, _ layout: Layout) -> String {
    guard text.unicodeScalars.contains(where: { isSpelled($0, layout) || $0 == "\r" }) else { return text }
    var result = ""
    result.reserveCapacity(text.utf8.count + 16)
    let scalars = text.unicodeScalars
    var index = scalars.startIndex
    while index < scalars.endIndex {
      let scalar = scalars[index]
      index = scalars.index(after: index)
      if scalar == "\r", layout == .lines, index < scalars.endIndex, scalars[index] == "\n" { continue }
      if isSpelled(scalar, layout) {
        result += spelling(of: scalar)
      } else {
        result.unicodeScalars.append(scalar)
      }
    }
    return result
  }

  /// JSON that means the same, in which nothing acts on a terminal. Encoders leave DEL, C1 and marks of direction as
  /// they are.
  package static func json(_ text: String) -> String {
    guard text.unicodeScalars.contains(where: { $0.value > 0x1F && isHidden($0) }) else { return text }
    var result = ""
    for scalar in text.unicodeScalars {
      if scalar.value > 0x1F && isHidden(scalar) {
        let digits = String(scalar.value, radix: 16)
        result += "\\u" + String(repeating: "0", count: 4 - digits.count) + digits
      } else {
        result.unicodeScalars.append(scalar)
      }
    }
    return result
  }

  private static func isSpelled(_ scalar: Unicode.Scalar, _ layout: Layout) -> Bool {
    isHidden(scalar) && (layout == .oneLine || (scalar != "\n" && scalar != "\t"))
  }

  /// Controls (C0, DEL, C1), line and paragraph separators, and what embeds, overrides or isolates a direction. All of them
  /// have four hexadecimal digits at most.
  private static func isHidden(_ scalar: Unicode.Scalar) -> Bool {
    switch scalar.value {
    case 0..<0x20, 0x7F...0x9F, 0x2028...0x202E, 0x2066...0x2069: true
    default: false
    }
  }

  private static func spelling(of scalar: Unicode.Scalar) -> String {
    switch scalar {
    case "\n": "\\n"
    case "\r": "\\r"
    case "\t": "\\t"
    default: "\\u{\(String(scalar.value, radix: 16, uppercase: true))}"
    }
  }
}

extension String {
  /// Without anything that acts on a terminal; line feeds and tabs stay.
  package var visible: String { VisibleText.of(self, .lines) }
  /// The same on one line.
  package var visibleLine: String { VisibleText.of(self, .oneLine) }
}
