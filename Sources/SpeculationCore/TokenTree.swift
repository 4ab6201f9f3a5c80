/// What has been guessed below the last committed position of a session.
///
/// The root is the last committed token. A node is a token after its parent; it is *expanded* once a draft
/// model has been run on it, which gave its children. Worker and controller each keep one and change it by the
/// same operations, so that they agree on what both have heard.
///
/// `Annotation` is what an owner keeps for each node (ids on the wire, origin, flags).
///
/// Nodes lie in one array in the order of their creation, the root first, so every parent lies before its
/// children. Removing nodes closes the gaps, which makes a move of the root one pass over the array.
///
/// Cost, with `n` nodes in the tree, `c` children of a node: child look-up O(c); attaching m children O(m·c);
/// attaching one guess O(c); re-rooting and pruning O(n + nodes created since the root was); best-first
/// selection of k nodes O(k·c·log(k·c)).
///
/// Nothing here depends on hashing, so equal histories give equal trees in every process.
public struct TokenTree<Annotation: Sendable>: Sendable {
  /// Names a node for as long as it lives; never reused, so a name kept too long is recognised.
  public struct NodeID: Hashable, Sendable {
    /// Order of creation, from 0. A child's is always above its parent's.
    public let serial: Int64
  }

  /// Nothing in it is reference-counted, so that going through the tree is cheap. Links are places in `nodes`.
  struct Node: Sendable {
    var serial: Int64
    /// Product of the probabilities from below the root down to this node; 1 at the root.
    var pathProbability: Double
    var token: TokenID
    var position: Int32
    var parent = none
    var firstChild = none
    var lastChild = none
    var nextSibling = none
    /// Probability after the parent, 0...1.
    var probability: Float
    /// Nats; NaN until the node is expanded.
    var entropy = Float.nan

    var isExpanded: Bool { !entropy.isNaN }
  }

  static var none: Int32 { -1 }
  private(set) var nodes: [Node] = []
  /// Of each node, at its place in `nodes`.
  private(set) var annotations: [Annotation] = []
  /// Place of each node by its serial, counted from the root's; `none` for those that are gone. Grows with what
  /// is created below one root and the nodes that become roots after it.
  private(set) var places: [Int32] = []
  private(set) var nextSerial: Int64 = 0

  /// - Parameters:
  ///   - token: the last committed token
  ///   - position: its index in the session's whole token sequence
  public init(root token: TokenID, position: Int, annotation: Annotation) {
    _ = insert(token: token, position: Int32(position), parent: Self.none, probability: 1, annotation)
  }

  // MARK: Reading

  /// Number of nodes, the root included.
  public var count: Int { nodes.count }
  public var root: NodeID { NodeID(serial: nodes[0].serial) }
  public var rootPosition: Int { Int(nodes[0].position) }

  /// Whether the node still is in the tree. O(1).
  public func contains(_ node: NodeID) -> Bool { find(node) != Self.none }

  public func token(of node: NodeID) -> TokenID { self[node].token }
  public func position(of node: NodeID) -> Int { Int(self[node].position) }
  /// Number of edges between the root and the node.
  public func depth(of node: NodeID) -> Int { Int(self[node].position) - rootPosition }
  public func probability(of node: NodeID) -> Float { self[node].probability }
  public func pathProbability(of node: NodeID) -> Double { self[node].pathProbability }
  public func isExpanded(_ node: NodeID) -> Bool { self[node].isExpanded }
  /// Entropy in nats of the draft's distribution after the node; nil until it is expanded.
  public func entropy(of node: NodeID) -> Float? {
    let entropy = self[node].entropy
    return entropy.isNaN ? nil : entropy
  }
  public func annotation(of node: NodeID) -> Annotation { annotations[place(of: node)] }

  public func parent(of node: NodeID) -> NodeID? {
    let parent = self[node].parent
    return parent == Self.none ? nil : id(of: parent)
  }

  /// Children in the order in which they were attached.
  public func children(of node: NodeID) -> [NodeID] {
    var result: [NodeID] = []
    forEachChild(of: node) { result.append($0) }
    return result
  }

  /// Calls `body` with each child, in the order in which they were attached. O(c), no allocation.
  @inline(__always)
  func forEachChild(of node: NodeID, _ body: (NodeID) -> Void) {
    var child = self[node].firstChild
    while child != Self.none {
      body(id(of: child))
      child = nodes[Int(child)].nextSibling
    }
  }

  func hasChildren(_ node: NodeID) -> Bool { self[node].firstChild != Self.none }

  public func child(of node: NodeID, token: TokenID) -> NodeID? {
    let child = child(of: place(of: node), token: token)
    return child == Self.none ? nil : id(of: child)
  }

  /// Tokens from below the root down to and including the node; empty for the root.
  public func path(to node: NodeID) -> [TokenID] {
    var place = place(of: node)
    let length = Int(nodes[place].position) - rootPosition
    guard length > 0 else { return [] }
    var tokens: [TokenID] = []
    tokens.reserveCapacity(length)
    while place > 0 {
      tokens.append(nodes[place].token)
      place = Int(nodes[place].parent)
    }
    tokens.reverse()
    return tokens
  }

  /// Calls `body` with every node's annotation, in no particular order. O(n).
  func forEachAnnotation(_ body: (Annotation) -> Void) {
    for annotation in annotations { body(annotation) }
  }

  // MARK: Changing

  public mutating func annotate(_ node: NodeID, _ change: (inout Annotation) -> Void) {
    change(&annotations[place(of: node)])
  }

  @inline(__always)
  mutating func annotate(place: Int, _ change: (inout Annotation) -> Void) { change(&annotations[place]) }

  /// Marks a node as expanded and attaches the candidates it does not have as children yet.
  ///
  /// - Returns: for each candidate, in order, the child that stands for it and whether it is new. A child that
  ///   was there keeps its probability and its annotation.
  @discardableResult
  public mutating func expand(
    _ node: NodeID, entropy: Float, candidates: [Candidate],
    annotation: (_ index: Int) -> Annotation
  ) -> [(child: NodeID, isNew: Bool)] {
    var children: [(child: NodeID, isNew: Bool)] = []
    children.reserveCapacity(candidates.count)
    expand(
      node, entropy: entropy, count: candidates.count, candidate: { candidates[$0] }, annotation: annotation
    ) { children.append(($1, $2)) }
    return children
  }

  /// The same without arrays: asks for each candidate in turn, and says at once which child stands for it.
  @inline(__always)
  mutating func expand(
    _ node: NodeID, entropy: Float, count: Int, candidate: (_ index: Int) -> Candidate,
    annotation: (_ index: Int) -> Annotation,
    attached: (_ index: Int, _ child: NodeID, _ isNew: Bool) -> Void
  ) {
    precondition(entropy.isFinite && entropy >= 0, "an entropy is finite and not negative")
    let parent = place(of: node)
    if !nodes[parent].isExpanded { nodes[parent].entropy = entropy }
    let position = nodes[parent].position + 1
    for index in 0..<count {
      let candidate = candidate(index)
      let existing = child(of: parent, token: candidate.token)
      if existing != Self.none {
        attached(index, id(of: existing), false)
      } else {
        let child = insert(
          token: candidate.token, position: position, parent: Int32(parent),
          probability: min(max(candidate.probability, 0), 1), annotation(index))
        attached(index, child, true)
      }
    }
  }

  /// Attaches a child without marking its parent as expanded: a guess that no draft model made. The token must
  /// not be there yet. O(c).
  public mutating func attach(
    _ token: TokenID, below parent: NodeID, probability: Float, annotation: Annotation
  ) -> NodeID {
    let place = place(of: parent)
    precondition(child(of: place, token: token) == Self.none, "the child is there already")
    return insert(
      token: token, position: nodes[place].position + 1, parent: Int32(place),
      probability: min(max(probability, 0), 1), annotation)
  }

  /// Changes how likely a node other than the root is after its parent. O(size of the subtree).
  public mutating func setProbability(of node: NodeID, to probability: Float) {
    let top = place(of: node)
    precondition(top > 0, "the root has no probability to change")
    nodes[top].probability = min(max(probability, 0), 1)
    var stack = [Int32(top)]
    while let next = stack.popLast() {
      let parent = Int(nodes[Int(next)].parent)
      nodes[Int(next)].pathProbability =
        nodes[parent].pathProbability * Double(nodes[Int(next)].probability)
      var child = nodes[Int(next)].firstChild
      while child != Self.none {
        stack.append(child)
        child = nodes[Int(child)].nextSibling
      }
    }
  }

  /// Makes a node the root: keeps what is below it, removes everything else. O(n).
  ///
  /// - Parameter removed: called once for each node that goes, the old root included.
  public mutating func reroot(at node: NodeID, removed: (NodeID, Annotation) -> Void) {
    let place = place(of: node)
    guard place > 0 else { return }
    keep(below: place, removed) { _ in true }
  }

  /// Drops everything and starts again from another root. O(n).
  public mutating func restart(
    root token: TokenID, position: Int, annotation: Annotation, removed: (NodeID, Annotation) -> Void
  ) {
    for (node, annotation) in zip(nodes, annotations) { removed(NodeID(serial: node.serial), annotation) }
    nodes.removeAll(keepingCapacity: true)
    annotations.removeAll(keepingCapacity: true)
    places.removeAll(keepingCapacity: true)
    _ = insert(token: token, position: Int32(position), parent: Self.none, probability: 1, annotation)
  }

  /// Removes a node other than the root, with everything below it. O(n).
  public mutating func prune(_ node: NodeID, removed: (NodeID, Annotation) -> Void) {
    let place = place(of: node)
    precondition(place > 0, "pruning the root")
    keep(below: 0, removed) { $0 != place }
  }

  // MARK: Places

  /// Place of a node in `nodes`; `none` if it is not in the tree.
  @inline(__always)
  func find(_ node: NodeID) -> Int32 {
    let index = node.serial - nodes[0].serial
    return index >= 0 && index < places.count ? places[Int(index)] : Self.none
  }

  @inline(__always)
  private func place(of node: NodeID) -> Int {
    let place = find(node)
    precondition(place != Self.none, "the node is not in the tree")
    return Int(place)
  }

  private subscript(node: NodeID) -> Node {
    @inline(__always) get { nodes[place(of: node)] }
  }

  @inline(__always)
  private func id(of place: Int32) -> NodeID { NodeID(serial: nodes[Int(place)].serial) }

  private func child(of parent: Int, token: TokenID) -> Int32 {
    var child = nodes[parent].firstChild
    while child != Self.none, nodes[Int(child)].token != token { child = nodes[Int(child)].nextSibling }
    return child
  }

  private mutating func insert(
    token: TokenID, position: Int32, parent: Int32, probability: Float, _ annotation: Annotation
  ) -> NodeID {
    let path = parent == Self.none ? 1 : nodes[Int(parent)].pathProbability * Double(probability)
    let place = Int32(nodes.count)
    nodes.append(
      Node(
        serial: nextSerial, pathProbability: path, token: token, position: position, parent: parent,
        probability: probability))
    annotations.append(annotation)
    places.append(place)
    if parent != Self.none { link(place, below: Int(parent)) }
    nextSerial += 1
    return NodeID(serial: nextSerial - 1)
  }

  /// Makes a node the last child of another.
  @inline(__always)
  private mutating func link(_ place: Int32, below parent: Int) {
    let last = nodes[parent].lastChild
    if last == Self.none {
      nodes[parent].firstChild = place
    } else {
      nodes[Int(last)].nextSibling = place
    }
    nodes[parent].lastChild = place
  }

  /// Keeps `top`, as the root, and what is below it, except nodes that may not stay and what is below those.
  ///
  /// One pass: whether a node stays is known from its parent, which came before. Path probabilities are
  /// multiplied anew from the root; dividing the old ones would lose precision over time.
  ///
  /// - Parameters:
  ///   - removed: called in the order of creation
  ///   - mayStay: asked once for a node below `top`, by its place, if its parent stays
  @inline(__always)
  mutating func keep(
    below top: Int, _ removed: (NodeID, Annotation) -> Void, mayStay: (_ place: Int) -> Bool
  ) {
    var moved = [Int32](repeating: Self.none, count: nodes.count)
    let base = nodes[top].serial
    places.removeAll(keepingCapacity: true)
    places.append(contentsOf: repeatElement(Self.none, count: Int(nextSerial - base)))
    var kept = 0
    for place in nodes.indices {
      var node = nodes[place]
      let parent = place > top ? moved[Int(node.parent)] : Self.none
      guard place == top || parent != Self.none && mayStay(place) else {
        removed(NodeID(serial: node.serial), annotations[place])
        continue
      }
      node.pathProbability =
        place == top ? 1 : nodes[Int(parent)].pathProbability * Double(node.probability)
      node.parent = parent
      node.firstChild = Self.none
      node.lastChild = Self.none
      node.nextSibling = Self.none
      nodes[kept] = node
      if kept != place { annotations.swapAt(kept, place) }
      if parent != Self.none { link(Int32(kept), below: Int(parent)) }
      moved[place] = Int32(kept)
      places[Int(node.serial - base)] = Int32(kept)
      kept += 1
    }
    nodes.removeLast(nodes.count - kept)
    annotations.removeLast(annotations.count - kept)
  }
}
