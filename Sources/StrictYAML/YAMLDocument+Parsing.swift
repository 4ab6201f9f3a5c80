import Foundation
import Synchronization
import Yams

extension YAMLDocument {
  /// The parser takes up to 1,000 levels before ours are counted, and recurses: more than the half megabyte
  /// of stack that a thread has on some systems.
  private static let stackSize = 8 << 20

  /// - Parameter place: the place of a line, from 1.
  /// - Returns: nil when there is nothing but comments.
  static func parse(
    _ text: String, name: String, place: @escaping @Sendable (Int) -> YAMLPlace
  ) throws(YAMLError) -> YAMLNode? {
    let result = ParseResult()
    let thread = Thread {
      let parsed = Result { () throws(YAMLError) in try parseHere(text, name: name, place: place) }
      result.value.withLock { $0 = parsed }
      result.done.signal()
    }
    thread.stackSize = stackSize
    thread.start()
    result.done.wait()
    guard let parsed = result.value.withLock({ $0 }) else {
      preconditionFailure("the thread signals only a result")
    }
    return try parsed.get()
  }

  private static func parseHere(
    _ text: String, name: String, place: @escaping (Int) -> YAMLPlace
  ) throws(YAMLError) -> YAMLNode? {
    guard let masked = AliasMask(text) else {
      throw YAMLError(
        YAMLPlace(file: name), "the private-use character U+FFFFD is not allowed", hint: "remove it")
    }
    do {
      // No resolver: it would take time to guess types that nothing here asks for.
      let parser = try Parser(yaml: masked.text, resolver: .basic, encoding: .utf8)
      // The nodes refer to their anchors weakly; the parser owns them.
      return try withExtendedLifetime(parser) {
        guard let root = try parser.singleRoot() else { return nil }
        var conversion = Conversion(mask: masked, place: place)
        return try conversion.node(root, depth: 1)
      }
    } catch let error as YAMLError {
      throw error
    } catch let error as YamlError {
      throw Self.error(error, in: masked, place: place)
    } catch {
      throw YAMLError(YAMLPlace(file: name), "not valid YAML: \(error)")
    }
  }

  private static func error(
    _ error: YamlError, in masked: AliasMask, place: (Int) -> YAMLPlace
  ) -> YAMLError {
    switch error {
    case .composer(_, "but found another document", let mark, _):
      return YAMLError(
        place(mark.line), "a second document begins here", hint: "one file is one document; remove the ---")
    case .scanner(let context, let problem, let mark, _), .parser(let context, let problem, let mark, _),
      .composer(let context, let problem, let mark, _):
      let lines = masked.text.split(
        maxSplits: mark.line, omittingEmptySubsequences: false, whereSeparator: \.isNewline)
      let line = mark.line <= lines.count ? lines[mark.line - 1] : ""
      let tab = line.prefix(while: \.isWhitespace).contains("\t")
      var around = context.map { " \($0.text)" } ?? ""
      if let start = context?.mark.line, start != mark.line, let first = place(start).line {
        around += " that begins on line \(first)"
      }
      return YAMLError(
        place(mark.line), "not valid YAML: \(problem)" + around,
        hint: tab ? "indent with spaces, not tabs" : nil)
    case .reader(let problem, let offset, _, let yaml):
      let line = offset.map { yaml.prefix($0).count(where: \.isNewline) + 1 }
      var at = place(line ?? 1)
      if line == nil { at.line = nil }
      return YAMLError(
        at, "not valid YAML: \(problem)", hint: "remove the character, or write \\xNN in quotes")
    case .duplicatedKeysInMapping(let keys, let context):
      let key = keys.first ?? ""
      let second = masked.secondLine(of: key, firstLine: context.mark.line)
      return duplicate(masked.unmasked(key), place(context.mark.line), second.map(place))
    default:
      return YAMLError(place(1), "not valid YAML: \(error)")
    }
  }

  fileprivate static func duplicate(
    _ key: String, _ first: YAMLPlace, _ second: YAMLPlace?
  ) -> YAMLError {
    let firstLine = first.line.map { " (first on line \($0))" } ?? ""
    return YAMLError(
      second ?? first, "the key \(key.shown) occurs twice in one mapping" + firstLine,
      hint: "keep one of them")
  }
}

private final class ParseResult: Sendable {
  let value = Mutex<Result<YAMLNode?, YAMLError>?>(nil)
  let done = DispatchSemaphore(value: 0)
}

/// A text in which no alias can be: every `*` is replaced by a character that does not occur otherwise.
///
/// Aliases are refused, but only once the text is parsed, and comparing keys made of them can take
/// exponential time. With the stand-in an alias is a plain scalar. It is still told from a text, since YAML
/// lets none begin with `*`.
private struct AliasMask {
  private static let standIn: Unicode.Scalar = "\u{FFFFD}"

  let text: String

  /// Nil when the text holds the stand-in, or an escape for it.
  init?(_ text: String) {
    guard !text.unicodeScalars.contains(Self.standIn), !text.lowercased().contains("\\u000ffffd") else {
      return nil
    }
    self.text = Self.replacing("*", with: Self.standIn, in: text)
  }

  func unmasked(_ text: String) -> String { Self.replacing(Self.standIn, with: "*", in: text) }

  func isAlias(_ scalar: Node.Scalar) -> Bool {
    scalar.style == .plain && scalar.string.unicodeScalars.first == Self.standIn
  }

  private static func replacing(_ old: Unicode.Scalar, with new: Unicode.Scalar, in text: String) -> String {
    guard text.unicodeScalars.contains(old) else { return text }
    var scalars = String.UnicodeScalarView()
    for scalar in text.unicodeScalars { scalars.append(scalar == old ? new : scalar) }
    return String(scalars)
  }
}

extension AliasMask {
  /// The parser tells only the first line of a key that occurs twice. The second is found by changing the
  /// later occurrences of the key's text: the error goes when the second is among those changed. O(log n)
  /// parses.
  func secondLine(of key: String, firstLine: Int) -> Int? {
    guard let initial = key.unicodeScalars.first else { return nil }
    let other: Unicode.Scalar = "\u{10FFFD}"
    let scalars = Array(text.unicodeScalars)
    let wanted = Array(key.unicodeScalars)
    var places: [(index: Int, line: Int)] = []
    var line = 1
    for index in scalars.indices {
      // A carriage return before a line feed is counted with it.
      let isBreak =
        ["\n", "\u{85}", "\u{2028}", "\u{2029}"].contains(scalars[index])
        || (scalars[index] == "\r" && scalars[index...].dropFirst().first != "\n")
      if scalars[index] == initial, line >= firstLine, scalars[index...].starts(with: wanted) {
        places.append((index, line))
      }
      if isBreak { line += 1 }
    }
    /// Whether the error is still there when occurrences from `kept` on are changed.
    func persists(_ kept: Int) -> Bool {
      var changed = scalars
      for place in places[kept...] { changed[place.index] = other }
      var text = String.UnicodeScalarView()
      text.append(contentsOf: changed)
      do {
        _ = try Parser(yaml: String(text), resolver: .basic, encoding: .utf8).singleRoot()
      } catch YamlError.duplicatedKeysInMapping(let keys, let context) {
        return keys.first == key && context.mark.line == firstLine
      } catch {}
      return false
    }
    guard persists(places.count) else { return nil }
    var low = 0
    var high = places.count
    while high - low > 1 {
      let middle = (low + high) / 2
      if persists(middle) { high = middle } else { low = middle }
    }
    return high > 0 ? places[high - 1].line : nil
  }
}

/// From the parser's nodes to ours, refusing what a file may not have.
private struct Conversion {
  let mask: AliasMask
  let place: (Int) -> YAMLPlace
  private var nodes = 0

  init(mask: AliasMask, place: @escaping (Int) -> YAMLPlace) {
    self.mask = mask
    self.place = place
  }

  mutating func node(_ node: Node, depth: Int) throws(YAMLError) -> YAMLNode {
    let place = place(node.mark?.line ?? 1)
    nodes += 1
    try YAMLDocument.check(nodes: nodes, depth: depth, at: place)
    if node.anchor != nil {
      throw YAMLError(place, "anchors (&name) are not allowed", hint: "write the value where it is used")
    }
    switch node {
    case .alias: throw aliasError(place)
    case .scalar(let scalar):
      if mask.isAlias(scalar) { throw aliasError(place) }
      let isPlain = scalar.style == .plain
      try checkTag(scalar.tag, place, allowed: isPlain ? [] : [Tag.Name.str.rawValue])
      return YAMLNode(.scalar(mask.unmasked(scalar.string), plain: isPlain), at: place)
    case .sequence(let sequence):
      try checkTag(sequence.tag, place)
      var elements: [YAMLNode] = []
      for element in sequence { elements.append(try self.node(element, depth: depth + 1)) }
      return YAMLNode(.list(elements), at: place)
    case .mapping(let mapping):
      try checkTag(mapping.tag, place)
      var entries: [YAMLNode.Entry] = []
      var places: [String: YAMLPlace] = [:]
      for (key, value) in mapping {
        let (name, keyPlace) = try self.key(key)
        if let first = places.updateValue(keyPlace, forKey: name) {
          throw YAMLDocument.duplicate(name, first, keyPlace)
        }
        let value = try self.node(value, depth: depth + 1)
        entries.append(YAMLNode.Entry(key: name, place: keyPlace, value: value))
      }
      return YAMLNode(.mapping(entries), at: place)
    }
  }

  private func key(_ node: Node) throws(YAMLError) -> (String, YAMLPlace) {
    let place = place(node.mark?.line ?? 1)
    guard case .scalar(let scalar) = node else {
      throw YAMLError(place, "a key must be a text, not a list or a mapping")
    }
    if mask.isAlias(scalar) { throw aliasError(place) }
    if node.anchor != nil { throw YAMLError(place, "anchors (&name) are not allowed") }
    let name = mask.unmasked(scalar.string)
    guard !name.isEmpty else { throw YAMLError(place, "a key is empty", hint: "write key: value") }
    guard name.unicodeScalars.count <= YAMLDocument.maxKeyLength else {
      throw YAMLError(
        place, "the key \(name.shown) is longer than \(YAMLDocument.maxKeyLength) characters")
    }
    return (name, place)
  }

  private func aliasError(_ place: YAMLPlace) -> YAMLError {
    YAMLError(
      place, "aliases (*name) are not allowed",
      hint: "write the value where it is used; put a text that begins with * in quotes")
  }

  private func checkTag(_ tag: Tag, _ place: YAMLPlace, allowed: [String] = []) throws(YAMLError) {
    // The parser gives a value without a tag an empty one, and a quoted text "str".
    let name = tag.rawValue
    guard name.isEmpty || allowed.contains(name) else {
      throw YAMLError(place, "tags (\(name.shown)) are not allowed", hint: "remove the tag")
    }
  }
}

extension YAMLDocument {
  static func check(nodes: Int, depth: Int, at place: YAMLPlace) throws(YAMLError) {
    guard depth <= maxDepth else {
      throw YAMLError(place, "nested deeper than \(maxDepth) levels, the most that a file may have")
    }
    guard nodes <= maxNodes else {
      throw YAMLError(place, "more than \(maxNodes) values, the most that a file may have")
    }
  }
}
