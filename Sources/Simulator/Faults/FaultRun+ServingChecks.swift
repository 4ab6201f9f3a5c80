import SpeculationCore

/// What a server owes to all who ask it: turns, cells, an answer.
extension FaultRun {
  // MARK: Requests

  /// A request is refused for one of three reasons, and for no other.
  func checkReception(
    of session: Session, _ actions: [ServingMachine.Action], waiting: Int, at controller: Controller
  ) throws {
    var refusal: Refusal?
    for case .refuse(let id, let reason) in actions {
      try Self.require(id == session.id && refusal == nil, .serving, "refuses \(id), which asked for nothing")
      refusal = reason
    }
    let isFull = waiting >= controller.server.maxWaiting
    switch refusal {
    case .stopping:
      try Self.require(controller.isStopping, .serving, "\(session.id) is refused, as if it stopped")
    case .invalid(let problem):
      try Self.require(session.isImpossible, .serving, "\(session.id) is refused: \(problem)")
    case .overloaded(let count, let retryAfter):
      try Self.require(
        isFull && count == waiting && retryAfter >= .seconds(1), .serving,
        "\(session.id) is refused as \(count) wait, of \(controller.server.maxWaiting)")
    case nil:
      try Self.require(
        !controller.isStopping && !session.isImpossible, .serving,
        "\(session.id) is taken, and cannot be served")
      // With a full queue only who runs at once.
      try Self.require(
        !isFull || controller.machine.running.contains(session.id), .serving,
        "\(session.id) is the \(waiting + 1)th that waits")
    }
  }

  // MARK: Passes

  /// A pass holds sessions that run, each once, and fits what they have claimed.
  func checkPass(_ pass: TargetPass, at controller: Controller) throws {
    try Self.require(!pass.parts.isEmpty, .verification, "a pass over nobody")
    var branches = controller.sessions.count(where: \.isRunning)
    var guesses = 0
    var isWriting = false
    for (index, part) in pass.parts.enumerated() {
      guard let session = controller.session(part.session) else {
        throw BrokenRule(.verification, "verifies \(part.session), which is over")
      }
      try Self.require(
        !pass.parts[..<index].contains { $0.session == part.session }, .verification,
        "\(part.session) is twice in a pass")
      try checkSet(session, prefix: part.prefix, part.set, at: controller)
      try Self.require(
        controller.machine.running.contains(part.session) && !controller.releasing.contains(part.session),
        .verification, "\(part.session) is in a pass and does not run")
      let needed = part.prefix.count + part.set.tokens.count
      let claim = controller.machine.claim(of: part.session) ?? 0
      try Self.require(
        needed <= claim, .cells, "\(part.session) needs \(needed) cells and has claimed \(claim)")
      try Self.require(
        !session.isRetried || pass.parts.count == 1, .serving,
        "\(part.session) is in a pass with others before it was tried alone")
      let inner = Set(part.set.parents)
      branches += max(1, part.set.tokens.indices.count { !inner.contains(Int32($0)) }) - 1
      guesses += part.set.tokens.count
      isWriting = isWriting || session.emitted > 0
    }
    // Who is admitted by the same event was not counted as running before it.
    branches += controller.machine.running.count { id in controller.session(id)?.isRunning == false }
    try Self.require(
      branches <= controller.server.branches, .cells,
      "\(branches) branches in a cache of \(controller.server.branches)")
    try Self.require(
      !controller.expectsNoGuesses || guesses == 0, .cells, "checks guesses though the cache was full")
    let chunk = controller.server.prefillChunk
    try Self.require(
      (1...(isWriting ? chunk : max(chunk, Self.longestPrefill))).contains(pass.prefillBudget), .serving,
      "reads \(pass.prefillBudget) tokens of prompts in one pass")
  }

  /// No pass computes twice what two prompts begin with, unless the cache has it. To be asked before the engine begins.
  func checkReading(_ pass: TargetPass, at controller: Controller) throws {
    guard controller.server.sharesPrefixes else { return }
    let cache = controller.cache
    let prompts = pass.parts.filter { cache.cachedTokens(of: $0.session) == 0 }.map(\.prefix)
    let read = controller.sessions.compactMap { session in
      cache.cachedTokens(of: session.id) + 1 < session.plan.prompt.count ? nil : session.plan.prompt
    }
    for (index, prompt) in prompts.enumerated() {
      let common = prompts[..<index].map { commonLength($0, prompt) }.max() ?? 0
      let cached = read.map { commonLength($0, prompt) }.max() ?? 0
      try Self.require(
        common - cached < CacheLedger.leastShare, .serving,
        "computes tokens \(cached) to \(common) of two prompts in one pass")
    }
  }

  /// Tokens of prompts in one pass while nobody waits for the next token of a text.
  static var longestPrefill: Int { 512 }

  /// The engine counts as broken after three passes over single sessions that failed, until one is done.
  func checkHealth(_ controller: Controller) throws {
    try Self.require(
      (controller.machine.engineFailure != nil) == (controller.singleFailures >= 3), .serving,
      "\(controller.singleFailures) passes failed, and the engine is said to be "
        + (controller.machine.engineFailure ?? "well"))
  }

  // MARK: After every event

  func checkServing(_ controller: Controller) throws {
    guard controller.isUp || !controller.sessions.isEmpty else { return }
    try checkTurns(controller)
    try checkCells(controller)
    try checkRest(controller)
    for session in controller.sessions {
      for connection in controller.attached {
        let has = controller.machine.machine(of: session.id)?.hasWorker(connection.id!) ?? false
        try Self.require(
          has == (connection.told[session.id] != nil), .controllerMessage,
          "\(connection.id!) "
            + (has ? "drafts for \(session.id) untold" : "is not told to leave \(session.id)"))
      }
    }
    let gone = controller.machine.attachedWorkers.first { self.connection($0, at: controller) == nil }
    try Self.require(
      gone == nil || !controller.inbox.isEmpty, .serving, "\(gone!) is gone, and the machine goes on with it")
  }

  /// First come, first served: those who run came before all who wait, whoever had to make room in between.
  private func checkTurns(_ controller: Controller) throws {
    let running = controller.machine.running
    try Self.require(
      running == controller.sessions.prefix(running.count).map(\.id), .serving,
      "\(running) run, and \(controller.sessions.map(\.id)) is the order in which they came")
    try Self.require(
      running.count + controller.machine.waitingCount == controller.sessions.count, .ending,
      "\(running.count) run and \(controller.machine.waitingCount) wait, of \(controller.sessions.count)")
    try Self.require(
      running.count + controller.releasing.count
        <= min(controller.server.maxSessions, controller.server.branches), .serving,
      "\(running.count) run beside \(controller.releasing.count) that are not gone")
    for (index, session) in controller.sessions.enumerated() {
      if index < running.count {
        if !session.isRunning, session.preemptions > 0 { counts[.resumptions] += 1 }
        try Self.require(session.isAdmitted, .serving, "\(session.id) runs without having been admitted")
        session.isRunning = true
      } else {
        try Self.require(
          !session.isRunning, .cells, "\(session.id) does not run any more, and nothing of it is released")
      }
    }
  }

  /// What the engine holds is claimed, and no more is claimed than there is.
  private func checkCells(_ controller: Controller) throws {
    var sum = 0
    for session in controller.sessions where session.isRunning {
      let claim = controller.machine.claim(of: session.id) ?? 0
      let held = controller.held(session.id)
      try Self.require(
        held <= claim, .cells, "\(held) cells are in use by \(session.id), which has claimed \(claim)")
      try Self.require(
        !controller.releasing.contains(session.id), .cells, "\(session.id) runs before its cells are free")
      sum += claim
    }
    // What is being freed is not free.
    for id in controller.releasing { sum += controller.held(id) }
    try Self.require(
      max(sum, controller.machine.claimedCells) <= controller.server.cells, .cells,
      "\(sum) cells are claimed or in use, \(controller.machine.claimedCells) by the machine's count, of "
        + "\(controller.server.cells)")
  }

  /// Nobody waits for the network: the target rests only when nobody is ready, or cells that somebody waits for are
  /// about to be free. A session that is to draft locally first is not ready before.
  private func checkRest(_ controller: Controller) throws {
    guard controller.pass == nil else { return }
    // A session that runs may wait for cells of one that has ended, too.
    if !controller.releasing.isEmpty, controller.waitingCount > 0 || isFull(controller) { return }
    for session in controller.sessions where session.isRunning {
      try Self.require(
        session.plan.draftsBefore != nil && controller.localPass != nil, .waiting,
        "\(session.id) stands still"
      )
    }
    try Self.require(
      controller.waitingCount == 0 || controller.sessions[0].isRunning, .waiting,
      "\(controller.waitingCount) requests wait, and nobody runs")
  }

  private func isFull(_ controller: Controller) -> Bool {
    controller.sessions.contains { session in
      guard session.isRunning, let claim = controller.machine.claim(of: session.id) else { return false }
      return session.text.count - claim > controller.server.cells - controller.machine.claimedCells
    }
  }

  // MARK: Nobody starves

  /// How long a request that comes now may take, from what is before it.
  ///
  /// Those who came first run first and are never made to leave, so whoever is at the head goes on with every pass
  /// that it is in: its prompt's tokens are the first that a pass reads, at least `prefillChunk` of them; then every
  /// pass commits a token. It reads its text once more at most, for it may have had to make room before it came to
  /// the head. So a request's turn at the head takes
  ///
  ///     passes = 1 + tokens + (prompt + tokens) / prefillChunk + 1
  ///
  /// passes of its own, and before each of them at most: the pass under way; cells that are freed, of every session
  /// once; a pass of others that begins while it waits for those cells. Local drafting before each pass costs its
  /// length in local passes, each after one of others. Whoever waits has to wait for those that came before it, one
  /// turn after the other, and for nobody else. Passes that fail come on top (`mustBeOver`).
  func longestStay(of controller: Controller) -> Duration {
    let round = longestRound(of: controller)
    var stay = round
    for session in controller.sessions where !session.isImpossible {
      let steps = session.plain.count + 1
      let reads = (session.plan.prompt.count + session.plain.count) / controller.server.prefillChunk + 1
      stay += round * (3 * (steps + reads))
      stay += longestDrafting(before: session.plan) * steps
    }
    return stay
  }

  /// A target pass, and the release of every session.
  private func longestRound(of controller: Controller) -> Duration {
    let sessions = plan.sessions
    let read = sessions.reduce(0) { $0 + $1.prompt.count + $1.maxTokens }
    let checked = sessions.reduce(0) { $0 + $1.maxVerified + 1 }
    let budget = max(controller.server.prefillChunk, Self.longestPrefill)
    return plan.target.longest(min(read, budget) + checked)
      + Duration.microseconds(controller.server.releaseDelay + 1) * (sessions.count + 1)
  }

  private func longestDrafting(before session: FaultPlan.Session) -> Duration {
    guard let length = session.draftsBefore, session.hasLocalDraft else { return .zero }
    let width = plan.sessions.map(\.localLimits.passWidth).max() ?? 1
    return plan.local.longest(width) * (2 * length)
  }

  /// A failed pass costs itself, and one pass more for every session that is tried alone.
  func mustBeOver(_ session: Session) throws {
    guard !session.isOver else { return }
    let controller = controllers[session.controller]
    let failures = controller.failures - session.failuresBefore
    let limit = session.limit + longestRound(of: controller) * (failures * (plan.sessions.count + 2))
    let deadline = session.started.advanced(by: limit)
    if now < deadline { return queue.schedule(.mustBeOver(session), at: deadline) }
    throw BrokenRule(
      .waiting, "\(session.id) at controller \(session.controller) took longer than \(limit)")
  }

  /// How long everything that is under way may take once nothing goes wrong any more, all at one controller.
  var longestRest: Duration {
    var longest = Duration.zero
    for controller in controllers {
      let round = longestRound(of: controller)
      var rest = round
      for session in plan.sessions {
        let reads = (session.prompt.count + session.maxTokens) / controller.server.prefillChunk + 1
        rest += round * (3 * (session.maxTokens + 1 + reads))
        rest += longestDrafting(before: session) * (session.maxTokens + 1)
        if session.targetFailsAt != nil { rest += round * (plan.sessions.count + 2) }
      }
      longest = max(longest, rest)
    }
    return longest
  }
}
