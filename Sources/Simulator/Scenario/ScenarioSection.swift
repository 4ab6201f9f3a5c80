import Synchronization

/// One mapping that is being read. It remembers which keys were asked for; `finish()` refuses the others, so
/// that a misspelt key never quietly leaves a default in place.
///
/// The readers return nil when the key is absent, so that the caller supplies the default, and throw when the
/// value is wrong.
public final class ScenarioSection: Sendable {
  /// "workers.0.link"; "" for the whole scenario.
  public let path: String
  public let place: ScenarioPlace
  /// In the order of the file.
  private let entries: [ScenarioNode.Entry]

  private struct State {
    /// Keys that exist as far as the caller has shown, in the order of asking, for suggestions.
    var known: [String] = []
    var read: Set<String> = []
    /// Sections handed out from here, by path, so that asking twice gives the same one.
    var sections: [String: ScenarioSection] = [:]
  }
  private let state = Mutex(State())

  init(_ node: ScenarioNode, path: String, place: ScenarioPlace) {
    self.path = path
    self.place = place
    if case .mapping(let entries) = node.content { self.entries = entries } else { entries = [] }
  }

  public var keys: [String] { entries.map(\.key) }

  /// Whether the key is present. It must still be read.
  public func has(_ key: String) -> Bool {
    state.withLock { Self.note(key, in: &$0) }
    return entry(key) != nil
  }

  // MARK: Readers

  /// The value as it is, for unions and lists.
  public func value(_ key: String) -> ScenarioValue? {
    state.withLock {
      Self.note(key, in: &$0)
      $0.read.insert(key)
    }
    return entry(key).map {
      let path = (path.isEmpty ? "" : "\(path).") + key.shownInPath
      return ScenarioValue(node: $0.value, path: path, place: $0.place, owner: self)
    }
  }

  /// - Parameter maxLength: in characters.
  public func text(_ key: String, maxLength: Int = 10_000) throws(ScenarioError) -> String? {
    try value(key)?.text(maxLength: maxLength)
  }

  public func flag(_ key: String) throws(ScenarioError) -> Bool? { try value(key)?.flag() }

  public func integer(_ key: String, in range: ClosedRange<Int>) throws(ScenarioError) -> Int? {
    try value(key)?.integer(in: range)
  }

  /// - Parameter percent: whether 85% is taken too, as 0.85.
  public func number(
    _ key: String, in range: ClosedRange<Double>, percent: Bool = false
  ) throws(ScenarioError) -> Double? {
    try value(key)?.number(in: range, percent: percent)
  }

  /// A number with its unit (ns, us, ms, s, min, h), to the nearest nanosecond.
  public func duration(
    _ key: String, in range: ClosedRange<Duration> = .zero ... .seconds(31_536_000)
  ) throws(ScenarioError) -> Duration? {
    try value(key)?.duration(in: range)
  }

  /// A number with its unit (bit/s, kbit/s, Mbit/s, Gbit/s).
  /// - Returns: bits per second.
  public func rate(_ key: String, in range: ClosedRange<Double> = 1...1e13) throws(ScenarioError) -> Double? {
    try value(key)?.rate(in: range)
  }

  public func choice<T: RawRepresentable & CaseIterable>(
    _ key: String, _ type: T.Type = T.self
  ) throws(ScenarioError) -> T? where T.RawValue == String {
    try value(key)?.choice(type)
  }

  public func section(_ key: String) throws(ScenarioError) -> ScenarioSection? { try value(key)?.section() }

  /// A list of mappings.
  public func sections(_ key: String, maxCount: Int) throws(ScenarioError) -> [ScenarioSection]? {
    try list(key, maxCount: maxCount) { (value) throws(ScenarioError) in try value.section() }
  }

  public func list<T>(
    _ key: String, maxCount: Int, _ element: (ScenarioValue) throws(ScenarioError) -> T
  ) throws(ScenarioError) -> [T]? {
    try value(key)?.list(maxCount: maxCount, element)
  }

  // MARK: Checks

  /// `try section.required("rtt", section.duration("rtt"))`
  public func required<T>(_ key: String, _ value: T?) throws(ScenarioError) -> T {
    guard let value else {
      throw ScenarioError(
        place, "\(path.isEmpty ? "the scenario" : path) needs \(key.shown)", hint: "add \"\(key):\"")
    }
    return value
  }

  /// Refuses keys that were never read, here and in the sections handed out from here.
  public func finish() throws(ScenarioError) {
    let state = state.withLock { $0 }
    if let entry = entries.first(where: { !state.read.contains($0.key) }) {
      let here = path.isEmpty ? "at the top level" : "in \(path)"
      guard !state.known.contains(entry.key) else {
        throw ScenarioError(
          entry.place, "the key \(entry.key.shown) has no effect \(here)", hint: "remove it")
      }
      let meant = NearestName.of(entry.key, among: state.known).map { "; did you mean \"\($0)\"?" } ?? ""
      throw ScenarioError(
        entry.place, "unknown key \(entry.key.shown) \(here)" + meant,
        hint: state.known.isEmpty ? "no keys here" : "keys here: \(state.known.joined(separator: ", "))")
    }
    let sections = state.sections.values.sorted {
      ($0.place.line ?? 0, $0.path) < ($1.place.line ?? 0, $1.path)
    }
    for section in sections { try section.finish() }
  }

  /// For the caller's own checks, at the key's place, or at the section's where there is no such key.
  public func error(_ key: String?, _ message: String, hint: String? = nil) -> ScenarioError {
    ScenarioError(key.flatMap(entry)?.place ?? place, message, hint: hint)
  }

  // MARK: Parts

  private func entry(_ key: String) -> ScenarioNode.Entry? { entries.first { $0.key == key } }

  private static func note(_ key: String, in state: inout State) {
    if !state.known.contains(key) { state.known.append(key) }
  }

  func section(of value: ScenarioValue) -> ScenarioSection {
    state.withLock {
      if let section = $0.sections[value.path] { return section }
      let section = ScenarioSection(value.node, path: value.path, place: value.place)
      $0.sections[value.path] = section
      return section
    }
  }
}
