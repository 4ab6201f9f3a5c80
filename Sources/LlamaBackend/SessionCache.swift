import SpeculationCore

/// What the cache bookkeeping asks of the engine's memory. Both are metadata only.
protocol SequenceMemory {
  /// Takes a sequence off every cell at `position` or later; cells that no sequence holds any more become free.
  func remove(sequence: Int32, from position: Int)
  /// Puts `target` on the cells that `source` holds at `positions`.
  func share(from source: Int32, to target: Int32, positions: Range<Int>)
}

/// What is cached for one session: a trunk of committed tokens and a tree of guesses below it.
///
/// Each token of trunk and tree has exactly one cell in the engine. The first `sharedCount` tokens of the trunk
/// may have theirs in common with other sessions that begin alike. llama.cpp tells branches apart by sequence
/// ids, here called *sequences*: a token attends to the cells of its sequence at earlier positions. So every path from
/// the beginning to a leaf needs a sequence that holds all its cells, and cells above a fork belong to several.
///
/// Invariants:
/// - a sequence holds exactly the cells of one path from the beginning: its `content`;
/// - every cached token is held by at least one sequence;
/// - nodes are in topological order (a parent's index is below its children's).
///
/// A sequence that its branch no longer needs keeps the part that is trunk, and falls behind as the trunk grows. To
/// be used again it is only given what it lacks, so keeping many branches costs O(new tokens) a pass, not
/// O(tokens).
struct SessionCache {
  struct Node {
    var token: TokenID
    /// Index of the parent; -1 below the trunk's end.
    var parent: Int
    /// Nodes from the trunk's end down to this one, itself included.
    var depth: Int
    /// Number of the pass that last needed it.
    var lastUse: UInt64
  }

  enum Content: Hashable {
    /// The first so many tokens of the trunk.
    case prefix(Int)
    /// The trunk and the path down to a node.
    case node(Int)
  }

  struct CacheSequence {
    var id: Int32
    var content: Content
  }

  var trunk: [TokenID] = []
  var nodes: [Node] = []
  var sequences: [CacheSequence] = []
  /// The segment that the shared part of the trunk ends with; -1 when nothing is shared.
  var sharedSegment = -1
  var sharedCount = 0

  /// Cells in use, shared ones included.
  var cells: Int { trunk.count + nodes.count }

  /// Tokens in a sequence.
  func length(of content: Content) -> Int {
    switch content {
    case .prefix(let count): count
    case .node(let index): trunk.count + nodes[index].depth
    }
  }

  /// O(nodes).
  func child(of parent: Int, token: TokenID) -> Int? {
    var index = parent + 1
    while index < nodes.count {
      if nodes[index].parent == parent && nodes[index].token == token { return index }
      index += 1
    }
    return nil
  }
}

// MARK: Following the committed text

extension SessionCache {
  /// Makes the trunk a prefix of `prefix`, keeping all that is cached of it and, when all of it is cached, the
  /// guesses below it. Everything else is freed.
  ///
  /// O(prefix + nodes), plus one scan of the engine's cells for each sequence that loses some.
  mutating func align(to prefix: [TokenID], memory: some SequenceMemory) {
    let common = commonLength(trunk, prefix)
    if common < trunk.count {
      truncate(to: common, memory: memory)
      return
    }
    var path: [Int] = []
    while trunk.count + path.count < prefix.count,
      let next = child(of: path.last ?? -1, token: prefix[trunk.count + path.count])
    {
      path.append(next)
    }
    let complete = trunk.count + path.count == prefix.count
    if complete && path.isEmpty { return }
    descend(path, keepBelow: complete, memory: memory)
  }

  /// Shortens the trunk and frees every guess.
  mutating func truncate(to count: Int, memory: some SequenceMemory) {
    for index in sequences.indices where length(of: sequences[index].content) > count {
      memory.remove(sequence: sequences[index].id, from: count)
      sequences[index].content = .prefix(count)
    }
    for index in sequences.indices {
      if case .node = sequences[index].content { sequences[index].content = .prefix(count) }
    }
    trunk.removeLast(trunk.count - count)
    nodes.removeAll(keepingCapacity: true)
  }

  /// Moves the nodes of a path into the trunk. What is not below the path's end is freed, and with
  /// `keepBelow` false that too.
  private mutating func descend(_ path: [Int], keepBelow: Bool, memory: some SequenceMemory) {
    let end = path.last ?? -1
    var keep = [Bool](repeating: false, count: nodes.count)
    // Where a node leaves the path: how many of the path's nodes are above it or are it.
    var shared = [Int](repeating: 0, count: nodes.count)
    for (offset, node) in path.enumerated() { shared[node] = offset + 1 }
    for index in nodes.indices {
      let parent = nodes[index].parent
      if shared[index] == 0 && parent >= 0 { shared[index] = shared[parent] }
      let below = parent == end || (parent >= 0 && keep[parent])
      keep[index] = keepBelow && below && !path.contains(index)
    }
    let base = trunk.count
    for index in sequences.indices {
      guard case .node(let tip) = sequences[index].content, !keep[tip] else { continue }
      let count = base + shared[tip]
      if base + nodes[tip].depth > count { memory.remove(sequence: sequences[index].id, from: count) }
      sequences[index].content = .prefix(count)
    }
    trunk += path.map { nodes[$0].token }
    compact(keep: keep, newRoot: end, removedDepth: path.count)
  }

  /// Removes nodes and renumbers the rest. Sequences must already be off the removed nodes.
  private mutating func compact(keep: [Bool], newRoot: Int, removedDepth: Int) {
    var map = [Int](repeating: -1, count: nodes.count)
    var kept: [Node] = []
    for index in nodes.indices where keep[index] {
      var node = nodes[index]
      node.parent = node.parent == newRoot || node.parent < 0 ? -1 : map[node.parent]
      node.depth -= removedDepth
      map[index] = kept.count
      kept.append(node)
    }
    nodes = kept
    for index in sequences.indices {
      if case .node(let tip) = sequences[index].content { sequences[index].content = .node(map[tip]) }
    }
  }
}

// MARK: Freeing guesses

extension SessionCache {
  /// Frees nodes. `keep` must be false for every descendant of a node it is false for.
  ///
  /// A sequence that loses its tip stays on the deepest node left if no other sequence holds that node; otherwise it
  /// goes back to the trunk and is idle.
  mutating func retain(_ keep: [Bool], memory: some SequenceMemory) {
    var held = [Bool](repeating: false, count: nodes.count)
    func hold(_ tip: Int) {
      var at = tip
      while at >= 0, !held[at] {
        held[at] = true
        at = nodes[at].parent
      }
    }
    var losers: [(sequence: Int, left: Int)] = []
    for index in sequences.indices {
      guard case .node(let tip) = sequences[index].content else { continue }
      if keep[tip] {
        hold(tip)
        continue
      }
      var at = tip
      while at >= 0, !keep[at] { at = nodes[at].parent }
      losers.append((index, at))
    }
    // The deepest first: a sequence that stays there holds the shallower ones as well.
    losers.sort { a, b in
      let depthA = a.left < 0 ? 0 : nodes[a.left].depth
      let depthB = b.left < 0 ? 0 : nodes[b.left].depth
      return depthA > depthB || (depthA == depthB && a.sequence < b.sequence)
    }
    for (sequence, left) in losers {
      let content: Content = left < 0 || held[left] ? .prefix(trunk.count) : .node(left)
      memory.remove(sequence: sequences[sequence].id, from: length(of: content))
      sequences[sequence].content = content
      if left >= 0 { hold(left) }
    }
    compact(keep: keep, newRoot: -1, removedDepth: 0)
  }

  /// Frees a node and everything below it.
  mutating func removeSubtree(_ node: Int, memory: some SequenceMemory) {
    var keep = [Bool](repeating: true, count: nodes.count)
    keep[node] = false
    for index in node..<nodes.count where nodes[index].parent >= 0 && !keep[nodes[index].parent] {
      keep[index] = false
    }
    retain(keep, memory: memory)
  }

  /// A sequence that holds the whole trunk; nil when there is no sequence at all.
  var trunkSequence: Int? {
    sequences.firstIndex { if case .node = $0.content { true } else { false } }
      ?? sequences.firstIndex { $0.content == .prefix(trunk.count) }
  }

  /// Sequences beyond the one that holds the trunk: they hold nothing that another sequence does not hold too.
  var idleSequences: [Int] {
    let keeper = trunkSequence
    return sequences.indices.filter { index in
      guard case .prefix = sequences[index].content else { return false }
      return index != keeper
    }
  }

  /// The pass that last needed the branch that would be freed first, and what would be left of the tree.
  ///
  /// A branch is the nodes that only one sequence holds. Branches with a node in `protected` stay.
  func oldestBranch(protected: Set<Int>) -> (lastUse: UInt64, keep: [Bool])? {
    var holders = [Int](repeating: 0, count: nodes.count)
    for case .node(let tip) in sequences.map(\.content) {
      var at = tip
      while at >= 0 {
        holders[at] += 1
        at = nodes[at].parent
      }
    }
    var best: (lastUse: UInt64, keep: [Bool])?
    for case .node(let tip) in sequences.map(\.content) {
      var branch: [Int] = []
      var at = tip
      while at >= 0, holders[at] == 1, !protected.contains(at) {
        branch.append(at)
        at = nodes[at].parent
      }
      guard let first = branch.first, best.map({ nodes[first].lastUse < $0.lastUse }) ?? true else {
        continue
      }
      var keep = [Bool](repeating: true, count: nodes.count)
      for node in branch { keep[node] = false }
      best = (nodes[first].lastUse, keep)
    }
    return best
  }
}
