import SpeculationCore

/// Controllers: their sessions, and every call of a controller machine.
extension FaultRun {
  func submit(_ index: Int) throws {
    var target = plan.sessions[index].controller
    // Who asks again asks another controller, too.
    if !controllers[target].isUp, let other = controllers.firstIndex(where: \.isUp), random.chance(0.3) {
      target = other
    }
    let controller = controllers[target]
    guard controller.isUp else { return controller.waiting.append(index) }
    let session = Session(
      plan: plan, index: index, id: SessionID(controller.nextSession), controller: target,
      random: random.split())
    controller.nextSession += 1
    controller.sessions.append(session)
    attempts.append(session)
    pending -= 1
    running += 1
    counts[.sessions] += 1
    session.started = now
    queue.schedule(.mustBeOver(session), at: now.advanced(by: session.limit))
    // Some learn of their workers first, as the product does, some begin first.
    let joinsFirst = random.chance(0.5)
    if joinsFirst { for connection in controller.attached { try join(session, connection) } }
    if !session.isOver {
      session.isStarted = true
      try step(session) { $0.start() }
    }
    if !joinsFirst, !session.isOver {
      for connection in controller.attached { try join(session, connection) }
    }
  }

  func session(_ id: SessionID, at controller: Int) -> Session? {
    controllers[controller].sessions.first { $0.id == id }
  }

  // MARK: Events

  /// One event of a session: all calls that change its machine go through here.
  private func step(
    _ session: Session, _ event: (inout ControllerMachine) -> [ControllerMachine.Action]
  ) throws {
    try perform(event(&session.machine), of: session)
    try concludeEvent(session)
  }

  private func concludeEvent(_ session: Session) throws {
    session.events += 1
    if session.events == session.plan.cancelAfter, session.finish == nil {
      session.isCancelledByPlan = true
      counts[.cancellations] += 1
      try perform(session.machine.cancel(), of: session)
    }
    try checkProgress(session)
    try checkBounds(session)
  }

  func targetDone(_ session: Session, _ duration: Duration) throws {
    guard !session.isLost else { return }
    guard let set = session.underWay else { throw BrokenRule(.verification, "no target pass is under way") }
    session.underWay = nil
    let pass = session.targetPasses
    session.targetPasses += 1
    if session.finish != nil {
      let actions = session.machine.verified([], duration: duration, passTokens: 0)
      return try Self.require(actions.isEmpty, .ending, "a verification after the end has consequences")
    }
    if session.plan.targetFailsAt == pass {
      counts[.targetFailures] += 1
      return try step(session) { $0.verificationFailed(reason: "planned") }
    }
    counts[.steps] += 1
    var hashes = [session.hashes[session.text.count]]
    hashes.reserveCapacity(set.tokens.count + 1)
    for (token, parent) in zip(set.tokens, set.parents) {
      var hash = hashes[Int(parent) + 1]
      hash.append(token)
      hashes.append(hash)
    }
    let verdicts = hashes.map {
      ControllerMachine.Verdict(token: plan.script.choice($0), margin: plan.script.margin($0))
    }
    let expected = expectedCommit(session, set, verdicts)
    let actions = session.machine.verified(
      verdicts, duration: duration, passTokens: set.tokens.count + 1)
    try checkCommit(session, actions, expected)
    try perform(actions, of: session)
    try checkEverybodyWasTold(session)
    try concludeEvent(session)
  }

  func homeDone(_ session: Session, _ duration: Duration) throws {
    guard !session.isLost else { return }
    guard let tasks = session.homeUnderWay else {
      throw BrokenRule(.homeDraft, "no home pass is under way")
    }
    session.homeUnderWay = nil
    let pass = session.homePasses
    session.homePasses += 1
    if session.plan.homeFailsAt == pass {
      counts[.homeFailures] += 1
      return try step(session) { $0.homeDraftFailed() }
    }
    if session.finish == nil {
      session.homeExpansions += tasks.count
      session.hasAnswer = true
      counts[.homeExpansions] += tasks.count
    }
    let distributions = tasks.map { task in
      // The prefix was checked to be the text when the pass began.
      var hash = session.hashes[task.prefix.count]
      for token in task.path { hash.append(token) }
      let distribution = plan.script.distribution(hash, candidates: task.candidates)
      if session.finish == nil {
        for candidate in distribution.candidates {
          var child = hash
          child.append(candidate.token)
          session.guessed[child, default: 0] |= Self.guessedAtHome
        }
      }
      return distribution
    }
    try step(session) { $0.homeDrafted(tasks.map(\.node), distributions, duration: duration) }
  }

  /// A worker may draft for a session.
  func join(_ session: Session, _ connection: Connection) throws {
    let worker = connection.id!
    guard connection.told[session.id] == nil else { return }
    if session.finish == nil { session.hasAnswer = false }
    connection.said[session.id] = (1, session.text.count - 1, [])
    try step(session) { $0.workerJoined(worker) }
    try Self.require(
      session.isOver || connection.told[session.id] != nil, .controllerMessage,
      "\(worker) joined and was told nothing of \(session.id)")
    noteDrafters(session)
  }

  private func noteDrafters(_ session: Session) {
    let attached = controllers[session.controller].attached
    session.drafters = max(
      session.drafters, 1 + attached.count { $0.told[session.id] != nil })
  }

  /// A worker is gone, or will not draft for this session.
  func leave(_ session: Session, _ connection: Connection) throws {
    connection.said[session.id] = nil
    guard connection.told.removeValue(forKey: session.id) != nil else { return }
    if !controllers[session.controller].attached.contains(where: { $0.told[session.id] != nil }) {
      session.hasAnswer = false
    }
    try step(session) { $0.workerLeft(connection.id!) }
  }

  func receive(_ message: WorkerMessage, _ note: Note?, from connection: Connection) throws {
    let isHonest = !workers[connection.worker].plan.isHostile && !connection.up.isTampered
    switch message {
    case .declined(let id, _):
      counts[.declines] += 1
      guard let session = session(id, at: connection.controller), connection.told[id] != nil else { return }
      try leave(session, connection)
      // A controller may ask again, at once or later, on the same connection.
      if random.chance(0.7) {
        let wait = random.chance(0.5) ? .zero : random.duration(.zero...(.milliseconds(100)))
        queue.schedule(.rejoin(connection, session), at: now.advanced(by: wait))
      }
    case .expansion(let id, let expansion):
      guard let session = session(id, at: connection.controller), !session.isLost else { return }
      let isListening = connection.told[id] != nil
      let breach = isListening ? breach(of: expansion, in: session, on: connection) : nil
      counts[.expansions] += 1
      counts[.forgottenNodes] += expansion.forgotten.count
      if isListening, breach == nil {
        session.hasAnswer = true
        if !isHonest || connection.down.isTampered { session.hasHeardLies = true }
        if let note { guess(note, expansion, in: session) }
      }
      let actions = session.machine.receive(expansion, from: connection.id!)
      let announced = connection.said[id].map { Int(clamping: $0.nextID - 1) } ?? 0
      try checkAnswer(
        actions, to: expansion, breach: breach, isHonest: isHonest && !connection.down.isTampered,
        mayHold: 4 * session.plan.maxTreeNodes, announced: announced)
      try perform(actions, of: session)
      if isListening, breach == nil, isHonest, let note, connection.told[id] != nil {
        try checkPlacement(note, expansion, in: session, on: connection)
      }
      if isHonest, !connection.down.isTampered {
        try Self.require(
          session.machine.statistics.droppedExpansions == 0 || session.hasHeardLies, .bounds,
          "\(connection.id!) keeps to its limit, and something was dropped")
      }
      try concludeEvent(session)
    }
  }

  private func guess(_ note: Note, _ expansion: Expansion, in session: Session) {
    for offset in expansion.distribution.candidates.indices {
      let node = note.announced[expansion.firstChild + RemoteNodeID(offset)]
      session.guessed[node.hash, default: 0] |= Self.guessedByWorker
    }
  }

  static var guessedByWorker: UInt8 { 1 }
  static var guessedAtHome: UInt8 { 2 }

  // MARK: Actions

  func perform(_ actions: [ControllerMachine.Action], of session: Session) throws {
    for action in actions {
      try Self.require(session.finish == nil, .ending, "\(session.id) acts after its end: \(action)")
      switch action {
      case .verify(let prefix, let set):
        try checkSet(session, prefix: prefix, set)
        session.underWay = set
        let duration = jittered(plan.target.duration(set.tokens.count + 1), &session.random)
        queue.schedule(.targetDone(session, duration), at: now.advanced(by: duration))
      case .draftAtHome(let tasks):
        try checkHome(session, tasks)
        session.homeUnderWay = tasks
        let duration = jittered(plan.home.duration(tasks.count), &session.random)
        queue.schedule(.homeDone(session, duration), at: now.advanced(by: duration))
      case .send(let message, let worker):
        let connection = try checkMessage(session, message, to: worker)
        try send([.message(message)], on: connection)
      case .emit(let tokens):
        try checkText(session, tokens)
        counts[.tokens] += tokens.count
        for token in tokens { note(UInt64(UInt32(bitPattern: token.token))) }
      case .disconnect(let worker, _):
        guard let connection = controllers[session.controller].attached.first(where: { $0.id == worker })
        else { throw BrokenRule(.protocolRule, "disconnects \(worker), which is not attached") }
        counts[.controllerViolations] += 1
        // The machine has forgotten the worker already.
        connection.told[session.id] = nil
        if !controllers[session.controller].attached.contains(where: { $0.told[session.id] != nil }) {
          session.hasAnswer = false
        }
        try closeAtController(connection)
      case .finish(let reason): try finish(session, reason)
      }
    }
  }

  private func finish(_ session: Session, _ reason: ControllerMachine.FinishReason) throws {
    session.finish = reason
    session.ended = now
    try checkEnd(session, reason)
    over(session)
  }

  private func over(_ session: Session) {
    running -= 1
    let statistics = session.machine.statistics
    counts[.bubbles] += statistics.bubbles
    counts[.lateExpansions] += statistics.lateExpansions
    counts[.droppedExpansions] += statistics.droppedExpansions
    counts[.acceptedRemote] += statistics.acceptedRemote
    counts[.acceptedHome] += statistics.acceptedHome
    counts[.acceptedLookup] += statistics.acceptedLookup
    controllers[session.controller].sessions.removeAll { $0 === session }
  }

  // MARK: Shutdown

  func shutDown(_ index: Int, isCrash: Bool, isRepeated: Bool) throws {
    let controller = controllers[index]
    controller.isUp = false
    counts[isCrash ? .controllerCrashes : .shutdowns] += 1
    for session in controller.sessions {
      if isCrash {
        session.isLost = true
        session.ended = now
        over(session)
      } else {
        session.isCancelledByPlan = true
        try perform(session.machine.cancel(), of: session)
        try checkProgress(session)
      }
      if isRepeated {
        pending += 1
        counts[.resubmissions] += 1
        queue.schedule(
          .submit(session.index), at: now.advanced(by: random.duration(.zero...(.milliseconds(500)))))
      }
    }
    for connection in controller.attached { try closeAtController(connection, isProcessGone: true) }
    controller.nextSession = 1
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
