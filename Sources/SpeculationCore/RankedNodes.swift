/// A node as best-first selection sees it.
struct RankedNode: Sendable {
  var probability: Double
  var serial: Int64
  /// Where the node lies in the tree's array.
  var place: Int32
  /// How many nodes were visited before its parent.
  var parentTurn: Int32

  /// Whether this node comes first: it is likelier, or as likely and older.
  @inline(__always)
  func precedes(_ other: Self) -> Bool {
    probability != other.probability ? probability > other.probability : serial < other.serial
  }
}

/// A binary heap with the best node on top. One end is all that selection needs, so this is less work than a
/// min-max heap.
struct RankedNodes: Sendable {
  private var nodes: [RankedNode] = []

  var best: RankedNode? { nodes.first }

  mutating func reserveCapacity(_ capacity: Int) { nodes.reserveCapacity(capacity) }
  mutating func removeAll() { nodes.removeAll(keepingCapacity: true) }

  /// O(log n); mostly O(1), since most nodes are worse than those there are.
  mutating func insert(_ node: RankedNode) {
    var index = nodes.count
    nodes.append(node)
    while index > 0 {
      let parent = (index - 1) / 2
      guard node.precedes(nodes[parent]) else { break }
      nodes[index] = nodes[parent]
      index = parent
    }
    nodes[index] = node
  }

  /// O(log n).
  mutating func popBest() -> RankedNode? {
    guard let last = nodes.popLast() else { return nil }
    let count = nodes.count
    guard count > 0 else { return last }
    let best = nodes[0]
    var index = 0
    while true {
      var child = 2 * index + 1
      guard child < count else { break }
      if child + 1 < count, nodes[child + 1].precedes(nodes[child]) { child += 1 }
      guard nodes[child].precedes(last) else { break }
      nodes[index] = nodes[child]
      index = child
    }
    nodes[index] = last
    return best
  }
}
