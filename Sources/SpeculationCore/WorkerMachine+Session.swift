extension WorkerMachine.Session {
  /// Moves the root along the committed tokens; starts a new tree where they leave the old one.
  mutating func follow(_ tokens: [TokenID], learning match: inout MatchEstimator) {
    var node: WorkerMachine.NodeID? = tree.root
    for token in tokens {
      guard let parent = node else { break }
      let chosen = tree.child(of: parent, token: token)
      if tree.isExpanded(parent) {
        tree.forEachChild(of: parent) { child in
          match.observe(
            confidence: tree.annotation(of: child).confidence, matched: child == chosen)
        }
      }
      node = chosen
    }
    rootMoved()
    if let node {
      tree.reroot(at: node) { _, _ in }
    } else {
      tree.restart(
        root: tokens.last!, position: tree.rootPosition + tokens.count,
        annotation: WorkerMachine.Note(remoteID: 0, confidence: 1)
      ) { _, _ in }
    }
  }

  /// Hangs what a pass found below a node, and numbers it.
  mutating func attach(
    _ candidates: [Candidate], entropy: Float, to node: WorkerMachine.NodeID, match: MatchEstimator
  ) -> Expansion {
    let kept = makeRoom(for: candidates, below: node, match: match)
    let note = tree.annotation(of: node)
    let first = nextRemoteID
    let entropy = max(0, entropy)
    // The tree ranks by what the target is likely to choose; the wire carries the draft's own word, and the
    // controller makes its own correction.
    tree.expand(
      node, entropy: entropy, count: kept.count,
      candidate: { index in
        Candidate(
          token: kept[index].token, probability: match.probability(confidence: kept[index].probability))
      },
      annotation: { index in
        WorkerMachine.Note(remoteID: first + RemoteNodeID(index), confidence: kept[index].probability)
      },
      attached: { _, _, _ in })
    open.attached(from: tree.count - kept.count, in: tree)
    nextRemoteID += RemoteNodeID(kept.count)
    return Expansion(
      site: note.remoteID == 0 ? .root(position: tree.position(of: node)) : .node(note.remoteID),
      firstChild: first, distribution: Distribution(entropy: entropy, candidates: kept),
      knownPosition: tree.rootPosition, forgotten: takeForgotten())
  }

  /// Takes the candidates for the next pass.
  mutating func takeBest(_ configuration: WorkerMachine.Configuration, _ body: (RankedNode) -> Void) {
    let limits = configuration.limits
    // Every expansion may bring that many children. Where nothing can be given up the whole pass has to fit.
    let fitting = mayForget ? .max : (maxNodes - tree.count) / limits.candidates
    open.takeBest(
      min(limits.passWidth, fitting), of: tree, within: bounds(configuration), body)
  }

  func bounds(_ configuration: WorkerMachine.Configuration) -> OpenNodes.Bounds {
    let usableDepth = configuration.contextLength - committed.count - 1
    return OpenNodes.Bounds(
      minPathProbability: configuration.limits.minPathProbability, floor: floor,
      maxDepth: min(configuration.limits.maxDepth, usableDepth))
  }
}
