import Spelling
import Synchronization

/// One mapping that is being read. It remembers which keys were asked for; `finish()` refuses the others, so
/// that a misspelt key never quietly leaves a default in place.
///
/// The readers return nil when the key is absent, so that the caller supplies the default, and throw when the
/// value is wrong.
public final class YAMLSection: Sendable {
  /// "workers.0.link"; "" for the whole file.
  public let path: String
  public let place: YAMLPlace
  /// In the order of the file.
  private let entries: [YAMLNode.Entry]

  private struct State {
    /// Keys that exist as far as the caller has shown, in the order of asking, for suggestions.
    var known: [String] = []
    var read: Set<String> = []
    /// Sections handed out from here, by path, so that asking twice gives the same one.
    var sections: [String: YAMLSection] = [:]
  }
  private let state = Mutex(State())

  init(_ node: YAMLNode, path: String, place: YAMLPlace) {
    self.path = path
    self.place = place
    if case .mapping(let entries) = node.content { self.entries = entries } else { entries = [] }
  }

  public var keys: [String] { entries.map(\.key) }

  /// Which of a key's two names is written: its present one, or that of an earlier version, which nobody is told of.
  public func key(_ name: String, orOld oldName: String) -> String {
    entry(name) == nil && entry(oldName) != nil ? oldName : name
  }

  /// Whether the key is present. It must still be read.
  public func has(_ key: String) -> Bool {
    state.withLock { Self.note(key, in: &$0) }
    return entry(key) != nil
  }

  // MARK: Readers

  /// The value as it is, for unions and lists.
  public func value(_ key: String) -> YAMLValue? {
    state.withLock {
      Self.note(key, in: &$0)
      $0.read.insert(key)
    }
    return entry(key).map {
      let path = (path.isEmpty ? "" : "\(path).") + key.shownInPath
      return YAMLValue(node: $0.value, path: path, place: $0.place, owner: self)
    }
  }

  /// - Parameter maxLength: in characters.
  public func text(_ key: String, maxLength: Int = 10_000) throws(YAMLError) -> String? {
    try value(key)?.text(maxLength: maxLength)
  }

  public func flag(_ key: String) throws(YAMLError) -> Bool? { try value(key)?.flag() }

  public func integer(_ key: String, in range: ClosedRange<Int>) throws(YAMLError) -> Int? {
    try value(key)?.integer(in: range)
  }

  /// - Parameter percent: whether 85% is taken too, as 0.85.
  public func number(
    _ key: String, in range: ClosedRange<Double>, percent: Bool = false
  ) throws(YAMLError) -> Double? {
    try value(key)?.number(in: range, percent: percent)
  }

  /// A number with its unit (ns, us, ms, s, min, h), to the nearest nanosecond.
  public func duration(
    _ key: String, in range: ClosedRange<Duration> = .zero ... .seconds(31_536_000)
  ) throws(YAMLError) -> Duration? {
    try value(key)?.duration(in: range)
  }

  /// A number with its unit (bit/s, kbit/s, Mbit/s, Gbit/s).
  /// - Returns: bits per second.
  public func rate(_ key: String, in range: ClosedRange<Double> = 1...1e13) throws(YAMLError) -> Double? {
    try value(key)?.rate(in: range)
  }

  public func choice<T: RawRepresentable & CaseIterable>(
    _ key: String, _ type: T.Type = T.self
  ) throws(YAMLError) -> T? where T.RawValue == String {
    try value(key)?.choice(type)
  }

  public func section(_ key: String) throws(YAMLError) -> YAMLSection? { try value(key)?.section() }

  /// A list of mappings.
  public func sections(_ key: String, maxCount: Int) throws(YAMLError) -> [YAMLSection]? {
    try list(key, maxCount: maxCount) { (value) throws(YAMLError) in try value.section() }
  }

  public func list<T>(
    _ key: String, maxCount: Int, _ element: (YAMLValue) throws(YAMLError) -> T
  ) throws(YAMLError) -> [T]? {
    try value(key)?.list(maxCount: maxCount, element)
  }

  // MARK: Checks

  /// `try section.required("rtt", section.duration("rtt"))`
  public func required<T>(_ key: String, _ value: T?) throws(YAMLError) -> T {
    guard let value else {
      throw YAMLError(
        place, "\(path.isEmpty ? "the file" : path) needs \(key.shown)", hint: "add \"\(key):\"")
    }
    return value
  }

  /// Refuses keys that were never read, here and in the sections handed out from here.
  public func finish() throws(YAMLError) {
    let state = state.withLock { $0 }
    if let entry = entries.first(where: { !state.read.contains($0.key) }) {
      let here = path.isEmpty ? "at the top level" : "in \(path)"
      guard !state.known.contains(entry.key) else {
        throw YAMLError(
          entry.place, "the key \(entry.key.shown) has no effect \(here)", hint: "remove it")
      }
      let meant = NearestName.of(entry.key, among: state.known).map { "; did you mean \"\($0)\"?" } ?? ""
      throw YAMLError(
        entry.place, "unknown key \(entry.key.shown) \(here)" + meant,
        hint: state.known.isEmpty ? "no keys here" : "keys here: \(state.known.joined(separator: ", "))")
    }
    let sections = state.sections.values.sorted {
      ($0.place.line ?? 0, $0.path) < ($1.place.line ?? 0, $1.path)
    }
    for section in sections { try section.finish() }
  }

  /// For the caller's own checks, at the key's place, or at the section's where there is no such key.
  public func error(_ key: String?, _ message: String, hint: String? = nil) -> YAMLError {
    YAMLError(key.flatMap(entry)?.place ?? place, message, hint: hint)
  }

  // MARK: Parts

  private func entry(_ key: String) -> YAMLNode.Entry? { entries.first { $0.key == key } }

  private static func note(_ key: String, in state: inout State) {
    if !state.known.contains(key) { state.known.append(key) }
  }

  func section(of value: YAMLValue) -> YAMLSection {
    state.withLock {
      if let section = $0.sections[value.path] { return section }
      let section = YAMLSection(value.node, path: value.path, place: value.place)
      $0.sections[value.path] = section
      return section
    }
  }
}
