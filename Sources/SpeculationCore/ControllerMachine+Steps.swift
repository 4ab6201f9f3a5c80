/// Steps: what one target pass checks, and what its verdicts commit.
extension ControllerMachine {
  /// Drafts first where the schedule says so, else picks the verification set and starts the target pass.
  mutating func beginStep() -> [Action] {
    if case .beforeVerification(let length) = configuration.homeSchedule, draftedThisStep < length {
      let draft = homeDraft(limit: min(length - draftedThisStep, configuration.homeLimits.passWidth))
      if !draft.isEmpty {
        state = .drafting
        return draft
      }
    }
    if !gate.isOpen {
      statistics.pausedSteps += 1
    } else if statistics.steps > 0 && !tree.isExpanded(tree.root) {
      statistics.bubbles += 1
    }
    draftedThisStep = 0
    guessFromText()
    let nodes = chooseVerificationSet()
    var index: [NodeID: Int32] = [:]
    var set = VerificationSet(tokens: [], parents: [])
    for node in nodes {
      let parent = tree.parent(of: node)!
      tree.annotate(parent) { $0.hasVerifiedChild = true }
      set.parents.append(index[parent] ?? -1)
      set.tokens.append(tree.token(of: node))
      index[node] = Int32(set.tokens.count - 1)
    }
    state = .verifying(nodes)
    stepBegan = now
    return [.verify(prefix: tokens, set)] + beginHomeDraft()
  }

  /// How many guesses in a row can still be committed: each is followed by a token of the target's own.
  var room: Int {
    min(configuration.maxTokens - statistics.tokens - 1, configuration.contextLength - tokens.count - 1)
  }

  /// Adds what the text suggests after the root and at the end of the likeliest guesses. No pass is spent on it,
  /// so it fills bubbles and lengthens chains for nothing but the room in the verification set.
  mutating func guessFromText() {
    guard configuration.lookupLength > 0, configuration.verification.maxNodes > 0 else { return }
    lookup.extend(to: tokens)
    guessFromText(below: tree.root)
    var tip = tree.root
    while let next = tree.children(of: tip).max(by: { tree.probability(of: $0) < tree.probability(of: $1) }) {
      tip = next
    }
    // A tip that is never verified would only grow.
    if tip != tree.root, tree.pathProbability(of: tip) >= configuration.verification.minPathProbability {
      guessFromText(below: tip)
    }
  }

  mutating func guessFromText(below node: NodeID) {
    let length = min(configuration.lookupLength, room - tree.depth(of: node))
    let (guesses, matched) = lookup.guesses(after: tokens, tree.path(to: node), limit: length)
    var parent = node
    for (offset, token) in guesses.enumerated() {
      if let known = tree.child(of: parent, token: token) {
        parent = known
        continue
      }
      guard tree.count < treeLimit else { return }
      parent = tree.attach(
        token, below: parent,
        probability: min(lookup.probability(matched: matched + offset), roomForGuesses(below: parent)),
        annotation: Note(origin: .lookup, matched: matched + offset))
    }
  }

  /// The best nodes for one target pass, parents first.
  ///
  /// Under `costAware`, the number k of nodes with the most expected committed tokens per second of this pass,
  /// `(1 + sum of path probabilities) / T(k + 1)`. It depends on ratios of T alone, so a machine that slows down
  /// as a whole changes nothing.
  func chooseVerificationSet() -> [NodeID] {
    let policy = configuration.verification
    guard policy.maxNodes > 0, room > 0 else { return [] }
    var nodes: [NodeID] = []
    var expected: [Double] = []
    tree.visitBestFirst { node, probability in
      if probability < policy.minPathProbability { return .stop }
      if node != tree.root {
        nodes.append(node)
        expected.append((expected.last ?? 1) + probability)
        if nodes.count == policy.maxNodes { return .stop }
      }
      return tree.depth(of: node) < room ? .descend : .skipChildren
    }
    guard policy.rule == .costAware, targetCost.isKnown, !nodes.isEmpty else { return nodes }
    var best = 0
    var bestRate = 1 / targetCost.seconds(for: 1)!
    for count in 1...nodes.count {
      let rate = expected[count - 1] / targetCost.seconds(for: count + 1)!
      if rate > bestRate {
        bestRate = rate
        best = count
      }
    }
    return Array(nodes.prefix(best))
  }

  /// Follows the target's choices from the root through the verified nodes.
  mutating func walk(_ verdicts: [Verdict], over nodes: [NodeID]) -> [CommittedToken] {
    var verdictOf: [NodeID: Verdict] = [tree.root: verdicts[0]]
    for (index, node) in nodes.enumerated() { verdictOf[node] = verdicts[index + 1] }
    var committed: [CommittedToken] = []
    var node = tree.root
    while let verdict = verdictOf[node] {
      let next = tree.child(of: node, token: verdict.token)
      for child in tree.children(of: node) {
        let note = tree.annotation(of: child)
        if let confidence = note.confidence { match.observe(confidence: confidence, matched: child == next) }
        if let matched = note.matched { lookup.observe(matched: matched, wasRight: child == next) }
      }
      let isVerified = next.map { verdictOf[$0] != nil } ?? false
      committed.append(
        CommittedToken(
          token: verdict.token, position: tokens.count + committed.count,
          origin: isVerified ? tree.annotation(of: next!).origin : .target, margin: verdict.margin))
      if configuration.endTokens.contains(verdict.token) { break }
      guard isVerified, statistics.tokens + committed.count < configuration.maxTokens else { break }
      node = next!
    }
    return committed
  }

  /// Makes tokens final: counts them, tells everyone, moves the root, starts the next step or finishes.
  mutating func commit(_ committed: [CommittedToken]) -> [Action] {
    for token in committed {
      switch token.origin {
      case .remote: statistics.acceptedRemote += 1
      case .home: statistics.acceptedHome += 1
      case .lookup: statistics.acceptedLookup += 1
      case .target: statistics.fromTarget += 1
      }
    }
    statistics.tokens += committed.count
    let new = committed.map(\.token)
    tokens.append(contentsOf: new)
    var actions: [Action] = [.emit(committed)]
    if configuration.endTokens.contains(new.last!) { return actions + finish(.endOfText) }
    if statistics.tokens >= configuration.maxTokens { return actions + finish(.length) }
    if tokens.count >= configuration.contextLength { return actions + finish(.contextFull) }
    moveRoot(along: new)
    rootMoved = now
    for worker in workers.keys {
      workers[worker]!.sent(position: tokens.count - 1, at: now)
      actions.append(
        .send(.commit(session, position: tokens.count - 1, tokens: new, pause: !gate.isOpen), to: worker))
    }
    return actions + beginStep()
  }

  mutating func finish(_ reason: FinishReason) -> [Action] {
    state = .finished
    tree.visitBestFirst { node, _ in
      if tree.annotation(of: node).helped { statistics.usedWorkerExpansions += 1 }
      return .descend
    }
    var actions: [Action] = workers.keys.map { .send(.close(session), to: $0) }
    workers.removeAll()
    actions.append(.finish(reason))
    return actions
  }
}
