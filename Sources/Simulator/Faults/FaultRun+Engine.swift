import SpeculationCore

/// The engines of a controller: the target, whose cells are counted, and the local draft model.
extension FaultRun {
  // MARK: Target

  func begin(_ pass: TargetPass, at controller: Controller) throws {
    try Self.require(controller.pass == nil, .verification, "two target passes at once")
    let sessions = try pass.parts.map { part in
      guard let session = controller.session(part.session) else {
        throw BrokenRule(.verification, "verifies \(part.session), which is over")
      }
      return session
    }
    let underWay = PassUnderWay(pass: pass, sessions: sessions)
    controller.pass = underWay
    try give(.pass(underWay), to: controller)
  }

  func give(_ job: EngineJob, to controller: Controller) throws {
    controller.jobs.append(job)
    try startJob(at: controller)
  }

  /// The next job, where none is under way.
  private func startJob(at controller: Controller) throws {
    guard !controller.isEngineBusy, let job = controller.jobs.first else { return }
    controller.isEngineBusy = true
    var duration = Duration.zero
    switch job {
    case .pass(var pass):
      try run(&pass, at: controller)
      duration = pass.duration
      controller.jobs[controller.jobs.startIndex] = .pass(pass)
    case .release:
      duration = controller.random.duration(.zero...(.microseconds(controller.server.releaseDelay / 2)))
    }
    queue.schedule(.engineDone(controller, life: controller.life), at: now.advanced(by: duration))
  }

  /// What a pass does to the cache, and how long that takes. One that fails changes nothing.
  private func run(_ pass: inout PassUnderWay, at controller: Controller) throws {
    let requests = pass.pass.parts.map {
      CacheLedger.Request(
        session: $0.session, prefix: $0.prefix, tokens: $0.set.tokens, parents: $0.set.parents)
    }
    try checkReading(pass.pass, at: controller)
    var cache = controller.cache
    do {
      pass.parts = try cache.run(requests, prefillBudget: pass.pass.prefillBudget)
    } catch {
      throw BrokenRule(.cells, "asks for what does not fit: \(error)")
    }
    let tokens = pass.parts.reduce(0) { $0 + $1.evaluated }
    pass.duration = jittered(plan.target.duration(tokens), &controller.random)
    if pass.sessions.contains(where: \.breaksTheEngine) {
      pass.failure = .engine
    } else if !faultsAreOver {
      if controller.server.targetFailure > 0, controller.random.chance(controller.server.targetFailure) {
        pass.failure = .engine
      } else if controller.server.fullFailure > 0, controller.random.chance(controller.server.fullFailure) {
        pass.failure = .cacheFull
      }
    }
    if pass.failure == nil { controller.cache = cache }
  }

  func engineDone(_ controller: Controller) throws {
    controller.isEngineBusy = false
    let job = controller.jobs.removeFirst()
    switch job {
    case .release(let id):
      controller.cache.release(id)
      // Others may be told of their passes before the controller hears of it.
      let delay = controller.random.duration(.zero...(.microseconds(controller.server.releaseDelay / 2)))
      if delay > .zero { counts[.lateReleases] += 1 }
      queue.schedule(.released(controller, life: controller.life, id), at: now.advanced(by: delay))
      try startJob(at: controller)
    case .pass(let pass):
      try startJob(at: controller)
      controller.pass = nil
      if let kind = pass.failure {
        try fail(pass, kind, at: controller)
      } else {
        try end(pass, at: controller)
      }
    }
  }

  func released(_ id: SessionID, at controller: Controller) throws {
    controller.releasing.remove(id)
    try tell(controller, .released(id))
  }

  private func fail(_ pass: PassUnderWay, _ kind: PassFailure.Kind, at controller: Controller) throws {
    counts[kind == .engine ? .engineFailures : .fullFailures] += 1
    controller.failures += 1
    let isAlone: Bool
    if kind == .engine {
      isAlone = pass.sessions.count == 1
    } else {
      controller.expectsNoGuesses = true
      isAlone = pass.guesses == 0 && controller.sessions.count(where: \.isRunning) <= 1
    }
    if isAlone {
      counts[.singleFailures] += 1
      controller.singleFailures += 1
      controller.expectsNoGuesses = false
    }
    for session in pass.sessions where !session.isOver {
      if isAlone { session.mayFail = true } else { session.isRetried = session.isRetried || kind == .engine }
    }
    try tell(controller, .passFailed(PassFailure(kind, reason: "planned")), about: pass.sessions)
    if isAlone {
      try Self.require(
        pass.sessions.allSatisfy(\.isOver), .ending,
        "a pass of it alone failed, and \(pass.sessions[0].id) goes on")
    }
    try checkHealth(controller)
  }

  private func end(_ pass: PassUnderWay, at controller: Controller) throws {
    controller.singleFailures = 0
    var report = PassReport(parts: [], duration: pass.duration, tokens: 0)
    var expected: [SessionID: [(token: TokenID, isGuess: Bool)]] = [:]
    let isShared = pass.sessions.count > 1
    if isShared { counts[.sharedPasses] += 1 }
    if pass.guesses == 0 { controller.expectsNoGuesses = false }
    for ((session, part), done) in zip(zip(pass.sessions, pass.pass.parts), pass.parts) {
      report.tokens += done.evaluated
      var verdicts: [SessionMachine.Verdict] = []
      if done.isComplete {
        var hashes = [session.hashes[part.prefix.count]]
        hashes.reserveCapacity(part.set.tokens.count + 1)
        for (token, parent) in zip(part.set.tokens, part.set.parents) {
          var hash = hashes[Int(parent) + 1]
          hash.append(token)
          hashes.append(hash)
        }
        verdicts = hashes.map {
          SessionMachine.Verdict(token: plan.script.choice($0), margin: plan.script.margin($0))
        }
      }
      report.parts.append(PassReport.Part(verdicts: verdicts, reusedPrefix: done.reused))
      guard !session.isOver else { continue }
      if session.isRetried, !isShared { counts[.retriedAlone] += 1 }
      session.isRetried = false
      session.reused += done.reused
      guard done.isComplete else {
        counts[.prefillPieces] += 1
        continue
      }
      session.targetPasses += 1
      counts[.steps] += 1
      expected[session.id] = expectedCommit(session, part.set, verdicts)
    }
    try tell(controller, .passEnded(report), about: pass.sessions) { actions in
      for session in pass.sessions where !session.isOver {
        try checkCommit(session, actions, expected[session.id])
      }
      for case .emit(let id, _, _) in actions where expected[id] == nil {
        throw BrokenRule(.commit, "\(id) commits without a verdict")
      }
    }
    for session in pass.sessions where !session.isOver { try checkEverybodyWasTold(session) }
    try checkHealth(controller)
  }

  // MARK: Local drafts

  func begin(_ tasks: [DraftTask<SessionMachine.NodeID>], at controller: Controller) throws {
    var pass = LocalPassUnderWay(tasks: tasks, sessions: tasks.map { controller.session($0.session)! })
    pass.duration = jittered(plan.local.duration(tasks.count), &controller.random)
    controller.localPass = pass
    queue.schedule(.localDone(controller, life: controller.life), at: now.advanced(by: pass.duration))
  }

  func localDone(_ controller: Controller) throws {
    guard let pass = controller.localPass else { throw BrokenRule(.localDraft, "no local pass is under way") }
    controller.localPass = nil
    let members = pass.members
    var fails =
      !faultsAreOver && controller.server.localFailure > 0
      && controller.random.chance(controller.server.localFailure)
    for session in members {
      if session.plan.localFailsAt == session.localPasses { fails = true }
      session.localPasses += 1
    }
    if fails {
      counts[.localFailures] += 1
      for session in members { session.isLocalBroken = true }
      return try tell(controller, .localPassFailed(reason: "planned"), about: members)
    }
    let distributions = zip(pass.tasks, pass.sessions).map { task, session in
      // The prefix was checked to be the text when the pass began.
      var hash = session.hashes[task.prefix.count]
      for token in task.path { hash.append(token) }
      let distribution = plan.script.distribution(hash, candidates: task.candidates)
      if !session.isOver {
        session.localExpansions += 1
        session.hasAnswer = true
        counts[.localExpansions] += 1
        for candidate in distribution.candidates {
          var child = hash
          child.append(candidate.token)
          session.guessed[child, default: 0] |= Self.guessedLocally
        }
      }
      return distribution
    }
    try tell(
      controller, .localPassEnded(distributions, duration: pass.duration, passTokens: pass.tasks.count),
      about: members)
  }
}
