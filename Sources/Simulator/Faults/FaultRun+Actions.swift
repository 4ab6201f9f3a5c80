import SpeculationCore

/// What a controller's machine wants done.
extension FaultRun {
  /// Carries out the actions that follow from one event, in their order.
  ///
  /// - Returns: the sessions that the event concerned: those given, and those that something happened to
  func perform(
    _ actions: [ServingMachine.Action], at controller: Controller, about concerned: [Session]
  ) throws -> [Session] {
    var concerned = concerned
    func concern(_ session: Session) {
      if !concerned.contains(where: { $0 === session }) { concerned.append(session) }
    }
    func known(_ id: SessionID, _ action: ServingMachine.Action) throws -> Session {
      guard let session = controller.session(id) else {
        throw BrokenRule(.ending, "\(id) acts though it is over, or was never there: \(action)")
      }
      return session
    }
    for action in actions {
      switch action {
      // The pass begins at once. What it is about is looked at when the texts have become what it was told.
      case .verify(let pass): try begin(pass, at: controller)
      case .draftLocally(let tasks):
        try checkLocal(tasks, at: controller)
        try begin(tasks, at: controller)
      case .release(let id): try release(id, at: controller)
      case .send(let message, let worker):
        let connection = try checkMessage(try known(message.session, action), message, to: worker)
        try send([.message(message)], on: connection)
      case .disconnect(let worker, let name, _): try disconnect(worker, name, at: controller)
      case .refuse(let id, let refusal): refused(try known(id, action), refusal, at: controller)
      case .admitted(let id, let queued):
        let session = try known(id, action)
        try Self.require(
          !session.isAdmitted && queued == session.started.duration(to: now), .serving,
          "\(id) is admitted twice, or after \(queued)")
        session.isAdmitted = true
      case .emit(let id, let tokens, let progress):
        try show(tokens, progress, of: try known(id, action), at: controller)
      case .note(let id, let what):
        let session = try known(id, action)
        if what == .preempted {
          session.preemptions += 1
          session.isRetried = false
          counts[.preemptions] += 1
        }
        concern(session)
      case .placed(let id, let worker):
        let session = try known(id, action)
        try place(session, on: worker, at: controller)
        concern(session)
      case .displaced(let id, let worker):
        let session = try known(id, action)
        try Self.require(
          connection(worker, at: controller)?.told[id] != nil, .serving,
          "\(id) is displaced from \(worker), which does not draft for it")
        counts[.displacements] += 1
        concern(session)
      case .audit: throw BrokenRule(.serving, "an audit that nobody asked for")
      case .finish(let id, let summary): try finish(try known(id, action), summary, at: controller)
      }
    }
    for case .verify(let pass) in actions { try checkPass(pass, at: controller) }
    return concerned
  }

  private func show(
    _ tokens: [SessionMachine.CommittedToken], _ progress: SessionProgress, of session: Session,
    at controller: Controller
  ) throws {
    try checkText(session, tokens, at: controller)
    try Self.require(
      session.isAdmitted && progress.statistics.tokens == session.emitted, .counts,
      "\(session.id) has \(progress.statistics.tokens) tokens, \(session.emitted) were shown")
    if session.firstToken == nil { session.firstToken = now }
    counts[.tokens] += tokens.count
    for token in tokens { note(UInt64(UInt32(bitPattern: token.token))) }
  }

  func connection(_ worker: WorkerID, at controller: Controller) -> Connection? {
    controller.attached.first { $0.id == worker }
  }

  private func place(_ session: Session, on worker: WorkerID, at controller: Controller) throws {
    guard let connection = self.connection(worker, at: controller) else {
      throw BrokenRule(.serving, "\(session.id) is placed on \(worker), which is not attached")
    }
    let profile = plan.profile(of: connection.worker, connection: connection.serial)
    try Self.require(
      !connection.isDraining, .serving, "\(session.id) is placed on \(worker), which is leaving")
    try Self.require(
      session.plan.usesWorkers && connection.told[session.id] == nil, .serving,
      "\(session.id) is placed on \(worker), which it does not want or has")
    try Self.require(
      connection.told.count < profile.capacity, .serving,
      "\(session.id) is placed on \(worker), which takes no more than \(profile.capacity)")
    session.hasAnswer = false
    connection.said[session.id] = (1, session.text.count - 1, [])
    session.drafters = max(
      session.drafters, 2 + controller.attached.count { $0.told[session.id] != nil })
  }

  private func disconnect(_ worker: WorkerID, _ name: String, at controller: Controller) throws {
    guard let connection = self.connection(worker, at: controller) else {
      throw BrokenRule(.protocolRule, "disconnects \(worker), which is not attached")
    }
    let breaches = controller.breaches[name] ?? 0
    // It broke the protocol, was sent away before, or has guessed long enough to be judged.
    try Self.require(
      name == connection.name
        && (breaches > 0 || connection.mayBeSentAway || controller.excluded.contains(name)
          || connection.expansions >= Self.expansionsOfAUselessWorker),
      .protocolRule,
      "disconnects \(worker) for no reason")
    if breaches == 0 || breaches >= controller.machine.configuration.pool.strikes {
      controller.excluded.insert(name)
      counts[.exclusions] += 1
    }
    counts[.controllerViolations] += breaches > 0 ? 1 : 0
    // The machine has forgotten the worker already; a driver may say so again.
    try closeAtController(connection, isKnown: !random.chance(0.5))
  }

  /// Nobody is judged before so many.
  static var expansionsOfAUselessWorker: Int { 1024 }

  /// Frees what the engine holds of a session, when its turn comes.
  private func release(_ id: SessionID, at controller: Controller) throws {
    try Self.require(!controller.releasing.contains(id), .cells, "\(id) is released twice")
    controller.releasing.insert(id)
    controller.session(id)?.isRunning = false
    try give(.release(id), to: controller)
  }
}
