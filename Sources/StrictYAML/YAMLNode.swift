/// Where a value was written.
public struct YAMLPlace: Sendable, Hashable, CustomStringConvertible {
  /// A file's name, or "--set link.rtt".
  public var file: String
  /// From 1.
  public var line: Int?

  public init(file: String, line: Int? = nil) {
    self.file = file
    self.line = line
  }

  /// "link.yaml:3", as editors and terminals link it.
  public var description: String { file + (line.map { ":\($0)" } ?? "") }
}

/// A value of a file and everything below it, each with its place.
public struct YAMLNode: Sendable, Hashable {
  public enum Content: Sendable, Hashable {
    /// The text as written, without its quotes. `plain` tells 5 from "5".
    case scalar(String, plain: Bool)
    case list([YAMLNode])
    /// In the order of the file; keys are unique.
    case mapping([Entry])
  }

  public struct Entry: Sendable, Hashable {
    public var key: String
    public var place: YAMLPlace
    public var value: YAMLNode

    public init(key: String, place: YAMLPlace, value: YAMLNode) {
      self.key = key
      self.place = place
      self.value = value
    }
  }

  public var place: YAMLPlace
  public var content: Content

  public init(_ content: Content, at place: YAMLPlace) {
    self.content = content
    self.place = place
  }

  /// True of `key:`, `key: ~` and `key: null`.
  public var isEmpty: Bool {
    guard case .scalar(let text, plain: true) = content else { return false }
    return text.isEmpty || text == "~" || text.lowercased() == "null"
  }

  /// The node that a dotted path leads to from here. Parts that are numbers index lists, from 0.
  package func node(at path: some Collection<String>) -> YAMLNode? {
    guard let part = path.first else { return self }
    switch content {
    case .scalar: return nil
    case .list(let elements):
      guard let index = Int(part), elements.indices.contains(index) else { return nil }
      return elements[index].node(at: path.dropFirst())
    case .mapping(let entries):
      return entries.first { $0.key == part }?.value.node(at: path.dropFirst())
    }
  }

  /// Nodes in all, this one included, and levels, 1 for a scalar.
  package var size: (nodes: Int, depth: Int) {
    let children: [YAMLNode]
    switch content {
    case .scalar: return (1, 1)
    case .list(let elements): children = elements
    case .mapping(let entries): children = entries.map(\.value)
    }
    return children.reduce(into: (nodes: 1, depth: 1)) { sum, child in
      let size = child.size
      sum.nodes += size.nodes
      sum.depth = max(sum.depth, size.depth + 1)
    }
  }
}

// MARK: For messages

extension YAMLNode {
  /// "a list", or the text of a scalar in quotes.
  package var shown: String {
    switch content {
    case _ where isEmpty: "no value"
    case .scalar(let text, _): text.shown
    case .list: "a list"
    case .mapping: "a mapping"
    }
  }
}

extension String {
  /// In quotes, on one line, and not long, whatever it holds.
  package var shown: String {
    let most = 60
    let start = String(prefix(most))
    return start.quoted + (start.utf8.count < utf8.count ? "..." : "")
  }

  /// As it is where it is harmless in a message; in quotes otherwise.
  package var shownInPath: String {
    let quoted = quoted
    return quoted.dropFirst().dropLast() == self && utf8.count <= 200 ? self : shown
  }

  /// Double-quoted, as YAML reads it.
  package var quoted: String {
    var result = "\""
    for scalar in unicodeScalars {
      switch scalar.value {
      case 0x22, 0x5C: result += "\\\(scalar)"
      case 0x0A: result += "\\n"
      case 0x09: result += "\\t"
      case 0x20...0x7E, 0xA1...0x200A, 0x2010...0x2027, 0x2030...0x205F, 0x2070...0xD7FF, 0xF900...0xFEFE,
        0xFF00...0xFFFD, 0x1_0000...0xE_FFFF:
        result.unicodeScalars.append(scalar)
      default:
        let digits = String(scalar.value, radix: 16)
        let width = scalar.value > 0xFFFF ? 8 : 4
        result += (width == 8 ? "\\U" : "\\u") + String(repeating: "0", count: width - digits.count) + digits
      }
    }
    return result + "\""
  }
}
