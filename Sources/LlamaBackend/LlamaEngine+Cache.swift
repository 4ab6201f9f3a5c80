import ModelBackend
import SpeculationCore

/// How full an engine's cache is.
public struct CacheUsage: Sendable, Hashable {
  /// Cells of each open session: its cached tokens, guesses included. What sessions have in common counts for
  /// each of them.
  public var sessions: [SessionID: Int]
  /// Cells in use and in all. What sessions have in common is counted once.
  public var used: Int
  public var capacity: Int
  /// Sequences in use and in all.
  public var usedSequences: Int
  public var sequences: Int
  /// Those of the used cells that only released sessions have. They are free for whoever needs them.
  public var retained: Int
  /// Released sessions that are kept, with one of the used sequences each.
  public var retainedSequences: Int
  /// Tokens that were taken from the cache of another session instead of being computed, since the engine was
  /// loaded.
  public var reusedTokens: UInt64
}

extension LlamaEngine {
  /// The engine's own ledger of its cache.
  public func cacheUsage() throws -> CacheUsage {
    let context = try context()
    let used = usedCells
    // What open sessions can reach, shared segments once.
    var reached: Set<Int> = []
    var open = 0
    for cache in sessions.values {
      open += cache.ownCells
      var segment = cache.sharedSegment
      while segment >= 0, reached.insert(segment).inserted {
        open += segments[segment].range.count
        segment = segments[segment].parent
      }
    }
    return CacheUsage(
      sessions: sessions.mapValues(\.cells), used: used, capacity: context.cells,
      usedSequences: context.sequences - freeSequences.count, sequences: context.sequences,
      retained: used - open,
      retainedSequences: retained.count, reusedTokens: reusedTokens)
  }

  /// Time spent in llama.cpp's decode so far; the rest of the passes' durations is our own.
  package func decodeTime() throws -> Duration { try context().decodeTime }

  /// The cells that the ledger says exist, sorted.
  package func expectedCells() -> [CachedCell] {
    var own: [CachedCell] = []
    // Sequences of each shared token, by segment.
    var shared: [Int: [[Int32]]] = [:]
    for cache in Array(sessions.values) + retained {
      let cells = cache.expectedCells()
      var segment = cache.sharedSegment
      while segment >= 0 {
        let range = segments[segment].range
        var sequences = shared[segment] ?? Array(repeating: [], count: range.count)
        for position in range { sequences[position - range.lowerBound] += cells[position].sequences }
        shared[segment] = sequences
        segment = segments[segment].parent
      }
      own += cells[cache.sharedCount...]
    }
    for (segment, sequences) in shared {
      own += sequences.enumerated().map {
        CachedCell(position: segments[segment].range.lowerBound + $0, sequences: $1.sorted())
      }
    }
    return own.sorted()
  }

  /// What is wrong with the ledger in itself, for checks; nil when all is right.
  package func ledgerProblem() -> String? {
    let caches = Array(sessions.values) + retained
    let sequences = caches.flatMap { $0.sequences.map(\.id) } + freeSequences
    if sequences.sorted() != (0..<Int32(options.sequences)).map({ $0 }) {
      return "sequences are lost or twice: \(sequences)"
    }
    for cache in caches {
      let end = cache.sharedSegment < 0 ? 0 : segments[cache.sharedSegment].range.upperBound
      if end != cache.sharedCount || end > cache.trunk.count {
        return
          "\(cache.sharedCount) of \(cache.trunk.count) tokens are shared, in segments that end at \(end)"
      }
    }
    return segments.problem(holds: caches.map(\.sharedSegment).filter { $0 >= 0 })
  }

  /// Sequences of each open session.
  package func sessionSequences() -> [SessionID: Set<Int32>] {
    sessions.mapValues { Set($0.sequences.map(\.id)) }
  }

  /// The cells that llama.cpp has, sorted. Copies the whole cache: for checks.
  package func storedCells() throws -> [CachedCell] { try context().storedCells() }
}

extension SessionCache {
  /// Cells of the trunk by position, then those of the nodes, with this session's sequences.
  func expectedCells() -> [CachedCell] {
    var trunkSequences = [[Int32]](repeating: [], count: trunk.count)
    var nodeSequences = [[Int32]](repeating: [], count: nodes.count)
    for sequence in sequences {
      switch sequence.content {
      case .prefix(let count):
        for position in 0..<count { trunkSequences[position].append(sequence.id) }
      case .node(let tip):
        for position in trunk.indices { trunkSequences[position].append(sequence.id) }
        var at = tip
        while at >= 0 {
          nodeSequences[at].append(sequence.id)
          at = nodes[at].parent
        }
      }
    }
    let trunkCells = trunkSequences.enumerated().map { CachedCell(position: $0, sequences: $1.sorted()) }
    let nodeCells = nodeSequences.enumerated().map { index, sequences in
      CachedCell(position: trunk.count + nodes[index].depth - 1, sequences: sequences.sorted())
    }
    return trunkCells + nodeCells
  }
}
