/// Room in the tree: what workers give up, and what the controller gives up itself.
///
/// A node that a worker has a name for stays as long as the worker keeps it: both hold the same tree. The tree has
/// room for what all workers may hold, and for the verification set under way, which stays as well. What else is in
/// it (drafted locally, guessed from the text, left over by workers) has the rest and goes when it is needed, the
/// least likely first.
extension SessionMachine {
  /// A worker has given up nodes. They lose its names and stay until their room is needed.
  mutating func forget(_ ids: [RemoteNodeID], of worker: WorkerID, at index: Int) {
    for id in ids {
      guard case .live(let node)? = workers.values[index].forget(id, in: tree) else { continue }
      tree.annotate(node) { $0.names.remove(id, of: worker) }
      forget(below: node, of: worker, at: index)
    }
  }

  /// With a node all below it has gone, whether the worker says so or not: whoever makes room relies on it.
  private mutating func forget(below node: NodeID, of worker: WorkerID, at index: Int) {
    guard tree.hasChildren(node) else { return }
    var open = tree.children(of: node)
    while let next = open.popLast() {
      let ids = tree.annotation(of: next).names.ids(of: worker)
      // Then nothing below it has a name either.
      guard !ids.isEmpty else { continue }
      for id in ids { _ = workers.values[index].forget(id, in: tree) }
      tree.annotate(next) { $0.names.removeAll(of: worker) }
      open += tree.children(of: next)
    }
  }

  /// Nodes that the tree may hold. Several drafters mostly guess the same nodes, so this is seldom reached.
  var treeLimit: Int {
    let drafters = workers.count + (localIsUsable && configuration.localPolicy != .never ? 1 : 0)
    return configuration.maxTreeNodes * max(1, drafters) + configuration.verification.maxNodes
  }

  /// Makes room for nodes that have to fit.
  ///
  /// - Returns: false when too much of what is there has to stay
  mutating func makeRoom(for count: Int) -> Bool {
    let missing = tree.count + count - treeLimit
    if missing > 0 { _ = giveUpLeastLikely(max(missing, treeLimit / 16)) }
    return tree.count + count <= treeLimit
  }

  /// Of the candidates for a node's children, drafted locally, those that the tree takes. The same as
  /// `WorkerMachine.Session.makeRoom`, but for nodes that have to stay.
  mutating func makeRoom(
    for candidates: [Candidate], below node: NodeID, match: MatchEstimator
  ) -> [Candidate] {
    if floor == 0, tree.count + candidates.count <= treeLimit, !tree.isExpanded(node) { return candidates }
    var kept = candidates
    var lost: Float = 0
    tree.annotate(node) { $0.lost = 0 }
    let path = tree.pathProbability(of: node)
    while true {
      kept.removeAll { candidate in
        let probability = match.probability(confidence: candidate.probability)
        // One that is there takes no room.
        guard path * Double(probability) <= floor, tree.child(of: node, token: candidate.token) == nil else {
          return false
        }
        lost = max(lost, probability)
        return true
      }
      let fitting = max(0, treeLimit - tree.count)
      guard kept.count > fitting else { break }
      let best = kept[fitting...].reduce(0) { max($0, match.probability(confidence: $1.probability)) }
      if giveUpLeastLikely(max(1, treeLimit / 16), below: path * Double(best)) { continue }
      lost = max(lost, best)
      kept.removeLast(kept.count - fitting)
      floor = max(floor, path * Double(best))
      break
    }
    if lost > 0 { tree.annotate(node) { $0.lost = max($0.lost, lost) } }
    return kept
  }

  /// - Returns: false when everything has to stay
  mutating func giveUpLeastLikely(_ count: Int, below bound: Double = .infinity) -> Bool {
    var isChecked = [Bool](repeating: false, count: tree.count)
    if case .verifying(let nodes) = state {
      for node in nodes where tree.contains(node) { isChecked[Int(tree.find(node))] = true }
    }
    // Moved out and back, not copied: see `moveRoot`.
    var workers = SmallDictionary<WorkerID, RemoteMirror>()
    swap(&workers, &self.workers)
    var helped = 0
    let likeliest = tree.removeLeastLikely(
      count, below: bound, mayGo: { place, note in !isChecked[place] && note.names.isEmpty },
      orphaned: { $0.lost = max($0.lost, $1) },
      removed: { _, note in Self.leaveTree(note, &workers, helped: &helped) })
    swap(&workers, &self.workers)
    statistics.usedWorkerExpansions += helped
    guard let likeliest else { return false }
    floor = max(floor, likeliest)
    return true
  }
}
