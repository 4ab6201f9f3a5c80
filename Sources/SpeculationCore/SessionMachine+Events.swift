/// Events: each changes the state and returns what to do about it.
extension SessionMachine {
  /// Begins the session with its first step.
  public mutating func start() -> [Action] {
    guard case .idle = state else { preconditionFailure("a session starts once") }
    guard tokens.count < configuration.contextLength else { return finish(.contextFull) }
    guard configuration.maxTokens > 0 else { return finish(.length) }
    getReady()
    return []
  }

  /// A worker may draft for this session from now on.
  ///
  /// - Parameter roundTrip: to the worker, where it has been measured
  public mutating func workerJoined(
    _ worker: WorkerID, roundTrip: Duration? = nil, at now: Timestamp
  ) -> [Action] {
    guard !isFinished, !workers.contains(worker) else { return [] }
    resetGate()
    workers.append(
      worker,
      RemoteMirror(
        position: tree.rootPosition, capacity: 4 * configuration.maxTreeNodes, now: now, newsDelay: roundTrip)
    )
    return [
      .send(
        .open(session, .init(context: tokens, sampling: sampling, maxNodes: configuration.maxTreeNodes)),
        to: worker)
    ]
  }

  /// A worker is gone or has declined. What it has said stays in use.
  public mutating func workerLeft(_ worker: WorkerID) { detach(worker) }

  /// A worker reports an expanded node.
  ///
  /// - Parameter match: corrects what the draft says of its guesses
  public mutating func receive(
    _ expansion: Expansion, from worker: WorkerID, match: MatchEstimator, at now: Timestamp
  ) -> [Action] {
    // After the end, or from a worker that has left: a benign race.
    guard !isFinished, let index = workers.index(of: worker) else { return [] }
    do throws(ProtocolViolation) {
      try attach(expansion, from: worker, at: index, match: match, now: now)
    } catch {
      detach(worker)
      return [.disconnect(worker, ProtocolViolation("\(session): \(error.description)"))]
    }
    return []
  }

  /// The target pass under way is done.
  ///
  /// - Parameters:
  ///   - verdicts: the choice after the root, then after each node of the set, in order
  ///   - relativeCost: how long the pass took in passes without this session's guesses; nil while unknown
  ///   - match: learns how often the draft was right
  public mutating func verified(
    _ verdicts: [Verdict], relativeCost: Double?, match: inout MatchEstimator, at now: Timestamp
  ) -> [Action] {
    guard case .verifying(let nodes) = state else {
      preconditionFailure("a verification ended that was not started")
    }
    precondition(verdicts.count == nodes.count + 1, "one verdict for the root and one for each node")
    let committed = walk(verdicts, over: nodes, match: &match)
    statistics.steps += 1
    statistics.verifiedNodes += nodes.count
    // The first pass reads the prompt.
    if statistics.steps > 1, let relativeCost {
      let wasOpen = gate.isOpen
      // Guesses from the text are no merit of whoever drafts.
      let drafted = committed.count { $0.origin != .lookup }
      gate.observe(tokens: drafted, relativeCost: relativeCost)
      if gate.isOpen && !wasOpen { gateOpened = tokens.count - 1 + committed.count }
    }
    return commit(committed, at: now)
  }

  /// The target pass under way ended before the session's turn: more of its text is to be read, or the pass failed
  /// for a reason that need not be this session's. The next pass begins the step anew.
  public mutating func cutShort() {
    guard case .verifying = state else { preconditionFailure("a verification ended that was not started") }
    count(stepKind, by: -1)
    state = .ready
  }

  /// The target cannot verify this session.
  public mutating func failed(reason: String) -> [Action] {
    isFinished ? [] : finish(.failed(reason))
  }

  /// The local draft pass under way is done: one distribution for each of the session's nodes in it, in order.
  public mutating func localDrafted(
    _ nodes: [NodeID], _ distributions: [Distribution], match: MatchEstimator
  ) {
    precondition(isLocalDrafting && nodes.count == distributions.count, "no such local draft pass")
    isLocalDrafting = false
    if isFinished { return }
    // Workers may still read the prompt: their guesses are not to be judged by those made locally.
    if workers.isEmpty { gate.guessArrived() }
    statistics.localExpansions += nodes.count
    draftedThisStep += nodes.count
    for (node, distribution) in zip(nodes, distributions) where tree.contains(node) {
      let candidates = distribution.candidates(
        configuration.localLimits.candidates, minProbability: configuration.localLimits.minProbability)
      continuation.observe(candidates.first.map { match.probability(confidence: $0.probability) })
      let kept = makeRoom(for: candidates, below: node, match: match)
      grow(node, entropy: distribution.entropy, candidates: kept, origin: .local, match: match)
    }
    if case .drafting = state { getReady() }
  }

  /// The local draft model failed; the session goes on without it.
  public mutating func localDraftFailed() {
    precondition(isLocalDrafting, "no local draft pass is under way")
    isLocalDrafting = false
    localIsUsable = false
    if case .drafting = state { state = .ready }
  }

  /// Nobody wants the text any more.
  public mutating func cancel() -> [Action] {
    isFinished ? [] : finish(.cancelled)
  }
}
