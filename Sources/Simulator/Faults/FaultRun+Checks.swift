import SpeculationCore

/// The checkers. Each knows the rule it checks, and nothing of how the machines keep it.
extension FaultRun {
  // MARK: Steps

  /// What a target pass has to commit: the longest chain of choices through the set, then one choice more.
  func expectedCommit(
    _ session: Session, _ set: ControllerMachine.VerificationSet, _ verdicts: [ControllerMachine.Verdict]
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
    _ session: Session, _ actions: [ControllerMachine.Action],
    _ expected: [(token: TokenID, isGuess: Bool)]
  ) throws {
    var emissions: [[ControllerMachine.CommittedToken]] = []
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
  func checkText(_ session: Session, _ tokens: [ControllerMachine.CommittedToken]) throws {
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

  func checkSet(_ session: Session, prefix: [TokenID], _ set: ControllerMachine.VerificationSet) throws {
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

  func checkHome(_ session: Session, _ tasks: [DraftTask<ControllerMachine.NodeID>]) throws {
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
        task.prefix.count == held.position + 1, .workerPass,
        "drafts below \(task.prefix.count) tokens, knowing \(held.position + 1)")
      if let session = held.session, !isMisled(worker) {
        try Self.require(
          session.text.starts(with: task.prefix), .workerPass, "drafts below a wrong prefix")
      }
    }
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

  // MARK: What a controller says

  /// What a worker is told is the text, without gaps from its opening on.
  func checkMessage(
    _ session: Session, _ message: ControllerMessage, to worker: WorkerID
  ) throws -> Connection {
    guard let connection = controllers[session.controller].attached.first(where: { $0.id == worker }) else {
      throw BrokenRule(.controllerMessage, "writes to \(worker), which is not attached")
    }
    switch message {
    case .open(let id, let context, let sampling):
      try Self.require(
        id == session.id && connection.told[id] == nil, .controllerMessage, "opens \(id) twice at \(worker)")
      try Self.require(
        context == session.text, .controllerMessage, "opens with a context that is not the text")
      try Self.require(
        sampling == session.sampling, .controllerMessage, "opens with other sampling settings")
      connection.told[id] = context.count - 1
      connection.opened[id] = session
    case .commit(let id, let position, let tokens, let pause):
      guard id == session.id, let last = connection.told[id] else {
        throw BrokenRule(.controllerMessage, "commits before opening")
      }
      try Self.require(
        position == last + tokens.count, .controllerMessage, "a commit ends at \(position), after \(last)")
      try Self.require(
        position < session.text.count && session.text[(last + 1)...position].elementsEqual(tokens),
        .controllerMessage, "tells \(worker) tokens that are not the text")
      try Self.require(
        !pause || session.plan.minGain > 0, .controllerMessage, "pauses without a gain to ask for")
      try Self.require(
        !pause || session.hasAnswer, .controllerMessage, "judges drafters before they have said anything")
      connection.told[id] = position
    case .close(let id):
      try Self.require(
        id == session.id && connection.told[id] != nil, .controllerMessage,
        "closes \(id), which \(worker) does not have")
      connection.told[id] = nil
      connection.said[id] = nil
    }
    return connection
  }

  /// After a step every worker that drafts for the session knows all of the text; after the end none has it.
  func checkEverybodyWasTold(_ session: Session) throws {
    for connection in controllers[session.controller].attached {
      guard let position = connection.told[session.id] else { continue }
      try Self.require(
        session.finish == nil, .controllerMessage, "\(connection.id!) is not told of the end")
      try Self.require(
        position == session.text.count - 1, .controllerMessage,
        "\(connection.id!) was told up to \(position) of \(session.text.count) tokens")
    }
  }

  // MARK: What a worker says

  /// An answer to an opening: taken, or declined for one of two reasons.
  func checkOpening(
    _ worker: Worker, _ id: SessionID, _ context: [TokenID], _ actions: [WorkerMachine.Action]
  ) throws {
    let fits = worker.held.count < worker.plan.maxSessions && context.count < worker.plan.contextLength
    let isDeclined = actions.contains {
      if case .send(.declined(id, _)) = $0 { true } else { false }
    }
    try Self.require(
      fits != isDeclined && fits == (worker.machine.nodeCount(of: id) != nil), .workerMessage,
      "an opening of \(context.count) tokens beside \(worker.held.count) sessions is "
        + (isDeclined ? "declined" : "taken"))
  }

  /// A message of an honest worker: names nodes as the protocol says, and repeats what its draft said.
  ///
  /// - Returns: what the message is about; nil where the worker was told lies and cannot know
  func checkMessage(
    _ message: WorkerMessage, from worker: Worker, answering openings: [SessionID: Int]
  ) throws -> Note? {
    guard case .expansion(let id, let expansion) = message else { return nil }
    guard let held = worker.held[id] else {
      throw BrokenRule(.workerMessage, "an expansion for \(id), which the worker does not hold")
    }
    try Self.require(
      openings[id] == held.serial, .workerMessage,
      "an expansion of another session of the same id, or of none")
    let announced = held.announced
    try Self.require(
      expansion.firstChild == announced.nextID, .workerMessage,
      "announces \(expansion.firstChild), not \(announced.nextID)")
    try Self.require(
      expansion.knownPosition == held.position, .workerMessage,
      "acknowledges \(expansion.knownPosition), knowing \(held.position)")
    let session = isMisled(worker) ? nil : held.session
    var hash = SequenceHash(seed: 0)
    var length = 0
    var parent: RemoteNodeID = 0
    switch expansion.site {
    case .root(let position):
      try Self.require(
        position == held.position, .workerMessage, "expands a root at \(position), not \(held.position)")
      if let session { hash = session.hashes[position + 1] }
      length = position + 1
    case .node(let node):
      try Self.require(
        (1..<announced.nextID).contains(node), .workerMessage, "expands \(node), which it never announced")
      hash = announced[node].hash
      length = announced[node].length
      parent = node
    }
    try Self.require(
      length >= held.position + 1, .workerMessage, "expands a node above the committed text")
    if session != nil {
      guard let said = worker.drafted[hash] else {
        throw BrokenRule(.workerMessage, "an expansion of a node that no draft pass was about")
      }
      let kept = said.candidates.prefix(worker.plan.limits.candidates).filter {
        $0.probability >= Float(worker.plan.limits.minProbability)
      }
      try Self.require(
        expansion.distribution == Distribution(entropy: said.entropy, candidates: kept), .workerMessage,
        "says \(expansion.distribution) where its draft said \(said)")
    }
    announced.expanded.insert(hash)
    for candidate in expansion.distribution.candidates {
      var child = hash
      child.append(candidate.token)
      announced.append(
        AnnouncedNodes.Node(hash: child, length: length + 1, parent: parent, token: candidate.token))
    }
    return session == nil ? nil : Note(announced: announced)
  }

  /// The rules for what a worker may say, as docs/protocol.md has them. Counts what breaks none as said.
  ///
  /// - Returns: the breach; nil when there is none
  func breach(of expansion: Expansion, in session: Session, on connection: Connection) -> String? {
    let candidates = expansion.distribution.candidates
    let entropy = expansion.distribution.entropy
    if !(entropy >= 0 && entropy < .infinity) { return "entropy \(entropy)" }
    if candidates.count > session.plan.maxCandidates { return "\(candidates.count) candidates" }
    var sum: Float = 0
    for (index, candidate) in candidates.enumerated() {
      if !(0..<TokenID(plan.script.vocabularySize)).contains(candidate.token) {
        return "token \(candidate.token)"
      }
      if !(candidate.probability >= 0 && candidate.probability <= 1.001) {
        return "probability \(candidate.probability)"
      }
      for other in candidates[..<index] where other.token == candidate.token { return "a token twice" }
      sum += candidate.probability
    }
    if sum > 1.01 { return "probabilities of \(sum) in all" }
    let said = connection.said[session.id]!
    if expansion.firstChild != said.nextID { return "children from \(expansion.firstChild) on" }
    let known = expansion.knownPosition
    if known < said.known || known >= session.text.count { return "position \(known)" }
    switch expansion.site {
    case .root(let position): if position != known { return "a root at \(position)" }
    case .node(let node): if node < 1 || node >= said.nextID { return "node \(node)" }
    }
    connection.said[session.id] = (said.nextID + RemoteNodeID(candidates.count), known)
    return nil
  }

  /// The rules for what a controller may say.
  func breach(of message: ControllerMessage, at worker: Worker) -> String? {
    switch message {
    case .open(let id, let context, let sampling):
      if worker.held[id] != nil { return "\(id) opened twice" }
      if context.isEmpty { return "an empty context" }
      return sampling.problem
    case .commit(let id, let position, let tokens, _):
      guard let held = worker.held[id] else { return nil }
      if tokens.isEmpty { return "a commit without tokens" }
      return position == held.position + tokens.count ? nil : "a commit up to \(position)"
    case .close: return nil
    }
  }

  /// A breach disconnects, and nothing else does.
  func checkAnswer(
    _ actions: [ControllerMachine.Action], to expansion: Expansion, breach: String?, isHonest: Bool,
    mayHold capacity: Int, announced: Int
  ) throws {
    let isDisconnected = actions.contains { if case .disconnect = $0 { true } else { false } }
    if let breach {
      try Self.require(!isHonest, .workerMessage, "an honest worker says \(breach): \(expansion)")
      try Self.require(
        isDisconnected, .protocolRule, "a breach of the protocol passed, \(breach): \(expansion)")
    } else if isDisconnected {
      // Who announces node after node and never follows a commit is a breach of its own.
      try Self.require(
        !isHonest && announced > capacity, .protocolRule, "disconnected for no reason: \(actions)")
    }
  }

  /// An expansion that fits the text leads to nodes, also when it is late and its node is behind the root.
  func checkPlacement(
    _ note: Note, _ expansion: Expansion, in session: Session, on connection: Connection
  ) throws {
    guard session.machine.statistics.droppedExpansions == 0,
      let mirror = session.machine.mirrored(from: connection.id!)
    else { return }
    counts[.placementChecks] += 1
    for offset in expansion.distribution.candidates.indices {
      let id = expansion.firstChild + RemoteNodeID(offset)
      let node = note.announced[id]
      if node.length <= session.text.count {
        guard session.hashes[node.length] == node.hash else { continue }
        let place = mirror.behind[id] ?? (mirror.live[id] == [] ? session.text.count - 1 : nil)
        try Self.require(
          place == node.length - 1, .mirror,
          "child \(id) of a late expansion is on the text, but was not recognised")
      } else if let path = note.announced.path(to: id, below: session.text.count, of: session.hashes) {
        try Self.require(
          mirror.live[id] == path, .mirror,
          "child \(id) is at \(String(describing: mirror.live[id])), not at \(path)")
      }
    }
  }

  // MARK: After every event

  func checkBounds(_ session: Session) throws {
    try Self.require(
      session.machine.treeCount < session.plan.maxTreeNodes * session.drafters, .bounds,
      "\(session.id) holds \(session.machine.treeCount) nodes")
    try Self.require(
      session.targetPasses <= session.plain.count + 1, .bounds, "\(session.id) takes more steps than tokens")
  }

  func checkBounds(_ index: Int) throws {
    let worker = workers[index]
    try Self.require(
      worker.machine.sessionCount <= worker.plan.maxSessions, .bounds,
      "worker \(index) has \(worker.machine.sessionCount) sessions")
    try Self.require(
      worker.machine.sessionCount == worker.held.count, .ending,
      "worker \(index) has \(worker.machine.sessionCount) sessions, of \(worker.held.count)")
    for id in worker.held.keys {
      let count = worker.machine.nodeCount(of: id) ?? 0
      try Self.require(
        count <= worker.plan.limits.maxNodes, .bounds, "worker \(index) holds \(count) nodes")
    }
  }

  /// A worker with a session whose next token nobody has guessed computes, unless it was told to pause.
  func checkWork(_ index: Int) throws {
    let worker = workers[index]
    guard worker.pass == nil, !isMisled(worker) else { return }
    for (id, held) in worker.held where !held.isPaused {
      guard let session = held.session else { continue }
      try Self.require(
        held.announced.expanded.contains(session.hashes[held.position + 1]), .waiting,
        "worker \(index) rests though nobody has drafted after the last token of \(id)")
    }
  }

  /// Where both ends know a node by an id they mean the same; then, that trees are whole.
  func inspect() throws {
    for controller in controllers {
      for session in controller.sessions {
        for connection in controller.attached { try compare(session, connection) }
      }
    }
    guard plan.asksMachines else { return }
    for (index, worker) in workers.enumerated() where !worker.plan.isHostile {
      if let broken = worker.machine.brokenInvariant {
        throw BrokenRule(.invariant, "worker \(index): \(broken)")
      }
    }
    for controller in controllers {
      for session in controller.sessions {
        if let broken = session.machine.brokenInvariant {
          throw BrokenRule(.invariant, "\(session.id): \(broken)")
        }
      }
    }
  }

  private func compare(_ session: Session, _ connection: Connection) throws {
    guard let mirror = session.machine.mirrored(from: connection.id!) else { return }
    let capacity = 4 * session.plan.maxTreeNodes
    try Self.require(
      mirror.live.count + mirror.behind.count <= capacity + session.text.count, .bounds,
      "the mirror of \(connection.id!) holds \(mirror.live.count) and \(mirror.behind.count) ids")
    let worker = workers[connection.worker]
    guard worker.connection === connection, !worker.plan.isHostile, !connection.isTampered,
      worker.held[session.id]?.session === session,
      let committed = worker.machine.committedTokens(of: session.id)
    else { return }
    counts[.mirrorComparisons] += 1
    let text = session.text
    try Self.require(
      text.starts(with: committed), .mirror,
      "\(connection.id!) takes something for the text that is not")
    let gap = Array(text[committed.count...])
    let announced = worker.machine.announcedNodes(of: session.id)
    for (id, path) in mirror.live.sorted(by: { $0.key < $1.key }) {
      try Self.require(
        announced[id] == gap + path, .mirror,
        "id \(id) of \(connection.id!) in \(session.id): \(gap + path) here, "
          + "\(String(describing: announced[id])) there")
    }
    // And the other way: what the controller has heard of and the text still leads to is not forgotten.
    if session.machine.statistics.droppedExpansions == 0, let heard = connection.said[session.id]?.nextID {
      for (id, path) in announced.sorted(by: { $0.key < $1.key })
      where id < heard && path.count >= gap.count && path.starts(with: gap) {
        try Self.require(
          mirror.live[id] == Array(path[gap.count...]), .mirror,
          "id \(id) of \(connection.id!) in \(session.id) is forgotten: \(path) there")
      }
    }
    for (id, position) in mirror.behind where position >= committed.count - 1 {
      try Self.require(
        announced[id] == Array(text[committed.count..<max(position + 1, committed.count)]), .mirror,
        "id \(id) of \(connection.id!) is not at position \(position) there")
    }
  }

  // MARK: Ends

  /// A session is over: the text is complete, and the counts add up.
  func checkEnd(_ session: Session, _ finish: ControllerMachine.FinishReason) throws {
    let expected: ControllerMachine.FinishReason
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

extension FaultRun.AnnouncedNodes {
  /// Tokens below the end of the text; nil when the node is not below it.
  func path(to node: RemoteNodeID, below length: Int, of hashes: [SequenceHash]) -> [TokenID]? {
    var path: [TokenID] = []
    var id = node
    while id != 0, self[id].length > length {
      path.append(self[id].token)
      id = self[id].parent
    }
    if id != 0 { return self[id].hash == hashes[length] ? path.reversed() : nil }
    // The root of the expansion was the end of the text, or the text has not got there: it is on the text.
    return path.reversed()
  }
}
