import VisibleText

/// Text of which parts have a colour or weight. Only those act on a terminal, not what is in the text.
package struct StyledText: Sendable {
  private var parts: [(text: String, style: TextStyle?)] = []

  package init() {}

  /// - Parameter style: nil: as the terminal writes
  package init(_ text: String, _ style: TextStyle? = nil) { append(text, style) }

  package mutating func append(_ text: String, _ style: TextStyle? = nil) {
    if !text.isEmpty { parts.append((text, style)) }
  }

  package mutating func append(_ other: StyledText) { parts += other.parts }

  package var isEmpty: Bool { parts.isEmpty }

  /// - Parameter isRaw: the text as it is, for a file
  package func rendered(isRaw: Bool) -> String {
    parts.map { text, style in
      let shown = isRaw ? text : text.visible
      return style.map { "\u{1B}[\($0.rawValue)m\(shown)\u{1B}[0m" } ?? shown
    }.joined()
  }
}

/// Text colours and weights for terminals.
package enum TextStyle: String, Sendable {
  case bold = "1"
  case red = "31"
  case green = "32"
  case yellow = "33"
  case cyan = "36"
}
