/// Room in a session's tree: a full one keeps its likeliest nodes.
extension WorkerMachine.Session {
  /// Of the candidates for a node's children, best first, those that the tree takes.
  ///
  /// A full tree gives up its least likely nodes for likelier ones, a sixteenth of what it may hold at once, so that
  /// what then fits pays for going through the tree. What is no likelier than what was given up would be the next to
  /// go and is not taken in the first place. A parent notes the likeliest child that it lost, so that it is expanded
  /// again when that one has become likely.
  mutating func makeRoom(
    for candidates: [Candidate], below node: WorkerMachine.NodeID, match: MatchEstimator
  ) -> [Candidate] {
    let isExpanded = tree.isExpanded(node)
    if !isExpanded, floor == 0, tree.count + candidates.count <= maxNodes { return candidates }
    var kept = candidates
    if isExpanded {
      tree.annotate(node) { $0.lost = 0 }
      kept.removeAll { tree.child(of: node, token: $0.token) != nil }
    }
    let path = tree.pathProbability(of: node)
    var lost: Float = 0
    while true {
      kept.removeAll { candidate in
        let probability = match.probability(confidence: candidate.probability)
        guard path * Double(probability) <= floor else { return false }
        lost = max(lost, probability)
        return true
      }
      let fitting = maxNodes - tree.count
      guard kept.count > fitting else { break }
      let best = kept[fitting...].reduce(0) { max($0, match.probability(confidence: $1.probability)) }
      if mayForget, giveUpLeastLikely(below: path * Double(best)) { continue }
      lost = max(lost, best)
      kept.removeLast(kept.count - fitting)
      raiseFloor(to: path * Double(best))
      break
    }
    if lost > 0 { tree.annotate(node) { $0.lost = max($0.lost, lost) } }
    return kept
  }

  /// - Returns: false when all are as likely as that
  private mutating func giveUpLeastLikely(below bound: Double) -> Bool {
    var gone: [RemoteNodeID] = []
    let likeliest = tree.removeLeastLikely(
      maxNodes / 16, below: bound, mayGo: { _, _ in true }, orphaned: { $0.lost = max($0.lost, $1) },
      removed: { gone.append($1.remoteID) })
    guard let likeliest else { return false }
    forgotten += gone
    raiseFloor(to: likeliest)
    return true
  }

  private mutating func raiseFloor(to probability: Double) {
    floor = max(floor, probability)
    open.treeChanged()
  }

  /// The root has moved: what was given up below it may be likely now.
  mutating func rootMoved() {
    floor = 0
    open.treeChanged()
  }

  /// What was given up and the controller has not been told of, ascending.
  mutating func takeForgotten() -> [RemoteNodeID] {
    if forgotten.isEmpty { return [] }
    defer { forgotten.removeAll() }
    return forgotten.sorted()
  }
}
