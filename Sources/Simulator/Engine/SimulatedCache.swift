import SpeculationCore

/// What a simulated model has read: the contexts of sessions, and what earlier ones left behind.
///
/// Counts what costs: a context that is new, and what was committed while nothing was drafted. A token that follows
/// from one pass to the next is the node that the pass expands, and paid for as such.
struct SimulatedCache {
  private struct Sequence {
    /// The context that it began with; empty for an excerpt.
    var context: [TokenID] = []
    /// Tokens of it that have been read.
    var read = 0
  }

  private var sequences: [SessionID: Sequence] = [:]
  /// Contexts of sessions that are over, as far as they were read; the one of use the longest time ago first.
  private var left: [[TokenID]] = []

  /// Contexts of sessions that are over that are kept.
  private static let maxLeft = 32
  /// A committed text that goes on by no more between two passes was in the tree.
  private static let followed = 32

  /// A session begins. What it has in common with others need not be read again.
  ///
  /// - Returns: how many tokens that are
  @discardableResult
  mutating func open(_ session: SessionID, _ context: [TokenID]) -> Int {
    var best = 0
    for sequence in sequences.values {
      best = max(best, min(sequence.read, commonLength(sequence.context, context)))
    }
    var used: Int?
    for (index, text) in left.enumerated() {
      let common = commonLength(text, context)
      if common > best { (best, used) = (common, index) }
    }
    if let used { left.append(left.remove(at: used)) }
    let read = min(best, context.count - 1)
    sequences[session] = Sequence(context: context, read: read)
    return read
  }

  /// So many tokens of a session's text are read by now.
  mutating func didRead(_ session: SessionID, _ count: Int) {
    guard let sequence = sequences[session], sequence.read < count else { return }
    sequences[session]!.read = count
  }

  /// A session is over.
  mutating func release(_ session: SessionID) {
    guard let gone = sequences.removeValue(forKey: session) else { return }
    let text = Array(gone.context.prefix(gone.read))
    guard !text.isEmpty else { return }
    left.removeAll { commonLength($0, gone.context) == $0.count && $0.count <= text.count }
    left.append(text)
    if left.count > Self.maxLeft { left.removeFirst() }
  }

  mutating func discard(_ sequence: SessionID) { sequences[sequence] = nil }

  /// The process stops, and knows nothing any more.
  mutating func removeAll() { self = SimulatedCache() }

  /// A pass guesses from a sequence of `count` tokens, the first node `depth` below the root.
  ///
  /// - Returns: tokens that the pass has to read for that
  mutating func guess(from sequence: SessionID, count: Int, depth: Int) -> Int {
    let read = sequences[sequence]?.read ?? 0
    sequences[sequence, default: Sequence()].read = count
    return count - read > Self.followed || read == 0 ? count - 1 - read + depth : 0
  }

  /// A pass reads.
  ///
  /// - Returns: tokens that it evaluates, and those of the task that are read then
  mutating func read(_ task: ReadingTask) -> (evaluated: Int, cached: Int) {
    let read = sequences[task.sequence]?.read ?? 0
    let cached = max(read, min(read + task.limit, task.tokens.count - 1))
    sequences[task.sequence, default: Sequence()].read = cached
    return (cached - read, cached)
  }
}
