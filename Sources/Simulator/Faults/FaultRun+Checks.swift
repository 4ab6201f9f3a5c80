import SpeculationCore

/// The checkers. Each knows the rule it checks, and nothing of how the machines keep it.
extension FaultRun {
  // MARK: Steps

  /// What a target pass has to commit: the longest chain of choices through the set, then one choice more.
  func expectedCommit(
    _ session: Session, _ set: SessionMachine.VerificationSet, _ verdicts: [SessionMachine.Verdict]
  ) -> [(token: TokenID, isGuess: Bool)] {
    let limit = session.plan.maxTokens - session.emitted
    var result: [(TokenID, Bool)] = []
    var node = -1
    while result.count < limit {
      let token = verdicts[node + 1].token
      let guess = set.tokens.indices.first { set.parents[$0] == Int32(node) && set.tokens[$0] == token }
      result.append((token, guess != nil))
      guard let guess, token != ScriptedModel.endToken else { break }
      node = guess
    }
    return result
  }

  /// - Parameter expected: nil where the pass did not get to the session's end
  func checkCommit(
    _ session: Session, _ actions: [ServingMachine.Action], _ expected: [(token: TokenID, isGuess: Bool)]?
  ) throws {
    var emissions: [[SessionMachine.CommittedToken]] = []
    for case .emit(session.id, let tokens, _) in actions { emissions.append(tokens) }
    guard let expected else { return }
    try Self.require(emissions.count == 1, .commit, "a step commits \(emissions.count) times")
    try Self.require(
      emissions[0].map(\.token) == expected.map(\.token), .commit,
      "commits \(emissions[0].map(\.token)) where the verdicts say \(expected.map(\.token))")
    var hash = session.hashes[session.text.count]
    for (token, guess) in zip(emissions[0], expected) {
      hash.append(token.token)
      try Self.require(
        (token.origin != .target) == guess.isGuess, .commit,
        "wrong origin \(token.origin) at \(token.position)")
      let guessed = session.guessed[hash] ?? 0
      switch token.origin {
      case .target: break
      case .lookup:
        try Self.require(
          session.plan.lookupLength > 0, .commit, "a guess from the text, which nobody asked for")
      case .local:
        try Self.require(
          guessed & Self.guessedLocally != 0, .commit, "nobody guessed \(token.position) locally")
      case .remote:
        try Self.require(
          guessed & Self.guessedByWorker != 0 || session.hasHeardLies, .commit,
          "no worker guessed \(token.position)")
      }
    }
  }

  /// No position twice, none skipped, and the text so far is the plain text's beginning.
  func checkText(
    _ session: Session, _ tokens: [SessionMachine.CommittedToken], at controller: Controller
  ) throws {
    for token in tokens {
      let place = session.emitted
      try Self.require(
        token.position == session.text.count, .text,
        "\(session.id) commits position \(token.position), not \(session.text.count)")
      try Self.require(place < session.plain.count, .text, "goes on after the end of the plain text")
      try Self.require(
        token.token == session.plain[place], .text,
        "token \(token.token) at \(token.position), plain decoding gives \(session.plain[place])")
      session.text.append(token.token)
    }
    guard let machine = controller.machine.machine(of: session.id) else { return }
    try Self.require(
      machine.tokens == session.text, .text, "the machine's tokens are not the prompt and what was emitted")
  }

  func checkSet(
    _ session: Session, prefix: [TokenID], _ set: SessionMachine.VerificationSet, at controller: Controller
  ) throws {
    if session.plan.draftsBefore != nil {
      try Self.require(
        controller.localPass?.sessions.contains { $0 === session } != true, .localDraft,
        "drafts locally beside a verification")
    }
    try Self.require(prefix == session.text, .verification, "verifies below a prefix that is not the text")
    try Self.require(
      set.tokens.count == set.parents.count, .verification, "tokens and parents differ in number")
    try Self.require(
      set.tokens.count <= session.plan.maxVerified, .verification, "\(set.tokens.count) nodes in one set")
    let usableDepth = min(
      session.plan.maxTokens - session.emitted, session.contextLength - prefix.count)
    var depths: [Int] = []
    for (node, parent) in set.parents.enumerated() {
      try Self.require(
        parent >= -1 && parent < node, .verification, "node \(node) precedes its parent \(parent)")
      depths.append(parent < 0 ? 1 : depths[Int(parent)] + 1)
      try Self.require(
        depths[node] < usableDepth, .verification, "node \(node) is too deep to be committed with a successor"
      )
      for other in 0..<node where set.parents[other] == parent && set.tokens[other] == set.tokens[node] {
        throw BrokenRule(.verification, "node \(node) is twice in the set")
      }
      try Self.require(
        (0..<TokenID(plan.script.vocabularySize)).contains(set.tokens[node]), .verification,
        "a token without meaning")
    }
  }

  // MARK: Drafting

  /// One pass at a time, over nodes of sessions that may draft locally: of each as many as it allows, and in all as many
  /// as the widest allows.
  func checkLocal(_ tasks: [DraftTask<SessionMachine.NodeID>], at controller: Controller) throws {
    try Self.require(controller.localPass == nil, .localDraft, "two local draft passes at once")
    try Self.require(!tasks.isEmpty, .localDraft, "a local draft pass over nothing")
    let widest = controller.sessions.map(\.plan.localLimits.passWidth).max() ?? 0
    for (index, task) in tasks.enumerated() {
      guard let session = controller.session(task.session), session.isAdmitted,
        controller.machine.running.contains(task.session)
      else {
        throw BrokenRule(.localDraft, "drafts locally for \(task.session), which does not run")
      }
      try Self.require(
        session.plan.hasLocalDraft && session.plan.localPolicy != .never, .localDraft,
        "drafts locally though told never to")
      try Self.require(!session.isLocalBroken, .localDraft, "drafts locally after the model failed")
      let own = tasks.count { $0.session == task.session }
      try Self.require(
        own <= session.plan.localLimits.passWidth && tasks.count <= widest, .localDraft,
        "\(tasks.count) nodes in one pass, \(own) of \(task.session)")
      try checkTask(
        task, beside: tasks[..<index], limits: session.plan.localLimits, contextLength: session.contextLength,
        .localDraft)
      try Self.require(
        task.prefix == session.text, .localDraft, "drafts below a prefix that is not the text")
      try Self.require(
        session.emitted + task.path.count + 2 <= session.plan.maxTokens, .localDraft,
        "drafts a guess locally that no verification can use")
    }
  }

  func checkPass(_ index: Int, _ tasks: [DraftTask<WorkerMachine.NodeID>]) throws {
    let worker = workers[index]
    try Self.require(worker.pass == nil, .workerPass, "worker \(index) runs two passes at once")
    try Self.require(
      (1...worker.plan.limits.passWidth).contains(tasks.count), .workerPass,
      "\(tasks.count) nodes in one pass")
    for (index, task) in tasks.enumerated() {
      try checkTask(
        task, beside: tasks[..<index], limits: worker.plan.limits, contextLength: worker.plan.contextLength,
        .workerPass)
      guard let held = worker.held[task.session] else {
        throw BrokenRule(.workerPass, "worker \(index) drafts for \(task.session), which it does not hold")
      }
      try Self.require(!held.isPaused, .workerPass, "worker \(index) drafts though told to pause")
      try Self.require(
        task.skipped + task.prefix.count == held.position + 1, .workerPass,
        "drafts below \(task.skipped + task.prefix.count) tokens, knowing \(held.position + 1)")
      try checkPart(task.prefix, of: held, at: worker, "drafts below a wrong prefix")
    }
  }

  /// What a worker reads is the text of a session that it holds, without those of its tokens that an excerpt leaves
  /// out.
  func checkReading(_ index: Int, _ task: ReadingTask) throws {
    let worker = workers[index]
    try Self.require(worker.pass == nil, .workerPass, "worker \(index) runs two passes at once")
    guard let held = worker.held[task.session] else {
      throw BrokenRule(.workerPass, "worker \(index) reads for \(task.session), which it does not hold")
    }
    try checkPart(task.tokens, of: held, at: worker, "reads what is not the text")
  }

  private func checkPart(_ tokens: [TokenID], of held: Held, at worker: Worker, _ breach: String) throws {
    guard let session = held.session, !isMisled(worker) else { return }
    let text = session.text[...held.position]
    let head = tokens.count == text.count ? tokens.count : ReadingTask.head
    try Self.require(
      text.starts(with: tokens[..<head]) && text.suffix(tokens.count - head) == tokens[head...], .workerPass,
      breach)
  }

  private func checkTask<Node>(
    _ task: DraftTask<Node>, beside others: ArraySlice<DraftTask<Node>>, limits: FaultPlan.Limits,
    contextLength: Int, _ kind: BrokenRule.Kind
  ) throws {
    for other in others where other.session == task.session && other.path == task.path {
      throw BrokenRule(kind, "one node twice in a pass")
    }
    try Self.require(task.path.count <= limits.maxDepth, kind, "drafts \(task.path.count) below the root")
    try Self.require(
      task.skipped + task.prefix.count + task.path.count < contextLength, kind,
      "drafts beyond the model's context")
    try Self.require(task.candidates == limits.candidates, kind, "asks for \(task.candidates) candidates")
  }

  // MARK: Ends

  /// A session is over: the text is complete, and the counts add up.
  func checkEnd(_ session: Session, _ summary: SessionSummary, at controller: Controller) throws {
    let finish = summary.reason
    let expected: SessionMachine.FinishReason
    if session.plan.prompt.count >= session.contextLength {
      expected = .contextFull
    } else if session.plain.last == ScriptedModel.endToken {
      expected = .endOfText
    } else {
      expected = session.plain.count >= session.plan.maxTokens ? .length : .contextFull
    }
    let statistics = summary.statistics
    switch finish {
    case .cancelled:
      try Self.require(session.isCancelledByPlan, .ending, "\(session.id) was cancelled by nobody")
    case .failed:
      try Self.require(
        session.mayFail, .ending, "\(session.id) failed though no pass of it alone did")
    default:
      try Self.require(
        finish == expected, .ending, "\(session.id) ends with \(finish), not \(expected)")
      try Self.require(
        session.text.dropFirst(session.plan.prompt.count).elementsEqual(session.plain), .text,
        "\(session.id) ends before its text")
      try Self.require(
        statistics.steps == session.targetPasses, .counts,
        "\(statistics.steps) steps, \(session.targetPasses) passes")
    }
    for connection in controller.attached where connection.told[session.id] != nil {
      throw BrokenRule(.controllerMessage, "\(connection.id!) is not told of the end of \(session.id)")
    }
    try Self.require(!session.isRunning, .cells, "\(session.id) is over, and nothing of it is released")
    try Self.require(
      summary.promptTokens == session.plan.prompt.count && summary.preemptions == session.preemptions
        && summary.cachedPromptTokens == session.reused
        && summary.timeToFirstToken == session.firstToken.map { session.started.duration(to: $0) }, .counts,
      "the summary of \(session.id) is not what happened: \(summary)")
    let guessed = statistics.acceptedRemote + statistics.acceptedLocal + statistics.acceptedLookup
    try Self.require(
      statistics.tokens == session.emitted && guessed + statistics.fromTarget == statistics.tokens, .counts,
      "token counts do not add up: \(statistics)")
    try Self.require(
      statistics.localExpansions == session.localExpansions, .counts,
      "local drafting is miscounted: \(statistics)")
    try Self.require(
      statistics.usedWorkerExpansions + statistics.droppedExpansions <= statistics.workerExpansions
        && statistics.lateExpansions + statistics.droppedExpansions <= statistics.workerExpansions
        && statistics.bubbles + statistics.pausedSteps <= statistics.steps + 1
        && (statistics.pausedSteps == 0 || session.plan.minGain > 0)
        && (statistics.acceptedLookup == 0 || session.plan.lookupLength > 0), .counts,
      "counts contradict each other: \(statistics)")
  }

  /// Nothing will happen any more: nothing is left over.
  func conclude() throws {
    try Self.require(isOver, .ending, "\(pending + running) sessions never end")
    for controller in controllers where controller.isUp {
      let machine = controller.machine
      try Self.require(
        machine.runningCount == 0 && machine.waitingCount == 0 && machine.claimedCells == 0
          && controller.releasing.isEmpty && controller.cache.openSessions.isEmpty, .cells,
        "controller \(controller.index) is idle with \(machine.claimedCells) cells claimed, and "
          + "\(controller.cache.openSessions) in its cache")
    }
    for (index, worker) in workers.enumerated() {
      guard let connection = worker.connection, connection.isOpenAtController, !connection.isTampered,
        !connection.down.isBroken, !worker.plan.isHostile
      else { continue }
      try Self.require(
        worker.machine.sessionCount == 0 && worker.held.isEmpty, .ending, "worker \(index) keeps a session")
    }
  }
}
