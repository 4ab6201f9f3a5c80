/// Steps: what one target pass checks, and what its verdicts commit.
extension SessionMachine {
  /// A step may begin: with drafting locally where the schedule says so, else with the next target pass.
  mutating func getReady() {
    state = isToDraftFirst ? .drafting : .ready
  }

  /// What the session would have verified in the pass that is about to begin, at most `limit` nodes.
  package mutating func makeOffer(limit: Int) {
    guessFromText()
    offer.nodes.removeAll(keepingCapacity: true)
    offer.probabilities.removeAll(keepingCapacity: true)
    let policy = configuration.verification
    let maxNodes = min(policy.maxNodes, limit)
    guard maxNodes > 0, usableDepth > 0 else { return }
    let deepest = tree.rootPosition + usableDepth
    tree.visitRanked(minPathProbability: policy.minPathProbability) { ranked in
      if ranked.place != 0 {
        // The root was visited first, so a node's index is one less than its turn.
        offer.nodes.append((NodeID(serial: ranked.serial), ranked.parentTurn - 1))
        offer.probabilities.append(ranked.probability)
        if offer.nodes.count == maxNodes { return .stop }
      }
      return tree.nodes[Int(ranked.place)].position < deepest ? .descend : .skipChildren
    }
  }

  /// A target pass begins with the first `count` nodes of the offer.
  package mutating func beginStep(verifying count: Int, at now: Timestamp) -> VerificationSet {
    guard case .ready = state else { preconditionFailure("a step begins that is not ready") }
    // Plain decoding wants no guesses, so it lacks none.
    let lacksGuesses =
      configuration.verification.maxNodes > 0 && statistics.steps > 0 && !tree.isExpanded(tree.root)
    stepKind = !gate.isOpen ? .paused : lacksGuesses ? .bubble : .drafted
    self.count(stepKind, by: 1)
    draftedThisStep = 0
    var nodes: [NodeID] = []
    var set = VerificationSet(tokens: [], parents: [])
    nodes.reserveCapacity(count)
    set.tokens.reserveCapacity(count)
    set.parents.reserveCapacity(count)
    for (node, parent) in offer.nodes.prefix(count) {
      tree.annotate(parent < 0 ? tree.root : nodes[Int(parent)]) { $0.hasVerifiedChild = true }
      nodes.append(node)
      set.tokens.append(tree.token(of: node))
      set.parents.append(parent)
    }
    state = .verifying(nodes)
    stepBegan = now
    return set
  }

  mutating func count(_ kind: StepKind, by change: Int) {
    switch kind {
    case .drafted: break
    case .bubble: statistics.bubbles += change
    case .paused: statistics.pausedSteps += change
    }
  }

  /// How many guesses in a row can still be committed: each is followed by a token of the target's own.
  var usableDepth: Int {
    min(configuration.maxTokens - statistics.tokens - 1, configuration.contextLength - tokens.count - 1)
  }

  /// Adds what the text suggests after the root and at the end of the likeliest guesses. No pass is spent on it,
  /// so it fills bubbles and lengthens chains for nothing but the room in the verification set.
  mutating func guessFromText() {
    guard configuration.lookupLength > 0, configuration.verification.maxNodes > 0 else { return }
    lookup.extend(to: tokens)
    guessFromText(below: tree.root)
    var tip = tree.root
    while let next = likeliestChild(of: tip) { tip = next }
    // A tip that is never verified would only grow.
    if tip != tree.root, tree.pathProbability(of: tip) >= configuration.verification.minPathProbability {
      guessFromText(below: tip)
    }
  }

  private func likeliestChild(of node: NodeID) -> NodeID? {
    var best: NodeID?
    tree.forEachChild(of: node) { child in
      if best.map({ tree.probability(of: $0) < tree.probability(of: child) }) ?? true { best = child }
    }
    return best
  }

  mutating func guessFromText(below node: NodeID) {
    let length = min(configuration.lookupLength, usableDepth - tree.depth(of: node))
    let (guesses, matched) = lookup.guesses(after: tokens, tree.path(to: node), limit: length)
    var parent = node
    for (offset, token) in guesses.enumerated() {
      if let known = tree.child(of: parent, token: token) {
        parent = known
        continue
      }
      guard makeRoom(for: 1), tree.contains(parent) else { return }
      parent = tree.attach(
        token, below: parent,
        probability: min(lookup.probability(matched: matched + offset), unclaimedProbability(below: parent)),
        annotation: Note(origin: .lookup, matched: matched + offset))
    }
  }

  /// Follows the target's choices from the root through the verified nodes.
  mutating func walk(
    _ verdicts: [Verdict], over nodes: [NodeID], match: inout MatchEstimator
  ) -> [CommittedToken] {
    var committed: [CommittedToken] = []
    var node = tree.root
    var verdict = verdicts[0]
    // Index in `nodes` from which the next one is looked for: parents come before their children.
    var rest = 0
    while true {
      let next = tree.child(of: node, token: verdict.token)
      tree.forEachChild(of: node) { child in
        let note = tree.annotation(of: child)
        if let confidence = note.confidence { match.observe(confidence: confidence, matched: child == next) }
        if let matched = note.matched { lookup.observe(matched: matched, wasRight: child == next) }
      }
      let verified = next.flatMap { next in nodes[rest...].firstIndex(of: next) }
      committed.append(
        CommittedToken(
          token: verdict.token, position: tokens.count + committed.count,
          origin: verified == nil ? .target : tree.annotation(of: next!).origin, margin: verdict.margin))
      if configuration.endTokens.contains(verdict.token) { break }
      guard let verified, statistics.tokens + committed.count < configuration.maxTokens else { break }
      node = nodes[verified]
      verdict = verdicts[verified + 1]
      rest = verified + 1
    }
    return committed
  }

  /// Makes tokens final: counts them, tells everyone, moves the root, starts the next step or finishes.
  mutating func commit(_ committed: [CommittedToken], at now: Timestamp) -> [Action] {
    for token in committed {
      switch token.origin {
      case .remote: statistics.acceptedRemote += 1
      case .local: statistics.acceptedLocal += 1
      case .lookup: statistics.acceptedLookup += 1
      case .target: statistics.fromTarget += 1
      }
    }
    statistics.tokens += committed.count
    let new = committed.map(\.token)
    tokens.append(contentsOf: new)
    var actions: [Action] = []
    actions.reserveCapacity(workers.count + 3)
    actions.append(.emit(committed))
    if configuration.endTokens.contains(new.last!) { return actions + finish(.endOfText) }
    if statistics.tokens >= configuration.maxTokens { return actions + finish(.length) }
    if tokens.count >= configuration.contextLength { return actions + finish(.contextFull) }
    moveRoot(along: new)
    rootMoved = now
    for index in workers.values.indices {
      workers.values[index].sent(position: tokens.count - 1, at: now)
      actions.append(
        .send(
          .commit(session, .init(position: tokens.count - 1, tokens: new, pause: !gate.isOpen)),
          to: workers.keys[index]))
    }
    getReady()
    return actions
  }

  mutating func finish(_ reason: FinishReason) -> [Action] {
    state = .finished
    tree.forEachAnnotation { if $0.helped { statistics.usedWorkerExpansions += 1 } }
    var actions: [Action] = workers.keys.map { .send(.close(session), to: $0) }
    workers.removeAll()
    actions.append(.finish(reason))
    return actions
  }
}
