/// The tree of guesses: what workers and the local draft model add, and what a commit leaves of it.
extension SessionMachine {
  /// Forgets a worker and its names for nodes. Were they kept, they would be taken for new ones when the worker
  /// is given the session again and counts from 1 again.
  mutating func detach(_ worker: WorkerID) {
    guard let mirror = workers.remove(worker) else { return }
    if workers.isEmpty { resetGate() }
    for case (_, .live(let node)) in mirror.all(in: tree) {
      tree.annotate(node) { $0.names.removeAll(of: worker) }
    }
  }

  mutating func resetGate() {
    gate.reset()
    gateOpened = tree.rootPosition
  }

  /// Moves the root along committed tokens; starts a new tree where they leave the old one.
  mutating func moveRoot(along new: [TokenID]) {
    var top: NodeID? = tree.root
    for token in new {
      guard let node = top else { break }
      leaveBehind(node)
      top = tree.child(of: node, token: token)
    }
    // Moved out and back, not copied: the closure must not change parts of a machine whose tree is changing.
    var workers = SmallDictionary<WorkerID, RemoteMirror>()
    swap(&workers, &self.workers)
    floor = 0
    var helped = 0
    if let top {
      tree.reroot(at: top) { _, note in Self.leaveTree(note, &workers, helped: &helped) }
    } else {
      tree.restart(
        root: new.last!, position: tokens.count - 1, annotation: Note(origin: .target, confidence: 1)
      ) { _, note in Self.leaveTree(note, &workers, helped: &helped) }
    }
    swap(&workers, &self.workers)
    statistics.usedWorkerExpansions += helped
  }

  /// A node leaves the tree.
  static func leaveTree(
    _ note: Note, _ workers: inout SmallDictionary<WorkerID, RemoteMirror>, helped: inout Int
  ) {
    note.names.forEach { name in
      if let index = workers.index(of: name.worker) { workers.values[index].forgetNode() }
    }
    if note.helped { helped += 1 }
  }

  /// A node that was committed stays known to the mirrors: a worker that has not heard yet reports below it.
  private mutating func leaveBehind(_ node: NodeID) {
    let position = tree.position(of: node)
    let note = tree.annotation(of: node)
    note.names.forEach { name in
      tally(name.worker) {
        $0.foreseen += 1
        $0.sureness += Double(note.confidence ?? 0)
      }
      if let index = workers.index(of: name.worker) {
        workers.values[index].fallBehind(name.id, position: position)
      }
    }
    tree.annotate(node) { $0.names = RemoteNames() }
  }

  /// Puts a worker's expansion where it belongs.
  ///
  /// - Parameter index: the worker's, among `workers`
  mutating func attach(
    _ expansion: Expansion, from worker: WorkerID, at index: Int, match: MatchEstimator, now: Timestamp
  ) throws(ProtocolViolation) {
    let distribution = expansion.distribution
    try check(distribution)
    try workers.values[index].announce(expansion, rootPosition: tree.rootPosition, at: now)
    forget(expansion.forgotten, of: worker, at: index)
    statistics.workerExpansions += 1
    tally(worker) { $0.expansions += 1 }
    if expansion.knownPosition >= gateOpened { gate.guessArrived() }
    let place: RemoteMirror.Place?
    switch expansion.site {
    case .root(let position):
      place = position == tree.rootPosition ? .live(tree.root) : .behind(position: position)
    case .node(let id):
      place = workers.values[index].place(of: id, in: tree)
    }
    switch place {
    case nil:
      statistics.lateExpansions += 1
      tally(worker) { $0.late += 1 }
    case .live(let node):
      // Some hold more than they were told: those that do not understand it.
      let share = workers.count > 1 ? configuration.maxTreeNodes : .max
      guard workers.values[index].count + distribution.candidates.count <= share,
        makeRoom(for: distribution.candidates.count)
      else {
        statistics.droppedExpansions += 1
        return
      }
      let firstNew = tree.nextSerial
      grow(
        node, entropy: distribution.entropy, candidates: distribution.candidates, origin: .remote,
        match: match)
      let areNew = tree.nextSerial - firstNew == distribution.candidates.count
      tree.annotate(node) { $0.isExpandedByWorker = true }
      for (offset, candidate) in distribution.candidates.enumerated() {
        let child =
          areNew
          ? NodeID(serial: firstNew + Int64(offset)) : tree.child(of: node, token: candidate.token)!
        try name(child, expansion.firstChild + RemoteNodeID(offset), of: worker, at: index)
      }
    case .behind(let position):
      // The target has decided what follows; only the child it chose can lead to anything.
      statistics.lateExpansions += 1
      tally(worker) { $0.late += 1 }
      guard
        let chosen = distribution.candidates.firstIndex(where: { $0.token == tokens[position + 1] })
      else { return }
      let id = expansion.firstChild + RemoteNodeID(chosen)
      if position + 1 == tree.rootPosition {
        try name(tree.root, id, of: worker, at: index)
      } else {
        try workers.values[index].place(id, at: .behind(position: position + 1), in: tree)
      }
    }
  }

  /// A worker's id for a node, noted on both sides.
  private mutating func name(
    _ node: NodeID, _ id: RemoteNodeID, of worker: WorkerID, at index: Int
  ) throws(ProtocolViolation) {
    try workers.values[index].place(id, at: .live(node), in: tree)
    tree.annotate(node) { $0.names.add(id, of: worker) }
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
      for earlier in 0..<index where candidates[earlier].token == candidate.token {
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
    _ node: NodeID, entropy: Float, candidates: [Candidate], origin: Origin, match: MatchEstimator
  ) {
    let hadChildren = tree.hasChildren(node)
    tree.expand(
      node, entropy: entropy, count: candidates.count,
      candidate: { index in
        Candidate(
          token: candidates[index].token,
          probability: match.probability(confidence: candidates[index].probability))
      },
      annotation: { index in Note(origin: origin, confidence: candidates[index].probability) },
      attached: { _, _, _ in })
    if hadChildren { judgeGuesses(below: node, by: candidates, match: match) }
  }

  /// Of guesses from the text the draft model knows better how likely they are.
  private mutating func judgeGuesses(
    below node: NodeID, by candidates: [Candidate], match: MatchEstimator
  ) {
    for candidate in candidates {
      guard let child = tree.child(of: node, token: candidate.token),
        tree.annotation(of: child).confidence == nil
      else { continue }
      tree.annotate(child) { $0.confidence = candidate.probability }
      tree.setProbability(of: child, to: match.probability(confidence: candidate.probability))
    }
    let unnamed = tree.children(of: node).filter { tree.annotation(of: $0).confidence == nil }
    guard !unnamed.isEmpty else { return }
    let unclaimed = unclaimedProbability(below: node)
    for child in unnamed { tree.setProbability(of: child, to: min(tree.probability(of: child), unclaimed)) }
  }

  /// What the draft model's own guesses leave for those from the text; 1 below a node that it was not run on.
  func unclaimedProbability(below node: NodeID) -> Float {
    guard tree.isExpanded(node) else { return 1 }
    var named: Float = 0
    tree.forEachChild(of: node) { child in
      if tree.annotation(of: child).confidence != nil { named += tree.probability(of: child) }
    }
    return max(0, 1 - named)
  }
}
