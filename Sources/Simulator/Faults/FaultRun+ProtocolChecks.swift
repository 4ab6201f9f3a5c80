import SpeculationCore

/// What both ends may say: the rules of docs/protocol.md, read apart from the machines.
extension FaultRun {
  // MARK: What a controller says

  /// What a worker is told is the text, without gaps from its opening on.
  func checkMessage(
    _ session: Session, _ message: ControllerMessage, to worker: WorkerID
  ) throws -> Connection {
    guard let connection = controllers[session.controller].attached.first(where: { $0.id == worker }) else {
      throw BrokenRule(.controllerMessage, "writes to \(worker), which is not attached")
    }
    switch message {
    case .open(let id, let opening):
      try Self.require(
        id == session.id && connection.told[id] == nil, .controllerMessage, "opens \(id) twice at \(worker)")
      try Self.require(
        opening.context == session.text, .controllerMessage, "opens with a context that is not the text")
      try Self.require(
        opening.sampling == session.sampling, .controllerMessage, "opens with other sampling settings")
      try Self.require(
        opening.maxNodes == session.plan.maxTreeNodes, .controllerMessage, "opens for another number of nodes"
      )
      connection.told[id] = opening.context.count - 1
      connection.opened[id] = session
    case .commit(let id, let commit):
      guard id == session.id, let last = connection.told[id] else {
        throw BrokenRule(.controllerMessage, "commits before opening")
      }
      let (position, tokens, pause) = (commit.position, commit.tokens, commit.pause)
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
      forget(id, on: connection)
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
      try checkCandidates(expansion.distribution, of: Distribution(entropy: said.entropy, candidates: kept))
    }
    try checkForgotten(expansion, announced)
    announced.expanded.insert(hash)
    for candidate in expansion.distribution.candidates {
      var child = hash
      child.append(candidate.token)
      announced.append(
        AnnouncedNodes.Node(hash: child, length: length + 1, parent: parent, token: candidate.token))
    }
    return session == nil ? nil : Note(announced: announced)
  }

  /// What a draft said, in its order; a full tree leaves some out.
  private func checkCandidates(_ sent: Distribution, of said: Distribution) throws {
    var rest = said.candidates[...]
    let isInOrder = sent.candidates.allSatisfy { candidate in
      guard let index = rest.firstIndex(of: candidate) else { return false }
      rest = rest[(index + 1)...]
      return true
    }
    try Self.require(
      sent.entropy == said.entropy && isInOrder, .workerMessage, "says \(sent) where its draft said \(said)")
  }

  /// What is given up was there, goes with all below it, and is never spoken of again.
  private func checkForgotten(_ expansion: Expansion, _ announced: AnnouncedNodes) throws {
    for id in expansion.forgotten {
      try Self.require(
        (1..<announced.nextID).contains(id) && announced.forgotten.insert(id).inserted, .workerMessage,
        "gives up \(id), which it did not announce or gave up before")
    }
    if case .node(let node) = expansion.site {
      try Self.require(
        !announced.forgotten.contains(node), .workerMessage, "expands \(node), which it has given up")
    }
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
    guard let said = connection.said[session.id] else { return nil }
    if expansion.firstChild != said.nextID { return "children from \(expansion.firstChild) on" }
    let known = expansion.knownPosition
    if known < said.known || known >= session.text.count { return "position \(known)" }
    switch expansion.site {
    case .root(let position): if position != known { return "a root at \(position)" }
    case .node(let node): if node < 1 || node >= said.nextID { return "node \(node)" }
    }
    for (index, id) in expansion.forgotten.enumerated()
    where id < 1 || id >= said.nextID || index > 0 && id <= expansion.forgotten[index - 1] {
      return "gives up \(id)"
    }
    connection.said[session.id] = (
      said.nextID + RemoteNodeID(candidates.count), known, said.forgotten.union(expansion.forgotten)
    )
    return nil
  }

  /// The rules for what a controller may say.
  func breach(of message: ControllerMessage, at worker: Worker) -> String? {
    switch message {
    case .open(let id, let opening):
      if let nodes = opening.maxNodes, nodes < 16 { return "\(nodes) nodes" }
      if worker.held[id] != nil { return "\(id) opened twice" }
      if opening.context.isEmpty { return "an empty context" }
      return opening.sampling.problem
    case .commit(let id, let commit):
      guard let held = worker.held[id] else { return nil }
      if commit.tokens.isEmpty { return "a commit without tokens" }
      return commit.position == held.position + commit.tokens.count
        ? nil : "a commit up to \(commit.position)"
    case .close: return nil
    }
  }

  /// A breach disconnects, and nothing else does.
  func checkAnswer(
    _ actions: [ServingMachine.Action], from connection: Connection, to expansion: Expansion, breach: String?,
    isHonest: Bool, mayHold capacity: Int, announced: Int
  ) throws {
    let isDisconnected = actions.contains {
      if case .disconnect(connection.id!, _, _) = $0 { true } else { false }
    }
    if let breach {
      try Self.require(!isHonest, .workerMessage, "an honest worker says \(breach): \(expansion)")
      try Self.require(
        isDisconnected, .protocolRule, "a breach of the protocol passed, \(breach): \(expansion)")
    } else if isDisconnected, connection.expansions < Self.expansionsOfAUselessWorker {
      // Who announces node after node and never follows a commit is a breach of its own.
      connection.mayBeSentAway = true
      try Self.require(
        !isHonest && announced > capacity, .protocolRule, "disconnected for no reason: \(actions)")
    }
  }
}
