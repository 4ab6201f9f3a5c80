import ModelBackend
import SpeculationCore

/// What should be cached, kept in the most obvious way: the set of all cached sequences of tokens.
struct NaiveCache {
  /// Every sequence whose last token has a cell. Closed under prefixes.
  var sequences: Set<[TokenID]> = []
  /// The committed text, as far as it is cached.
  var trunk: [TokenID] = []

  private mutating func add(_ sequence: [TokenID]) {
    for length in 1...sequence.count { sequences.insert(Array(sequence.prefix(length))) }
  }

  mutating func verify(_ prefix: [TokenID], _ draft: DraftTree) {
    sequences = []
    trunk = prefix
    if prefix.isEmpty { return }
    add(prefix)
    for path in draft.paths { add(prefix + path) }
  }

  mutating func expand(_ prefix: [TokenID], _ paths: [[TokenID]]) {
    trunk = prefix
    sequences = sequences.filter { prefix.starts(with: $0) || $0.starts(with: prefix) }
    // Outputs are not kept, so what is asked again is evaluated again, and what was below it goes.
    for path in paths {
      let sequence = prefix + path
      if sequences.contains(sequence) { sequences = sequences.filter { !$0.starts(with: sequence) } }
    }
    for path in paths { add(prefix + path) }
  }

  /// How many tokens of a text are cached.
  func cached(of text: [TokenID]) -> Int {
    var count = 0
    while count < text.count, sequences.contains(Array(text.prefix(count + 1))) { count += 1 }
    return count
  }

  /// Positions of the cells.
  var positions: [Int] { sequences.map { $0.count - 1 } }
}

/// Sessions, and the texts of released ones, in an engine with room for all of them.
struct NaiveEngine {
  /// Tokens that must be in common before they are worth taking over.
  static let leastShare = 8

  var sessions: [UInt64: NaiveCache] = [:]
  /// The one of use the longest time ago first.
  var released: [[TokenID]] = []

  /// How many tokens of `text` a session takes over from others, beyond those it has.
  mutating func takeOver(_ session: UInt64, _ text: [TokenID]) -> Int {
    let usable = text.count - 1
    let had = min(sessions[session]?.cached(of: text) ?? 0, usable)
    func common(_ other: [TokenID]) -> Int { min(usable, zip(text, other).prefix { $0 == $1 }.count) }
    let open = sessions.filter { $0.key != session }.map { common($0.value.trunk) }.max() ?? 0
    let kept = released.map(common).max() ?? 0
    let best = max(open, kept)
    guard best >= had + Self.leastShare else { return 0 }
    if kept >= open, let index = released.lastIndex(where: { common($0) == kept }) {
      let source = released.remove(at: index)
      // One of which little would be left is continued; others are copied and become the latest.
      let isNew = sessions[session]?.sequences.isEmpty ?? true
      if !isNew || source.count - best >= Self.leastShare { released.append(source) }
    }
    return best - had
  }

  mutating func release(_ session: UInt64) {
    guard let text = sessions.removeValue(forKey: session)?.trunk, text.count >= Self.leastShare else {
      return
    }
    if sessions.values.contains(where: { $0.trunk.starts(with: text) }) { return }
    if let index = released.firstIndex(where: { $0.starts(with: text) }) {
      released.append(released.remove(at: index))
      return
    }
    released.removeAll { text.starts(with: $0) }
    released.append(text)
  }
}
