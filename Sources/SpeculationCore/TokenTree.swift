import Collections

/// What has been guessed below the last committed position of a session.
///
/// The root is the last committed token. A node is a token after its parent; it is *expanded* once a draft
/// model has been run on it, which gave its children. Worker and controller each keep one and change it by the
/// same operations, so that they agree on what both have heard.
///
/// `Annotation` is what an owner keeps for each node (ids on the wire, origin, flags).
///
/// Cost, with `n` nodes in the tree, `c` children of a node: child look-up O(c); attaching m children O(m·c);
/// attaching one guess O(c); re-rooting O(n); best-first selection of k nodes O(k·c·log(k·c)).
///
/// Nothing here depends on hashing, so equal histories give equal trees in every process.
public struct TokenTree<Annotation: Sendable>: Sendable {
  /// Names a node for as long as it lives; never reused, so a name kept too long is recognised.
  public struct NodeID: Hashable, Sendable {
    @usableFromInline var slot: Int32
    /// Order of creation, from 0. A child's is always above its parent's.
    public let serial: Int64
  }

  @usableFromInline
  struct Node: Sendable {
    var serial: Int64
    var token: TokenID
    var position: Int
    var parent: Int32
    var firstChild: Int32
    var lastChild: Int32
    var nextSibling: Int32
    /// Probability after the parent, 0...1.
    var probability: Float
    /// Product of the probabilities from below the root down to this node; 1 at the root.
    var pathProbability: Double
    /// Nats; NaN until the node is expanded.
    var entropy: Float
    var annotation: Annotation
  }

  private static var none: Int32 { -1 }
  private var nodes: [Node?] = []
  private var free: [Int32] = []
  private var rootSlot: Int32 = 0
  private var nextSerial: Int64 = 0

  /// Number of nodes, the root included.
  public private(set) var count = 0

  /// - Parameters:
  ///   - token: the last committed token
  ///   - position: its index in the session's whole token sequence
  public init(root token: TokenID, position: Int, annotation: Annotation) {
    rootSlot = insert(token: token, position: position, parent: Self.none, probability: 1, annotation)
  }

  // MARK: Reading

  public var root: NodeID { id(of: rootSlot) }
  public var rootPosition: Int { nodes[Int(rootSlot)]!.position }

  /// Whether the node still is in the tree. O(1).
  public func contains(_ node: NodeID) -> Bool {
    Int(node.slot) < nodes.count && nodes[Int(node.slot)]?.serial == node.serial
  }

  public func token(of node: NodeID) -> TokenID { self[node].token }
  public func position(of node: NodeID) -> Int { self[node].position }
  /// Number of edges between the root and the node.
  public func depth(of node: NodeID) -> Int { self[node].position - rootPosition }
  public func probability(of node: NodeID) -> Float { self[node].probability }
  public func pathProbability(of node: NodeID) -> Double { self[node].pathProbability }
  public func isExpanded(_ node: NodeID) -> Bool { !self[node].entropy.isNaN }
  /// Entropy in nats of the draft's distribution after the node; nil until it is expanded.
  public func entropy(of node: NodeID) -> Float? {
    let entropy = self[node].entropy
    return entropy.isNaN ? nil : entropy
  }
  public func annotation(of node: NodeID) -> Annotation { self[node].annotation }

  public func parent(of node: NodeID) -> NodeID? {
    let parent = self[node].parent
    return parent == Self.none ? nil : id(of: parent)
  }

  /// Children in the order in which they were attached.
  public func children(of node: NodeID) -> [NodeID] {
    var result: [NodeID] = []
    var slot = self[node].firstChild
    while slot != Self.none {
      result.append(id(of: slot))
      slot = nodes[Int(slot)]!.nextSibling
    }
    return result
  }

  public func child(of node: NodeID, token: TokenID) -> NodeID? {
    var slot = self[node].firstChild
    while slot != Self.none {
      if nodes[Int(slot)]!.token == token { return id(of: slot) }
      slot = nodes[Int(slot)]!.nextSibling
    }
    return nil
  }

  /// Tokens from below the root down to and including the node; empty for the root.
  public func path(to node: NodeID) -> [TokenID] {
    var result: [TokenID] = []
    result.reserveCapacity(depth(of: node))
    var slot = node.slot
    precondition(contains(node))
    while slot != rootSlot {
      result.append(nodes[Int(slot)]!.token)
      slot = nodes[Int(slot)]!.parent
    }
    result.reverse()
    return result
  }

  // MARK: Changing

  public mutating func annotate(_ node: NodeID, _ change: (inout Annotation) -> Void) {
    precondition(contains(node), "annotating a node that is not in the tree")
    change(&nodes[Int(node.slot)]!.annotation)
  }

  /// Marks a node as expanded and attaches the candidates it does not have as children yet.
  ///
  /// - Returns: for each candidate, in order, the child that stands for it and whether it is new. A child that
  ///   was there keeps its probability and its annotation.
  @discardableResult
  public mutating func expand(
    _ node: NodeID, entropy: Float, candidates: [Candidate],
    annotation: (_ index: Int) -> Annotation
  ) -> [(child: NodeID, isNew: Bool)] {
    precondition(contains(node), "expanding a node that is not in the tree")
    precondition(entropy.isFinite && entropy >= 0, "an entropy is finite and not negative")
    if nodes[Int(node.slot)]!.entropy.isNaN { nodes[Int(node.slot)]!.entropy = entropy }
    let position = nodes[Int(node.slot)]!.position + 1
    return candidates.enumerated().map { index, candidate in
      if let existing = child(of: node, token: candidate.token) { return (existing, false) }
      let slot = insert(
        token: candidate.token, position: position, parent: node.slot,
        probability: min(max(candidate.probability, 0), 1), annotation(index))
      return (id(of: slot), true)
    }
  }

  /// Attaches a child without marking its parent as expanded: a guess that no draft model made. The token must
  /// not be there yet. O(c).
  public mutating func attach(
    _ token: TokenID, below parent: NodeID, probability: Float, annotation: Annotation
  ) -> NodeID {
    precondition(contains(parent), "attaching below a node that is not in the tree")
    precondition(child(of: parent, token: token) == nil, "the child is there already")
    let slot = insert(
      token: token, position: self[parent].position + 1, parent: parent.slot,
      probability: min(max(probability, 0), 1), annotation)
    return id(of: slot)
  }

  /// Changes how likely a node other than the root is after its parent. O(size of the subtree).
  public mutating func setProbability(of node: NodeID, to probability: Float) {
    precondition(contains(node) && node.slot != rootSlot, "the root has no probability to change")
    nodes[Int(node.slot)]!.probability = min(max(probability, 0), 1)
    let parent = nodes[Int(nodes[Int(node.slot)]!.parent)]!
    nodes[Int(node.slot)]!.pathProbability = parent.pathProbability * Double(self[node].probability)
    rescale(from: node.slot)
  }

  /// Makes a node the root: keeps what is below it, removes everything else. O(n).
  ///
  /// - Parameter removed: called once for each node that goes, the old root included.
  public mutating func reroot(at node: NodeID, removed: (NodeID, Annotation) -> Void) {
    precondition(contains(node), "re-rooting at a node that is not in the tree")
    guard node.slot != rootSlot else { return }
    unlink(node.slot)
    removeSubtree(rootSlot, removed)
    rootSlot = node.slot
    nodes[Int(rootSlot)]!.parent = Self.none
    rescale()
  }

  /// Drops everything and starts again from another root. O(n).
  public mutating func restart(
    root token: TokenID, position: Int, annotation: Annotation, removed: (NodeID, Annotation) -> Void
  ) {
    removeSubtree(rootSlot, removed)
    rootSlot = insert(token: token, position: position, parent: Self.none, probability: 1, annotation)
  }

  /// Removes a node other than the root, with everything below it. O(size of the subtree + c).
  public mutating func prune(_ node: NodeID, removed: (NodeID, Annotation) -> Void) {
    precondition(contains(node) && node.slot != rootSlot, "pruning the root or a node that is not there")
    unlink(node.slot)
    removeSubtree(node.slot, removed)
  }

  // MARK: Selection

  /// What to do with a node that best-first traversal has reached.
  public enum Visit { case descend, skipChildren, stop }

  /// Visits nodes by falling path probability; of equals, the one created first. The root comes first.
  ///
  /// Because a child's path probability never exceeds its parent's and its serial is higher, a parent is
  /// always visited before its children.
  public func visitBestFirst(_ visit: (NodeID, _ pathProbability: Double) -> Visit) {
    var heap = Heap<Ranked>()
    heap.insert(Ranked(probability: 1, serial: nodes[Int(rootSlot)]!.serial, slot: rootSlot))
    while let best = heap.popMax() {
      switch visit(NodeID(slot: best.slot, serial: best.serial), best.probability) {
      case .stop: return
      case .skipChildren: continue
      case .descend:
        var slot = nodes[Int(best.slot)]!.firstChild
        while slot != Self.none {
          let node = nodes[Int(slot)]!
          heap.insert(Ranked(probability: node.pathProbability, serial: node.serial, slot: slot))
          slot = node.nextSibling
        }
      }
    }
  }

  /// The most probable unexpanded nodes, best first.
  ///
  /// - Parameters:
  ///   - limit: how many at most
  ///   - minPathProbability: leave out what is less likely to be used than this
  ///   - maxDepth: leave out nodes further below the root than this
  ///   - isEligible: asked only of unexpanded nodes
  public func frontier(
    limit: Int, minPathProbability: Double, maxDepth: Int, isEligible: (NodeID) -> Bool = { _ in true }
  ) -> [(node: NodeID, pathProbability: Double)] {
    var result: [(NodeID, Double)] = []
    guard limit > 0 else { return result }
    visitBestFirst { node, probability in
      if probability < minPathProbability { return .stop }
      if !isExpanded(node) && isEligible(node) {
        result.append((node, probability))
        if result.count == limit { return .stop }
      }
      return depth(of: node) < maxDepth ? .descend : .skipChildren
    }
    return result
  }

  // MARK: Private

  private struct Ranked: Comparable {
    var probability: Double
    var serial: Int64
    var slot: Int32
    static func < (a: Self, b: Self) -> Bool {
      a.probability != b.probability ? a.probability < b.probability : a.serial > b.serial
    }
  }

  private subscript(node: NodeID) -> Node {
    precondition(contains(node), "the node is not in the tree")
    return nodes[Int(node.slot)]!
  }

  private func id(of slot: Int32) -> NodeID { NodeID(slot: slot, serial: nodes[Int(slot)]!.serial) }

  private mutating func insert(
    token: TokenID, position: Int, parent: Int32, probability: Float, _ annotation: Annotation
  ) -> Int32 {
    let path = parent == Self.none ? 1 : nodes[Int(parent)]!.pathProbability * Double(probability)
    let node = Node(
      serial: nextSerial, token: token, position: position, parent: parent, firstChild: Self.none,
      lastChild: Self.none, nextSibling: Self.none, probability: probability, pathProbability: path,
      entropy: .nan, annotation: annotation)
    nextSerial += 1
    count += 1
    let slot: Int32
    if let reused = free.popLast() {
      slot = reused
      nodes[Int(slot)] = node
    } else {
      slot = Int32(nodes.count)
      nodes.append(node)
    }
    if parent != Self.none {
      let last = nodes[Int(parent)]!.lastChild
      if last == Self.none {
        nodes[Int(parent)]!.firstChild = slot
      } else {
        nodes[Int(last)]!.nextSibling = slot
      }
      nodes[Int(parent)]!.lastChild = slot
    }
    return slot
  }

  /// Takes a node out of its parent's list of children.
  private mutating func unlink(_ slot: Int32) {
    let parent = nodes[Int(slot)]!.parent
    let next = nodes[Int(slot)]!.nextSibling
    var previous = Self.none
    var cursor = nodes[Int(parent)]!.firstChild
    while cursor != slot {
      previous = cursor
      cursor = nodes[Int(cursor)]!.nextSibling
    }
    if previous == Self.none {
      nodes[Int(parent)]!.firstChild = next
    } else {
      nodes[Int(previous)]!.nextSibling = next
    }
    if nodes[Int(parent)]!.lastChild == slot { nodes[Int(parent)]!.lastChild = previous }
    nodes[Int(slot)]!.nextSibling = Self.none
  }

  private mutating func removeSubtree(_ top: Int32, _ removed: (NodeID, Annotation) -> Void) {
    var stack = [top]
    while let slot = stack.popLast() {
      let node = nodes[Int(slot)]!
      var child = node.firstChild
      while child != Self.none {
        stack.append(child)
        child = nodes[Int(child)]!.nextSibling
      }
      removed(NodeID(slot: slot, serial: node.serial), node.annotation)
      nodes[Int(slot)] = nil
      free.append(slot)
      count -= 1
    }
  }

  /// Recomputes path probabilities from the new root; dividing the old ones would lose precision over time.
  private mutating func rescale() {
    nodes[Int(rootSlot)]!.pathProbability = 1
    rescale(from: rootSlot)
  }

  /// Recomputes the path probabilities below a node from its own.
  private mutating func rescale(from top: Int32) {
    var stack = [top]
    while let slot = stack.popLast() {
      let path = nodes[Int(slot)]!.pathProbability
      var child = nodes[Int(slot)]!.firstChild
      while child != Self.none {
        nodes[Int(child)]!.pathProbability = path * Double(nodes[Int(child)]!.probability)
        stack.append(child)
        child = nodes[Int(child)]!.nextSibling
      }
    }
  }
}

extension TokenTree {
  /// Everything that must hold between operations; the first breach as a sentence. For tests. O(n·c).
  package var brokenInvariant: String? {
    var seen = 0
    var stack = [rootSlot]
    while let slot = stack.popLast() {
      guard let node = nodes[Int(slot)] else { return "slot \(slot) is linked but empty" }
      seen += 1
      var tokens: [TokenID] = []
      var last = Self.none
      var child = node.firstChild
      while child != Self.none {
        guard let below = nodes[Int(child)] else { return "child slot \(child) is linked but empty" }
        if below.parent != slot { return "child \(child) of \(slot) names parent \(below.parent)" }
        if below.serial <= node.serial { return "child \(child) is older than its parent" }
        if below.position != node.position + 1 { return "child \(child) is at position \(below.position)" }
        let expected = node.pathProbability * Double(below.probability)
        if abs(below.pathProbability - expected) > 1e-12 { return "path probability of \(child) is off" }
        if tokens.contains(below.token) { return "two children of \(slot) with token \(below.token)" }
        tokens.append(below.token)
        stack.append(child)
        last = child
        child = below.nextSibling
      }
      if node.lastChild != last { return "last child of \(slot) is \(node.lastChild), not \(last)" }
    }
    if seen != count { return "count is \(count), linked nodes are \(seen)" }
    if nodes.count - free.count != count { return "\(nodes.count - free.count) slots used by \(count) nodes" }
    return nil
  }
}
