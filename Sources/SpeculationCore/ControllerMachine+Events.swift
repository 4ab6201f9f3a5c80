/// Events: each changes the state and returns what to do about it.
extension ControllerMachine {
  /// What time it is. A driver says so before each event; policies that weigh delays depend on it. Time never
  /// runs backwards: an earlier time than before is ignored.
  public mutating func advance(to time: Timestamp) { now = max(now, time) }

  /// Who shares the next target pass, and what passes cost as far as all sessions together know. A driver that runs
  /// several sessions says so before each event that may begin a step.
  public mutating func share(_ load: PassLoad, targetCost: CostCurve) {
    self.load = load
    self.targetCost = targetCost
  }

  /// What each worker did for this session since this was last asked; workers that have left among them.
  public mutating func takeTallies() -> [(worker: WorkerID, tally: WorkerTally)] {
    defer { tallies.removeAll() }
    return Array(zip(tallies.keys, tallies.values))
  }

  mutating func tally(_ worker: WorkerID, _ change: (inout WorkerTally) -> Void) {
    if let index = tallies.index(of: worker) {
      change(&tallies.values[index])
    } else {
      var tally = WorkerTally()
      change(&tally)
      tallies.append(worker, tally)
    }
  }

  /// Begins the session with its first step.
  public mutating func start() -> [Action] {
    guard case .idle = state else { preconditionFailure("a session starts once") }
    guard tokens.count < configuration.contextLength else { return finish(.contextFull) }
    guard configuration.maxTokens > 0 else { return finish(.length) }
    var actions: [Action] = []
    beginStep(&actions)
    return actions
  }

  /// A worker may draft for this session from now on.
  ///
  /// - Parameter roundTrip: to the worker, where it has been measured
  public mutating func workerJoined(_ worker: WorkerID, roundTrip: Duration? = nil) -> [Action] {
    guard !isFinished, !workers.contains(worker) else { return [] }
    resetGate()
    workers.append(
      worker,
      RemoteMirror(
        position: tree.rootPosition, capacity: 4 * configuration.maxTreeNodes, now: now, newsDelay: roundTrip)
    )
    return [
      .send(
        .open(session, context: tokens, sampling: sampling, maxNodes: configuration.maxTreeNodes), to: worker)
    ]
  }

  /// A worker is gone or has declined. What it has said stays in use.
  public mutating func workerLeft(_ worker: WorkerID) -> [Action] {
    detach(worker)
    return []
  }

  /// A worker reports an expanded node.
  public mutating func receive(_ expansion: Expansion, from worker: WorkerID) -> [Action] {
    // After the end, or from a worker that has left: a benign race.
    guard !isFinished, let index = workers.index(of: worker) else { return [] }
    do throws(ProtocolViolation) {
      try attach(expansion, from: worker, at: index)
    } catch {
      detach(worker)
      return [.disconnect(worker, ProtocolViolation("\(session): \(error.description)"))]
    }
    return beginHomeDraft().map { [$0] } ?? []
  }

  /// The target pass under way is done.
  ///
  /// - Parameters:
  ///   - verdicts: the choice after the root, then after each node of the set, in order
  ///   - duration: how long the engine computed
  ///   - passTokens: how many new tokens the pass ran through the model, prefill included
  public mutating func verified(_ verdicts: [Verdict], duration: Duration, passTokens: Int) -> [Action] {
    if isFinished { return [] }
    guard case .verifying(let nodes) = state else {
      preconditionFailure("a verification ended that was not started")
    }
    precondition(verdicts.count == nodes.count + 1, "one verdict for the root and one for each node")
    let committed = walk(verdicts, over: nodes)
    statistics.steps += 1
    statistics.verifiedNodes += nodes.count
    // The first pass is the prefill.
    if statistics.steps > 1 {
      targetCost.observe(size: passTokens, duration: duration)
      // What the guesses cost beside whatever else was in the pass.
      if let cost = targetCost.seconds(for: load.tokens + nodes.count + 1),
        let single = targetCost.seconds(for: load.tokens + 1)
      {
        let wasOpen = gate.isOpen
        // Guesses from the text are no merit of whoever drafts.
        let drafted = committed.count { $0.origin != .lookup }
        gate.observe(tokens: drafted, relativeCost: cost / single)
        if gate.isOpen && !wasOpen { gateOpened = tokens.count - 1 + committed.count }
      }
    }
    return commit(committed)
  }

  public mutating func verificationFailed(reason: String) -> [Action] {
    if isFinished { return [] }
    guard case .verifying = state else { preconditionFailure("a verification failed that was not started") }
    return finish(.failed(reason))
  }

  /// The home draft pass under way is done: one distribution for each task, in order.
  ///
  /// - Parameter passTokens: as for `WorkerMachine.passFinished`
  public mutating func homeDrafted(
    _ nodes: [NodeID], _ distributions: [Distribution], duration: Duration, passTokens: Int? = nil
  ) -> [Action] {
    if isFinished { return [] }
    precondition(isHomeDrafting && nodes.count == distributions.count, "no such home draft pass")
    isHomeDrafting = false
    // Workers may still read the prompt: their guesses are not to be judged by those made at home.
    if workers.isEmpty { gate.guessArrived() }
    homeCost.observe(size: passTokens ?? nodes.count, duration: duration)
    statistics.homeExpansions += nodes.count
    draftedThisStep += nodes.count
    for (node, distribution) in zip(nodes, distributions) where tree.contains(node) {
      let candidates = distribution.candidates(
        configuration.homeLimits.candidates, minProbability: configuration.homeLimits.minProbability)
      continuation.observe(candidates.first.map { match.probability(confidence: $0.probability) })
      let kept = makeRoom(for: candidates, below: node)
      grow(node, entropy: distribution.entropy, candidates: kept, origin: .home)
    }
    if case .drafting = state {
      var actions: [Action] = []
      beginStep(&actions)
      return actions
    }
    return beginHomeDraft().map { [$0] } ?? []
  }

  /// The home draft model failed; the session goes on without it.
  public mutating func homeDraftFailed() -> [Action] {
    if isFinished { return [] }
    precondition(isHomeDrafting, "no home draft pass is under way")
    isHomeDrafting = false
    homeIsUsable = false
    guard case .drafting = state else { return [] }
    var actions: [Action] = []
    beginStep(&actions)
    return actions
  }

  /// Nobody wants the text any more.
  public mutating func cancel() -> [Action] {
    isFinished ? [] : finish(.cancelled)
  }
}
