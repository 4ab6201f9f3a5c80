extension YAMLDocument {
  /// What `--set link.rtt=50ms` asks for. Mappings that are missing on the way are made; lists are not.
  ///
  /// - Parameters:
  ///   - path: "workers.0.link.rtt": keys, and indexes of lists from 0.
  ///   - yaml: a scalar, a `[list]` or a `{mapping}`. Errors about the value name the setting.
  public mutating func set(_ path: String, to yaml: String) throws(YAMLError) {
    let place = YAMLPlace(file: "--set \(path.shownInPath)")
    guard yaml.utf8.count <= Self.maxBytes else {
      throw YAMLError(place, "the value is larger than 1 MiB")
    }
    let value = try Self.parse(yaml, name: place.file) { _ in place }
    guard let value, !value.isEmpty else {
      throw YAMLError(
        place, "has no value", hint: "write --set \(path.shownInPath)=VALUE; quote a text that begins with #")
    }
    let first = yaml.first { !$0.isWhitespace }
    switch value.content {
    case .list where first != "[", .mapping where first != "{":
      throw YAMLError(
        place, "expected a scalar, a [list] or a {mapping}, found \(yaml.shown)",
        hint: "put a text with \": \" or \"- \" in quotes")
    default: break
    }
    try set(path, to: value)
  }

  /// Puts a value found elsewhere at `path`, for variants and sweeps. The value keeps its places.
  public mutating func set(_ path: String, to value: YAMLNode) throws(YAMLError) {
    let parts = path.split(separator: ".", omittingEmptySubsequences: false).map(String.init)
    guard !parts.isEmpty, parts.allSatisfy({ !$0.isEmpty && $0.unicodeScalars.count <= Self.maxKeyLength })
    else {
      throw YAMLError(
        value.place, "\(path.shown) is not a path", hint: "write keys and indexes: workers.0.link")
    }
    // Before the recursion, whose depth it bounds.
    try Self.check(nodes: 1, depth: parts.count + 1, at: value.place)
    try replace(Self.replacing(node, at: parts[...], of: parts, with: value), at: value.place)
  }

  /// Lays a mapping over this document: mappings are merged key by key, scalars and lists are replaced.
  /// What comes from `other` keeps its places.
  public mutating func merge(_ other: YAMLNode) throws(YAMLError) {
    guard case .mapping = other.content else {
      throw YAMLError(other.place, "expected a mapping to lay over the file, found \(other.shown)")
    }
    try replace(Self.merging(node, other), at: other.place)
  }

  private mutating func replace(_ new: YAMLNode, at place: YAMLPlace) throws(YAMLError) {
    let size = new.size
    try Self.check(nodes: size.nodes, depth: size.depth, at: place)
    node = new
  }

  private static func replacing(
    _ old: YAMLNode?, at path: ArraySlice<String>, of whole: [String], with new: YAMLNode
  ) throws(YAMLError) -> YAMLNode {
    guard let part = path.first else { return new }
    let rest = path.dropFirst()
    let here = whole[..<path.startIndex].joined(separator: ".").shownInPath
    guard var node = old, !node.isEmpty else {
      // Quietly making a mapping with the key "0" where a list belongs would only move the error.
      guard !part.utf8.allSatisfy({ (UInt8(ascii: "0")...UInt8(ascii: "9")).contains($0) }) else {
        throw YAMLError(
          new.place, "there is no \(here), so it has no element \(part)",
          hint: "set the whole list: \(here)=[...]")
      }
      let value = try replacing(nil, at: rest, of: whole, with: new)
      return YAMLNode(.mapping([.init(key: part, place: new.place, value: value)]), at: new.place)
    }
    switch node.content {
    case .scalar(let text, _):
      throw YAMLError(
        new.place, "\(here) is \(text.shown), so there is nothing in it named \(part.shown)")
    case .list(var elements):
      guard let index = Int(part), elements.indices.contains(index) else {
        let count = elements.count
        throw YAMLError(
          new.place, "\(here) is a list of \(count), so it has no element \(part.shown)",
          hint: count > 0 ? "elements are 0 to \(count - 1)" : nil)
      }
      elements[index] = try replacing(elements[index], at: rest, of: whole, with: new)
      node.content = .list(elements)
    case .mapping(var entries):
      if let index = entries.firstIndex(where: { $0.key == part }) {
        entries[index].value = try replacing(entries[index].value, at: rest, of: whole, with: new)
        if rest.isEmpty { entries[index].place = new.place }
      } else {
        let value = try replacing(nil, at: rest, of: whole, with: new)
        entries.append(.init(key: part, place: new.place, value: value))
      }
      node.content = .mapping(entries)
    }
    return node
  }

  private static func merging(_ base: YAMLNode, _ other: YAMLNode) -> YAMLNode {
    guard case .mapping(var entries) = base.content, case .mapping(let others) = other.content else {
      return other
    }
    var indexes = Dictionary(uniqueKeysWithValues: entries.indices.map { (entries[$0].key, $0) })
    for entry in others {
      guard let index = indexes[entry.key] else {
        indexes[entry.key] = entries.count
        entries.append(entry)
        continue
      }
      let merged = merging(entries[index].value, entry.value)
      // A merged mapping is still where it was; anything else is now where it came from.
      if case (.mapping, .mapping) = (entries[index].value.content, entry.value.content) {
        entries[index].value = merged
      } else {
        entries[index] = entry
      }
    }
    return YAMLNode(.mapping(entries), at: base.place)
  }
}

extension YAMLDocument {
  /// This document's top-level keys that are in `keys`, and the others.
  package func split(_ keys: Set<String>) -> (named: YAMLDocument, others: YAMLDocument) {
    guard case .mapping(let entries) = node.content else { return (self, self) }
    var (named, others) = (self, self)
    named.node = YAMLNode(.mapping(entries.filter { keys.contains($0.key) }), at: node.place)
    others.node = YAMLNode(.mapping(entries.filter { !keys.contains($0.key) }), at: node.place)
    return (named, others)
  }
}

extension YAMLNode {
  /// The value on one line, as a person would write it.
  public var text: String {
    switch content {
    case .scalar(let text, _): text
    case .list(let elements): "[" + elements.map(\.text).joined(separator: ", ") + "]"
    case .mapping(let entries):
      "{" + entries.map { "\($0.key): \($0.value.text)" }.joined(separator: ", ") + "}"
    }
  }
}
