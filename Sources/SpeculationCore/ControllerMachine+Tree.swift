/// The tree of guesses: what workers and the draft model at home add, and what a commit leaves of it.
extension ControllerMachine {
  /// Forgets a worker and its names for nodes. Were they kept, they would be taken for new ones when the worker
  /// is given the session again and counts from 1 again.
  mutating func detach(_ worker: WorkerID) {
    guard let mirror = workers.removeValue(forKey: worker) else { return }
    if workers.isEmpty { resetGate() }
    for case (_, .live(let node)) in mirror.all {
      tree.annotate(node) { $0.remoteIDs.removeAll { $0.worker == worker } }
    }
  }

  mutating func resetGate() {
    gate.reset()
    gateOpened = tree.rootPosition
  }

  /// Moves the root along committed tokens; starts a new tree where they leave the old one.
  mutating func moveRoot(along new: [TokenID]) {
    // The committed nodes stay known to the mirrors: a worker that has not heard yet reports below them.
    var path = [tree.root]
    while path.count <= new.count, let next = tree.child(of: path.last!, token: new[path.count - 1]) {
      path.append(next)
    }
    let reached = path.count == new.count + 1
    let passed = reached ? path.dropLast() : path[...]
    for node in passed {
      let position = tree.position(of: node)
      for (worker, id) in tree.annotation(of: node).remoteIDs {
        workers[worker]?.fallBehind(id, position: position)
      }
      tree.annotate(node) { $0.remoteIDs = [] }
    }
    var statistics = self.statistics
    var workers = self.workers
    func forget(_: NodeID, note: Note) {
      for (worker, id) in note.remoteIDs { workers[worker]?.forget(id) }
      if note.helped { statistics.usedWorkerExpansions += 1 }
    }
    if reached {
      tree.reroot(at: path.last!, removed: forget)
    } else {
      tree.restart(
        root: new.last!, position: tokens.count - 1, annotation: Note(origin: .target, confidence: 1),
        removed: forget)
    }
    self.statistics = statistics
    self.workers = workers
  }

  /// Puts a worker's expansion where it belongs.
  mutating func attach(_ expansion: Expansion, from worker: WorkerID) throws(ProtocolViolation) {
    let distribution = expansion.distribution
    try check(distribution)
    try workers[worker]!.announce(expansion, rootPosition: tree.rootPosition, at: now)
    statistics.workerExpansions += 1
    if expansion.knownPosition >= gateOpened { gate.guessArrived() }
    let place: RemoteMirror.Place?
    switch expansion.site {
    case .root(let position):
      place = position == tree.rootPosition ? .live(tree.root) : .behind(position: position)
    case .node(let id):
      place = workers[worker]![id]
    }
    switch place {
    case nil:
      statistics.lateExpansions += 1
    case .live(let node):
      let share = workers.count > 1 ? configuration.maxTreeNodes : .max
      guard tree.count + distribution.candidates.count <= treeLimit,
        workers[worker]!.count + distribution.candidates.count <= share
      else {
        statistics.droppedExpansions += 1
        return
      }
      let children = grow(
        node, entropy: distribution.entropy, candidates: distribution.candidates, origin: .remote)
      tree.annotate(node) { $0.isExpandedByWorker = true }
      for (index, child) in children.enumerated() {
        let id = expansion.firstChild + RemoteNodeID(index)
        try workers[worker]!.place(id, at: .live(child))
        tree.annotate(child) { $0.remoteIDs.append((worker, id)) }
      }
    case .behind(let position):
      // The target has decided what follows; only the child it chose can lead to anything.
      statistics.lateExpansions += 1
      guard
        let index = distribution.candidates.firstIndex(where: { $0.token == tokens[position + 1] })
      else { return }
      let id = expansion.firstChild + RemoteNodeID(index)
      if position + 1 == tree.rootPosition {
        try workers[worker]!.place(id, at: .live(tree.root))
        tree.annotate(tree.root) { $0.remoteIDs.append((worker, id)) }
      } else {
        try workers[worker]!.place(id, at: .behind(position: position + 1))
      }
    }
  }

  /// The limits that hold for every distribution, whoever sent it.
  func check(_ distribution: Distribution) throws(ProtocolViolation) {
    let candidates = distribution.candidates
    guard distribution.entropy.isFinite, distribution.entropy >= 0 else {
      throw ProtocolViolation("entropy is \(distribution.entropy)")
    }
    guard candidates.count <= configuration.maxCandidates else {
      throw ProtocolViolation("\(candidates.count) candidates, more than \(configuration.maxCandidates)")
    }
    for (index, candidate) in candidates.enumerated() {
      guard candidate.token >= 0, candidate.token < configuration.vocabularySize else {
        throw ProtocolViolation("token \(candidate.token) is not in the vocabulary")
      }
      guard candidate.probability.isFinite, (0...1.001).contains(candidate.probability) else {
        throw ProtocolViolation("probability of token \(candidate.token) is \(candidate.probability)")
      }
      for other in candidates[..<index] where other.token == candidate.token {
        throw ProtocolViolation("token \(candidate.token) is named twice")
      }
    }
    // Rounding on the wire is within a thousandth for each.
    let sum = candidates.reduce(0) { $0 + $1.probability }
    guard sum <= 1.01 else { throw ProtocolViolation("probabilities add up to \(sum)") }
  }

  /// Attaches children with corrected probabilities. A node keeps at most `maxCandidates` children per source,
  /// so what several sources add stays bounded by the tree's limit.
  mutating func grow(
    _ node: NodeID, entropy: Float, candidates: [Candidate], origin: Origin
  ) -> [NodeID] {
    let corrected = candidates.map {
      Candidate(token: $0.token, probability: match.probability(confidence: $0.probability))
    }
    let children = tree.expand(node, entropy: entropy, candidates: corrected) { index in
      Note(origin: origin, confidence: candidates[index].probability)
    }.map(\.child)
    // Of a guess from the text the draft model knows better how likely it is.
    for (index, child) in children.enumerated() where tree.annotation(of: child).confidence == nil {
      tree.annotate(child) { $0.confidence = candidates[index].probability }
      tree.setProbability(of: child, to: corrected[index].probability)
    }
    for child in tree.children(of: node) where tree.annotation(of: child).confidence == nil {
      tree.setProbability(of: child, to: min(tree.probability(of: child), roomForGuesses(below: node)))
    }
    return children
  }

  /// What the draft model's own guesses leave for those from the text; 1 below a node that it was not run on.
  func roomForGuesses(below node: NodeID) -> Float {
    guard tree.isExpanded(node) else { return 1 }
    let named = tree.children(of: node).filter { tree.annotation(of: $0).confidence != nil }
    return max(0, 1 - named.reduce(0) { $0 + tree.probability(of: $1) })
  }

  /// Several drafters mostly guess the same nodes, so this is seldom reached.
  var treeLimit: Int {
    let drafters = workers.count + (homeIsUsable && configuration.homePolicy != .never ? 1 : 0)
    return configuration.maxTreeNodes * max(1, drafters)
  }
}
