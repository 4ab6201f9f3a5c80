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

  func checkCommit(
    _ session: Session, _ actions: [SessionMachine.Action],
    _ expected: [(token: TokenID, isGuess: Bool)]
  ) throws {
    var emissions: [[SessionMachine.CommittedToken]] = []
    for case .emit(let tokens) in actions { emissions.append(tokens) }
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
      case .home:
        try Self.require(
          guessed & Self.guessedAtHome != 0, .commit, "nobody guessed \(token.position) at home")
      case .remote:
        try Self.require(
          guessed & Self.guessedByWorker != 0 || session.hasHeardLies, .commit,
          "no worker guessed \(token.position)")
      }
    }
  }

  /// No position twice, none skipped, and the text so far is the plain text's beginning.
  func checkText(_ session: Session, _ tokens: [SessionMachine.CommittedToken]) throws {
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
    try Self.require(
      session.machine.tokens == session.text, .text,
      "the machine's tokens are not the prompt and what was emitted")
  }

  func checkSet(_ session: Session, prefix: [TokenID], _ set: SessionMachine.VerificationSet) throws {
    try Self.require(session.underWay == nil, .verification, "\(session.id) verifies twice at once")
    if session.plan.draftsBefore != nil {
      try Self.require(session.homeUnderWay == nil, .homeDraft, "drafts at home beside a verification")
    }
    try Self.require(prefix == session.text, .verification, "verifies below a prefix that is not the text")
    try Self.require(
      set.tokens.count == set.parents.count, .verification, "tokens and parents differ in number")
    try Self.require(
      set.tokens.count <= session.plan.maxVerified, .verification, "\(set.tokens.count) nodes in one set")
    let room = min(
      session.plan.maxTokens - session.emitted, session.plan.contextLength - prefix.count)
    var depths: [Int] = []
    for (node, parent) in set.parents.enumerated() {
      try Self.require(
        parent >= -1 && parent < node, .verification, "node \(node) precedes its parent \(parent)")
      depths.append(parent < 0 ? 1 : depths[Int(parent)] + 1)
      try Self.require(
        depths[node] < room, .verification, "node \(node) is too deep to be committed with a successor")
      for other in 0..<node where set.parents[other] == parent && set.tokens[other] == set.tokens[node] {
        throw BrokenRule(.verification, "node \(node) is twice in the set")
      }
      try Self.require(
        (0..<TokenID(plan.script.vocabularySize)).contains(set.tokens[node]), .verification,
        "a token without meaning")
    }
  }

  /// Nobody waits for the network: a session that has begun and is not over computes.
  func checkProgress(_ session: Session) throws {
    guard session.isStarted, !session.isOver else { return }
    try Self.require(
      session.underWay != nil || session.plan.draftsBefore != nil && session.homeUnderWay != nil, .waiting,
      "\(session.id) stands still")
  }

  // MARK: Drafting

  func checkHome(_ session: Session, _ tasks: [DraftTask<SessionMachine.NodeID>]) throws {
    let limits = session.plan.homeLimits
    try Self.require(session.homeUnderWay == nil, .homeDraft, "\(session.id) drafts at home twice at once")
    try Self.require(session.plan.hasHomeDraft, .homeDraft, "drafts at home without a model")
    try Self.require(
      session.plan.homePolicy != .never, .homeDraft, "drafts at home though told never to")
    if let failed = session.plan.homeFailsAt {
      try Self.require(session.homePasses <= failed, .homeDraft, "drafts at home after the model failed")
    }
    try checkTasks(tasks, limits: limits, contextLength: session.plan.contextLength, .homeDraft)
    for task in tasks {
      try Self.require(
        task.prefix == session.text, .homeDraft, "drafts below a prefix that is not the text")
      try Self.require(
        session.emitted + task.path.count + 2 <= session.plan.maxTokens, .homeDraft,
        "drafts a guess at home that no verification can use")
    }
  }

  func checkPass(_ index: Int, _ tasks: [DraftTask<WorkerMachine.NodeID>]) throws {
    let worker = workers[index]
    try Self.require(worker.pass == nil, .workerPass, "worker \(index) runs two passes at once")
    try checkTasks(
      tasks, limits: worker.plan.limits, contextLength: worker.plan.contextLength, .workerPass)
    for task in tasks {
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

  private func checkTasks<Node>(
    _ tasks: [DraftTask<Node>], limits: FaultPlan.Limits, contextLength: Int, _ kind: BrokenRule.Kind
  ) throws {
    try Self.require(
      (1...limits.passWidth).contains(tasks.count), kind, "\(tasks.count) nodes in one pass")
    for (index, task) in tasks.enumerated() {
      for other in tasks[..<index] where other.session == task.session && other.path == task.path {
        throw BrokenRule(kind, "one node twice in a pass")
      }
      try Self.require(task.path.count <= limits.maxDepth, kind, "drafts \(task.path.count) below the root")
      try Self.require(
        task.prefix.count + task.path.count < contextLength, kind, "drafts beyond the model's context")
      try Self.require(task.candidates == limits.candidates, kind, "asks for \(task.candidates) candidates")
    }
  }

  // MARK: Ends

  /// A session is over: the text is complete, and the counts add up.
  func checkEnd(_ session: Session, _ finish: SessionMachine.FinishReason) throws {
    let expected: SessionMachine.FinishReason
    if session.plan.prompt.count >= session.plan.contextLength {
      expected = .contextFull
    } else if session.plain.last == ScriptedModel.endToken {
      expected = .endOfText
    } else {
      expected = session.plain.count >= session.plan.maxTokens ? .length : .contextFull
    }
    let statistics = session.machine.statistics
    switch finish {
    case .cancelled:
      try Self.require(session.isCancelledByPlan, .ending, "\(session.id) was cancelled by nobody")
    case .failed:
      try Self.require(
        session.plan.targetFailsAt == session.targetPasses - 1, .ending,
        "\(session.id) failed though no pass did")
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
    for connection in controllers[session.controller].attached where connection.told[session.id] != nil {
      throw BrokenRule(.controllerMessage, "\(connection.id!) is not told of the end of \(session.id)")
    }
    let guessed = statistics.acceptedRemote + statistics.acceptedHome + statistics.acceptedLookup
    try Self.require(
      statistics.tokens == session.emitted && guessed + statistics.fromTarget == statistics.tokens, .counts,
      "token counts do not add up: \(statistics)")
    try Self.require(
      statistics.homeExpansions == session.homeExpansions, .counts,
      "home drafting is miscounted: \(statistics)")
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
    for (index, worker) in workers.enumerated() {
      guard let connection = worker.connection, connection.isOpenAtController, !connection.isTampered,
        !connection.down.isBroken, !worker.plan.isHostile
      else { continue }
      try Self.require(
        worker.machine.sessionCount == 0 && worker.held.isEmpty, .ending, "worker \(index) keeps a session")
    }
  }
}
