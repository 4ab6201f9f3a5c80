/// The nodes of a worker's tree that are worth expanding, best first, kept from one draft pass to the next: a pass of
/// B nodes among n takes O(B·log n), where best-first traversal would go through the whole tree again.
///
/// Once the root has moved or nodes have gone, probabilities or places are others: the next `takeBest` gathers the
/// nodes anew, O(n). Nodes that were expanded in the meantime are passed over when they come up.
struct OpenNodes: Sendable {
  typealias Tree = TokenTree<WorkerMachine.Note>

  /// Which nodes may be taken.
  struct Bounds: Sendable {
    var minPathProbability = 0.0
    /// What ranks no higher is not worth its room: a full tree would give up at once what comes of it.
    var floor = 0.0
    /// Below the root.
    var maxDepth = 0
  }

  /// Their places stay the same until the tree has changed in another way than by growing.
  private var waiting = RankedNodes()
  private var isCurrent = false
  private var bounds = Bounds()
  /// The deepest position that may be expanded.
  private var deepest: Int32 = 0

  /// The root has moved, or nodes have gone.
  mutating func treeChanged() { isCurrent = false }

  /// Nodes were attached: those from `place` on. O(log n) each.
  @inline(__always)
  mutating func attached(from place: Int, in tree: Tree) {
    guard isCurrent else { return }
    for place in place..<tree.count { consider(Int32(place), in: tree) }
  }

  /// The path probability of what expanding a node would bring, at best: of the node itself, or of the likeliest
  /// child that an expanded node gave up. 0: nothing.
  @inline(__always)
  private static func rank(_ place: Int32, in tree: Tree) -> Double {
    let node = tree.nodes[Int(place)]
    guard node.isExpanded else { return node.pathProbability }
    return node.pathProbability * Double(tree.annotations[Int(place)].lost)
  }

  @inline(__always)
  private mutating func consider(_ place: Int32, in tree: Tree) {
    let rank = Self.rank(place, in: tree)
    let node = tree.nodes[Int(place)]
    guard rank > bounds.floor, rank >= bounds.minPathProbability, node.position <= deepest else { return }
    waiting.insert(RankedNode(probability: rank, serial: node.serial, place: place, parentTurn: 0))
  }

  /// Takes out the most probable nodes, best first: those that `TokenTree.frontier` would find.
  ///
  /// The caller expands them before the next call, or puts them back.
  mutating func takeBest(_ limit: Int, of tree: Tree, within bounds: Bounds, _ body: (RankedNode) -> Void) {
    guard limit > 0 else { return }
    if !isCurrent {
      isCurrent = true
      self.bounds = bounds
      deepest = Int32(clamping: tree.rootPosition + bounds.maxDepth)
      waiting.removeAll()
      for place in tree.nodes.indices { consider(Int32(place), in: tree) }
    }
    var taken = 0
    while taken < limit, let best = waiting.popBest() {
      // Expanded meanwhile.
      guard Self.rank(best.place, in: tree) == best.probability else { continue }
      body(best)
      taken += 1
    }
  }

  mutating func putBack(_ node: RankedNode) { waiting.insert(node) }
}
