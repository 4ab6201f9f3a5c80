/// Workers: who is attached, and who drafts for whom.
extension ServingMachine {
  mutating func hear(_ message: WorkerMessage, from worker: WorkerID, _ actions: inout [Action]) {
    switch message {
    case .expansion(let id, let expansion):
      // The session may have ended while this was under way.
      guard sessions.contains(id) else { return }
      if sessions[id].firstGuess == nil { sessions[id].firstGuess = now }
      carryOut(
        sessions[id].machine.receive(expansion, from: worker, match: estimates.match, at: now), of: id,
        &actions)
    case .declined(let id, let reason):
      // Said once for a session: a worker that repeats itself must not fill the notes.
      guard sessions.contains(id), sessions[id].machine.hasWorker(worker) else { return }
      actions.append(.note(id, .workerDeclined(name: pool.name(of: worker), reason: reason)))
      sessions[id].machine.workerLeft(worker)
      pool.decline(id, by: worker)
      needsPlacement = true
    }
  }

  mutating func detach(_ worker: WorkerID, reason: String, _ actions: inout [Action]) {
    guard pool.isAttached(worker) else { return }
    let name = pool.name(of: worker)
    for id in pool.sessions(of: worker) where sessions.contains(id) && sessions[id].machine.hasWorker(worker)
    {
      sessions[id].machine.workerLeft(worker)
      actions.append(.note(id, .workerGone(name: name, reason: reason)))
    }
    pool.leave(worker)
    needsPlacement = true
  }

  /// A worker broke the protocol.
  mutating func expel(_ worker: WorkerID, _ violation: ProtocolViolation, _ actions: inout [Action]) {
    pool.violated(worker, violation.description, at: now)
    actions.append(.disconnect(worker, name: pool.name(of: worker), reason: violation.description))
    detach(worker, reason: "broke the protocol: \(violation)", &actions)
  }

  /// Gives sessions to workers, and takes them away.
  mutating func placeSessions(_ actions: inout [Action]) {
    needsPlacement = false
    lastPlacement = now
    for action in pool.decide(at: now, targetSeconds: estimates.targetCost.seconds(for: 1)) {
      switch action {
      case .place(let id, let worker):
        guard sessions.contains(id) else { continue }
        if sessions[id].placed == nil { sessions[id].placed = now }
        actions.append(.placed(id, on: worker))
        actions.append(.note(id, .workerDrafts(name: pool.name(of: worker))))
        carryOut(
          sessions[id].machine.workerJoined(worker, roundTrip: pool.roundTrip(to: worker), at: now), of: id,
          &actions)
      case .displace(let id, let worker):
        actions.append(.displaced(id, from: worker))
        actions.append(.send(.close(id), to: worker))
        if sessions.contains(id) { sessions[id].machine.workerLeft(worker) }
      case .exclude(let worker, let name, let reason):
        actions.append(.disconnect(worker, name: name, reason: reason))
        for id in sessions.ids where sessions[id].machine.hasWorker(worker) {
          sessions[id].machine.workerLeft(worker)
          actions.append(.note(id, .workerGone(name: name, reason: reason)))
        }
      }
    }
  }

  /// Tells the pool what workers did for a session.
  mutating func reportTallies(of id: SessionID, tokens: Int) {
    reportTallies(sessions[id].machine.takeTallies(), of: id, tokens: tokens)
  }

  /// The same after a step.
  mutating func reportStep(of id: SessionID, tokens: Int, duration: Duration) {
    let tallies = sessions[id].machine.takeTallies()
    reportTallies(tallies, of: id, tokens: tokens)
    pool.stepped(
      id, answered: tallies.lazy.filter { $0.tally.expansions > 0 }.map(\.worker),
      wantsGuesses: sessions[id].machine.gate.isOpen, tokens: tokens, duration: duration)
  }

  private mutating func reportTallies(
    _ tallies: [(worker: WorkerID, tally: WorkerTally)], of id: SessionID, tokens: Int
  ) {
    for (worker, tally) in tallies { pool.observe(worker, id, tally, tokens: tokens) }
  }
}
