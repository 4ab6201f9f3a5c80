import SpeculationCore

/// Controllers: what happens to their sessions, and the one way in which their machines hear of it.
extension FaultRun {
  // MARK: The way in

  /// Tells a controller's machine what has happened, and does what it wants.
  ///
  /// What happens because of that is told next, not in between: actions are carried out in their order.
  ///
  /// - Parameters:
  ///   - concerned: sessions that the event is about
  ///   - check: what the event must lead to; called before anything is done
  func tell(
    _ controller: Controller, _ event: ServingMachine.Event, about concerned: [Session] = [],
    check: ([ServingMachine.Action]) throws -> Void = { _ in }
  ) throws {
    guard !controller.isHandling else { return controller.inbox.append(event) }
    controller.isHandling = true
    defer { controller.isHandling = false }
    let actions = controller.machine.handle(event, at: now)
    try check(actions)
    try conclude(actions, at: controller, about: concerned)
    while let next = controller.inbox.popFirst() {
      try conclude(controller.machine.handle(next, at: now), at: controller, about: [])
    }
  }

  private func conclude(
    _ actions: [ServingMachine.Action], at controller: Controller, about concerned: [Session]
  ) throws {
    let concerned = try perform(actions, at: controller, about: concerned)
    try checkServing(controller)
    for session in concerned {
      if !session.isOver { try checkBounds(session, at: controller) }
      session.events += 1
      guard session.events == session.plan.cancelAfter, !session.isOver else { continue }
      session.isCancelledByPlan = true
      counts[.cancellations] += 1
      controller.inbox.append(.cancel(session.id))
    }
  }

  // MARK: Requests

  func submit(_ index: Int) throws {
    var target = plan.sessions[index].controller
    // Who asks again asks another controller, too.
    if !controllers[target].isUp, let other = controllers.firstIndex(where: \.isUp), random.chance(0.3) {
      target = other
    }
    let controller = controllers[target]
    guard controller.isUp else { return controller.waiting.append(index) }
    let session = Session(plan: plan, index: index, id: SessionID(controller.nextSession), controller: target)
    controller.nextSession += 1
    let waiting = controller.waitingCount
    controller.sessions.append(session)
    attempts.append(session)
    pending -= 1
    running += 1
    counts[.sessions] += 1
    session.started = now
    session.failuresBefore = controller.failures
    session.limit = longestStay(of: controller)
    let request = plan.request(of: session.plan, id: session.id)
    try tell(controller, .request(request), about: [session]) {
      try checkReception(of: session, $0, waiting: waiting, at: controller)
    }
    guard !session.isOver else { return }
    if !session.isRunning { counts[.queued] += 1 }
    queue.schedule(.mustBeOver(session), at: now.advanced(by: session.limit))
  }

  /// Who is refused asks again, where that may help.
  func refused(_ session: Session, _ refusal: Refusal, at controller: Controller) {
    session.refusal = refusal
    session.ended = now
    over(session)
    switch refusal {
    case .invalid: counts[.impossibleRequests] += 1
    case .overloaded:
      counts[.refusals] += 1
      refusals[session.index, default: 0] += 1
      guard refusals[session.index]! <= Self.mostPatience else { return }
      pending += 1
      let wait = random.duration(.zero...Self.longestPause)
      queue.schedule(.submit(session.index), at: now.advanced(by: wait))
    case .stopping:
      counts[.stoppingRefusals] += 1
      pending += 1
      controller.waiting.append(session.index)
    }
  }

  /// How often somebody asks again where too many waited, and what passes before at most.
  static var mostPatience: Int { 2 }
  static var longestPause: Duration { .milliseconds(200) }

  func finish(_ session: Session, _ summary: SessionSummary, at controller: Controller) throws {
    session.finish = summary.reason
    session.statistics = summary.statistics
    session.ended = now
    try checkEnd(session, summary, at: controller)
    over(session)
  }

  private func over(_ session: Session) {
    running -= 1
    let statistics = session.statistics
    counts[.bubbles] += statistics.bubbles
    counts[.lateExpansions] += statistics.lateExpansions
    counts[.droppedExpansions] += statistics.droppedExpansions
    counts[.acceptedRemote] += statistics.acceptedRemote
    counts[.acceptedLocal] += statistics.acceptedLocal
    counts[.acceptedLookup] += statistics.acceptedLookup
    controllers[session.controller].sessions.removeAll { $0 === session }
  }

  // MARK: Workers

  /// A session has one drafter less.
  func forget(_ session: SessionID, on connection: Connection) {
    connection.said[session] = nil
    guard connection.told.removeValue(forKey: session) != nil else { return }
    let controller = controllers[connection.controller]
    if !controller.attached.contains(where: { $0.told[session] != nil }) {
      controller.session(session)?.hasAnswer = false
    }
  }

  func receive(_ message: WorkerMessage, _ note: Note?, from connection: Connection) throws {
    let isHonest = !workers[connection.worker].plan.isHostile && !connection.up.isTampered
    let controller = controllers[connection.controller]
    let session = controller.session(message.session)
    let isListening = connection.told[message.session] != nil
    switch message {
    case .declined(let id, _):
      counts[.declines] += 1
      if isListening { forget(id, on: connection) }
      try tell(controller, .workerSaid(connection.id!, message), about: session.map { [$0] } ?? [])
    case .expansion(_, let expansion):
      var breach: String?
      if isListening, let session { breach = self.breach(of: expansion, in: session, on: connection) }
      counts[.expansions] += 1
      counts[.forgottenNodes] += expansion.forgotten.count
      connection.expansions += 1
      if let session, isListening, breach == nil {
        session.hasAnswer = true
        if !isHonest || connection.down.isTampered { session.hasHeardLies = true }
        if let note { guess(note, expansion, in: session) }
      }
      if breach != nil { controller.breaches[connection.name, default: 0] += 1 }
      let announced = connection.said[message.session].map { Int(clamping: $0.nextID - 1) } ?? 0
      try tell(
        controller, .workerSaid(connection.id!, message), about: session.map { [$0] } ?? []
      ) { actions in
        try checkAnswer(
          actions, from: connection, to: expansion, breach: breach,
          isHonest: isHonest && !connection.down.isTampered,
          mayHold: 4 * (session?.plan.maxTreeNodes ?? 0), announced: announced)
      }
      guard let session, let machine = controller.machine.machine(of: session.id) else { return }
      if isListening, breach == nil, isHonest, let note, connection.told[session.id] != nil {
        try checkPlacement(note, expansion, in: session, machine, on: connection)
      }
      if isHonest, !connection.down.isTampered {
        try Self.require(
          machine.statistics.droppedExpansions == 0 || session.hasHeardLies, .bounds,
          "\(connection.id!) keeps to its limit, and something was dropped")
      }
    }
  }

  private func guess(_ note: Note, _ expansion: Expansion, in session: Session) {
    for offset in expansion.distribution.candidates.indices {
      let node = note.announced[expansion.firstChild + RemoteNodeID(offset)]
      session.guessed[node.hash, default: 0] |= Self.guessedByWorker
    }
  }

  static var guessedByWorker: UInt8 { 1 }
  static var guessedLocally: UInt8 { 2 }

  // MARK: Shutdown

  func shutDown(_ index: Int, isCrash: Bool, isRepeated: Bool) throws {
    let controller = controllers[index]
    controller.isUp = false
    counts[isCrash ? .controllerCrashes : .shutdowns] += 1
    let sessions = controller.sessions
    if isCrash {
      for session in sessions {
        session.isLost = true
        session.ended = now
        over(session)
      }
    } else {
      for session in sessions { session.isCancelledByPlan = true }
      try tell(controller, .cancelAll, about: sessions)
      try Self.require(controller.sessions.isEmpty, .ending, "sessions go on after all were cancelled")
    }
    if isRepeated {
      for session in sessions {
        pending += 1
        counts[.resubmissions] += 1
        queue.schedule(
          .submit(session.index), at: now.advanced(by: random.duration(.zero...(.milliseconds(500)))))
      }
    }
    for connection in controller.attached { try closeAtController(connection, isKnown: true) }
    controller.restart(plan)
  }

  func controllerUp(_ index: Int) throws {
    let controller = controllers[index]
    guard !controller.isUp else { return }
    controller.isUp = true
    let waiting = controller.waiting
    controller.waiting = []
    for index in waiting { try submit(index) }
  }
}
