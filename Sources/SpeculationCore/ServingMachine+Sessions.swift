/// Sessions: how they come, and how they end.
extension ServingMachine {
  mutating func take(_ request: ServingRequest, _ actions: inout [Action]) {
    let id = request.session
    precondition(!sessions.contains(id), "\(id) is there already")
    guard isAccepting else { return actions.append(.refuse(id, .stopping)) }
    if let problem = request.problem(configuration) {
      return actions.append(.refuse(id, .invalid(problem)))
    }
    switch admission.request(id, tokens: request.prompt.count) {
    case .queued: break
    case .refused(let retryAfter):
      let refusal = Refusal.overloaded(waiting: admission.waitingCount, retryAfter: retryAfter)
      return actions.append(.refuse(id, refusal))
    case .impossible:
      preconditionFailure("what does not fit the cache was refused before")
    }
    let settings = request.speculation
    let session = ServedSession(
      machine: SessionMachine(
        session: id, prompt: request.prompt, sampling: request.sampling,
        configuration: SessionMachine.Configuration(
          request, vocabularySize: configuration.vocabularySize,
          contextLength: min(request.contextLength, configuration.contextLength, configuration.cells)),
        hasLocalDraft: configuration.hasLocalDraft),
      usesWorkers: settings.usesWorkers,
      mayDraftAtLocal: configuration.hasLocalDraft && settings.localPolicy != .never, requested: now)
    sessions.insert(session, as: id)
  }

  /// Whoever fits now starts, or goes on after it had to make room.
  mutating func admitWaiting(_ actions: inout [Action]) {
    while let id = admission.admitNext(at: now) {
      guard sessions[id].admitted == nil else { continue }
      sessions[id].admitted = now
      actions.append(.admitted(id, queued: sessions[id].requested.duration(to: now)))
      if sessions[id].mayDraftAtLocal { localDrafters += 1 }
      if sessions[id].usesWorkers {
        pool.begin(id, text: sessions[id].machine.tokens)
        needsPlacement = true
      }
      carryOut(sessions[id].machine.start(), of: id, &actions)
    }
  }

  mutating func cancel(_ id: SessionID, _ actions: inout [Action]) {
    guard sessions.contains(id) else { return }
    carryOut(sessions[id].machine.cancel(), of: id, &actions)
  }

  /// The one place where a session's decisions become the controller's.
  mutating func carryOut(
    _ decisions: [SessionMachine.Action], of id: SessionID, _ actions: inout [Action]
  ) {
    for decision in decisions {
      switch decision {
      case .send(let message, let worker): actions.append(.send(message, to: worker))
      case .emit(let tokens):
        if sessions[id].firstToken == nil { sessions[id].firstToken = now }
        sessions[id].lastToken = now
        actions.append(.emit(id, tokens, sessions[id].progress))
      case .disconnect(let worker, let violation): expel(worker, violation, &actions)
      case .finish(let reason): finish(id, reason, &actions)
      }
    }
  }

  private mutating func finish(
    _ id: SessionID, _ reason: SessionMachine.FinishReason, _ actions: inout [Action]
  ) {
    reportTallies(of: id, tokens: 0)
    let session = sessions.remove(id)
    if session.mayDraftAtLocal, session.admitted != nil { localDrafters -= 1 }
    health.forget(id)
    if session.usesWorkers {
      pool.end(id)
      // A worker may have a place again.
      needsPlacement = true
    }
    // First what it held: whoever is told of the end and comes again finds it free, or being freed.
    if admission.ended(id, at: now) { actions.append(.release(id)) }
    if case .failed = reason {} else { offerAudit(of: id, session, &actions) }
    actions.append(.finish(id, session.summary(reason)))
  }
}

extension SessionMachine.Configuration {
  /// - Parameters:
  ///   - vocabularySize: of the target
  ///   - contextLength: tokens that the session may hold
  init(_ request: ServingRequest, vocabularySize: Int, contextLength: Int) {
    let settings = request.speculation
    self.init(
      verification: settings.verification, localPolicy: settings.localPolicy,
      localSchedule: settings.localSchedule, localLimits: settings.localLimits,
      lookupLength: settings.lookupLength, minGain: settings.minGain, maxTreeNodes: request.maxTreeNodes,
      maxCandidates: request.maxCandidates, vocabularySize: vocabularySize, contextLength: contextLength,
      maxTokens: request.maxTokens, endTokens: request.endTokens)
  }
}
