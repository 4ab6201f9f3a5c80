/// The system message that a chat template adds when a conversation has none.
///
/// llama.cpp's library renders the well-known templates by code of its own, which leaves that message out; Jinja, by
/// which the models were trained, does not. In ChatML templates it is a literal.
package enum DefaultSystemMessage {
  private static let opening = "<|im_start|>system"
  private static let closing = "<|im_end|>"

  /// - Parameter template: Jinja text
  /// - Returns: nil where the template is no ChatML or adds nothing
  package static func of(template: String) -> String? {
    var rest = template[...]
    while let start = rest.firstRange(of: opening) {
      rest = rest[start.upperBound...]
      // A new line, or the escape for one.
      guard
        let literal = rest.hasPrefix("\n")
          ? rest.dropFirst() : rest.hasPrefix("\\n") ? rest.dropFirst(2) : nil,
        let end = literal.firstRange(of: closing)
      else { continue }
      let text = literal[..<end.lowerBound]
      // With a quote or a brace the literal ends before, and what follows is an expression.
      if text.isEmpty || text.contains(where: { "'\"{}".contains($0) }) { continue }
      return String(text.replacing("\\n", with: "\n"))
    }
    return nil
  }
}
