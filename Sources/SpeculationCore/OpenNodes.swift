/// The unexpanded nodes of a worker's tree, best first, kept from one draft pass to the next: a pass of B nodes
/// among n takes O(B·log n), where best-first traversal would go through the whole tree again.
///
/// Once the root has moved, probabilities and depths are others: the next `takeBest` gathers the nodes anew,
/// O(n). Nodes that were expanded in the meantime are passed over when they come up.
struct OpenNodes: Sendable {
  typealias Tree = TokenTree<WorkerMachine.Note>

  /// Their places stay the same until the root moves.
  private var waiting = RankedNodes()
  private var isCurrent = false
  private var minPathProbability = 0.0
  /// The deepest position that may be expanded.
  private var deepest: Int32 = 0

  /// The root has moved.
  mutating func rootMoved() { isCurrent = false }

  /// A node was attached. O(log n).
  @inline(__always)
  mutating func attached(_ node: Tree.NodeID, in tree: Tree) {
    guard isCurrent else { return }
    consider(tree.find(node), in: tree)
  }

  @inline(__always)
  private mutating func consider(_ place: Int32, in tree: Tree) {
    let node = tree.nodes[Int(place)]
    guard !node.isExpanded, node.pathProbability >= minPathProbability, node.position <= deepest else {
      return
    }
    waiting.insert(
      RankedNode(probability: node.pathProbability, serial: node.serial, place: place, parentTurn: 0))
  }

  /// Takes out the most probable nodes, best first: those that `TokenTree.frontier` would find.
  ///
  /// The caller expands them before the next call, or puts them back.
  mutating func takeBest(
    _ limit: Int, of tree: Tree, minPathProbability: Double, maxDepth: Int, _ body: (RankedNode) -> Void
  ) {
    guard limit > 0 else { return }
    if !isCurrent {
      isCurrent = true
      self.minPathProbability = minPathProbability
      deepest = Int32(clamping: tree.rootPosition + maxDepth)
      waiting.removeAll()
      for place in tree.nodes.indices { consider(Int32(place), in: tree) }
    }
    var taken = 0
    while taken < limit, let best = waiting.popBest() {
      guard !tree.nodes[Int(best.place)].isExpanded else { continue }
      body(best)
      taken += 1
    }
  }

  mutating func putBack(_ node: RankedNode) { waiting.insert(node) }
}
