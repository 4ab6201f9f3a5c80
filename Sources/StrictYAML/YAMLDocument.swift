import Foundation

/// The tree of values of a file, before anything asks what they mean.
///
/// Strict: what a reader of the file could misunderstand is refused. Keys occur once; there are no anchors,
/// aliases, tags or second documents; `no` is a text, not a truth value.
public struct YAMLDocument: Sendable, Hashable {
  /// Bytes of a file.
  public static let maxBytes = 1 << 20
  /// Levels of lists and mappings, the values in them included.
  public static let maxDepth = 32
  /// Scalars, lists and mappings.
  public static let maxNodes = 20_000
  /// Characters of a key.
  public static let maxKeyLength = 100

  /// Always a mapping.
  public internal(set) var node: YAMLNode

  /// - Parameters:
  ///   - name: what errors call the text; a file's name
  ///   - kind: what it is, for an error that says what it has to be, with an example of a line
  public init(
    parsing text: String, name: String,
    kind: (name: String, example: String) = ("a file of settings", "name: fast")
  ) throws(YAMLError) {
    guard text.utf8.count <= Self.maxBytes else { throw Self.tooLarge(name) }
    let parsed = try Self.parse(text, name: name) { YAMLPlace(file: name, line: $0) }
    guard let parsed, !parsed.isEmpty else {
      throw YAMLError(YAMLPlace(file: name), "the file is empty")
    }
    guard case .mapping = parsed.content else {
      throw YAMLError(
        parsed.place, "\(kind.name) is a mapping, not \(parsed.shown)",
        hint: "write lines such as \"\(kind.example)\"")
    }
    node = parsed
  }

  public static func read(
    _ path: String, kind: (name: String, example: String) = ("a file of settings", "name: fast")
  ) throws(YAMLError) -> YAMLDocument {
    func failure() -> YAMLError {
      YAMLError(YAMLPlace(file: path), "cannot be read: \(String(cString: strerror(errno)))")
    }
    guard let file = fopen(path, "rb") else { throw failure() }
    defer { fclose(file) }
    // One byte more than allowed tells a file that is too large, whatever its size is said to be.
    var bytes = [UInt8](repeating: 0, count: maxBytes + 1)
    let count = fread(&bytes, 1, bytes.count, file)
    guard ferror(file) == 0 else { throw failure() }
    guard count <= maxBytes else { throw tooLarge(path) }
    bytes.removeSubrange(count...)
    guard let text = String(validating: bytes, as: UTF8.self) else {
      let lines = bytes.split(separator: 0x0A, omittingEmptySubsequences: false)
      let line = lines.firstIndex { String(validating: $0, as: UTF8.self) == nil }
      throw YAMLError(
        YAMLPlace(file: path, line: line.map { $0 + 1 }), "not UTF-8 text", hint: "save the file as UTF-8"
      )
    }
    return try YAMLDocument(parsing: text, name: path, kind: kind)
  }

  private static func tooLarge(_ name: String) -> YAMLError {
    YAMLError(YAMLPlace(file: name), "larger than 1 MiB, the most that it may be")
  }

  /// To read the document's keys. Each call starts anew: what was asked of another section is not known here.
  public var root: YAMLSection { YAMLSection(node, path: "", place: node.place) }

  /// "workers.0.link.rtt": keys, and indexes of lists from 0. "" is the whole document.
  public func node(at path: String) -> YAMLNode? {
    node.node(
      at: path.isEmpty ? [] : path.split(separator: ".", omittingEmptySubsequences: false).map(String.init))
  }

  /// The same text for all documents that say the same: keys sorted, comments and places left out. It is
  /// itself such a file.
  public var canonicalText: String {
    var text = ""
    node.appendCanonical(to: &text, indent: "")
    return text + "\n"
  }
}

extension YAMLNode {
  fileprivate func appendCanonical(to text: inout String, indent: String) {
    let inner = indent + "  "
    switch content {
    case _ where isEmpty: text += "null"
    case .scalar(let value, let plain):
      // Quotes matter only to what would otherwise be a number or a truth value.
      let bare = plain && (YAMLDecimal.isNumber(value) || value == "true" || value == "false")
      text += bare ? value : value.quoted
    case .list(let elements) where elements.isEmpty: text += "[]"
    case .list(let elements):
      text += "["
      for (index, element) in elements.enumerated() {
        text += (index == 0 ? "\n" : ",\n") + inner
        element.appendCanonical(to: &text, indent: inner)
      }
      text += "\n\(indent)]"
    case .mapping(let entries) where entries.isEmpty: text += "{}"
    case .mapping(let entries):
      text += "{"
      for (index, entry) in entries.sorted(by: { $0.key < $1.key }).enumerated() {
        text += (index == 0 ? "\n" : ",\n") + inner + entry.key.quoted + ": "
        entry.value.appendCanonical(to: &text, indent: inner)
      }
      text += "\n\(indent)}"
    }
  }
}
