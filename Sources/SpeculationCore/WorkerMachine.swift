/// The worker's decisions: which nodes of which sessions the next draft pass expands, and what is sent.
///
/// A value without clock, I/O or threads. Every event is a method that changes the state and returns the
/// actions the driver is to carry out, in order. At most one draft pass is under way at any time.
///
/// A pass either guesses or reads: contexts that are too long to be read at once are read piece by piece beside the
/// guesses, see `ContextReading`.
///
/// Events: `open`, `commit`, `close`, `passFinished`, `readingFinished`, `passFailed`, `closeAll`.
public struct WorkerMachine: Sendable {
  /// A node of the pass under way.
  private struct PassNode {
    var session: SessionID
    var incarnation: Int64
    var node: NodeID
    /// What it is guessed from, and how long that is.
    var stage: UInt8
    var length: Int
  }

  public let configuration: Configuration
  private var sessions = SmallDictionary<SessionID, Session>()
  /// Whether a pass is under way, be it to guess or to read.
  public private(set) var isDrafting = false
  private(set) var isDraining = false
  /// The tasks of the pass under way.
  private var pass: [PassNode] = []
  /// What the pass under way reads; nil for a pass that guesses.
  private var readingPass: (session: SessionID, incarnation: Int64, stage: UInt8)?
  /// Candidates for the next pass; kept for its memory.
  private var best: [(session: Int, node: RankedNode)] = []
  private var nextIncarnation: Int64 = 0
  public private(set) var cost: CostCurve
  private var match = MatchEstimator()
  private var continuation = ContinuationEstimate()
  private var surprises = SurpriseRate()
  private(set) var readingCost: ReadingCost
  private var turns = ReadingTurns()

  /// - Parameter cost: measured d(b); empty when unknown
  public init(configuration: Configuration, cost: CostCurve = CostCurve()) {
    precondition(configuration.limits.problem == nil, configuration.limits.problem!)
    self.configuration = configuration
    self.cost = cost
    readingCost = ReadingCost(measured: configuration.readingCost, draftCost: cost)
  }

  public var sessionCount: Int { sessions.count }

  /// Number of nodes in a session's tree; nil for an unknown session.
  public func nodeCount(of session: SessionID) -> Int? { sessions[session]?.tree.count }

  // MARK: Events from the controller

  /// A controller opens a session. Opening one that is open already is a violation. A controller that does not say how
  /// many nodes it holds does not understand `Expansion.forgotten` either.
  public mutating func open(
    _ id: SessionID, _ opening: ControllerMessage.Opening
  ) throws(ProtocolViolation) -> [Action] {
    guard !sessions.contains(id) else { throw ProtocolViolation("\(id) was opened twice") }
    let (context, maxNodes) = (opening.context, opening.maxNodes)
    guard let last = context.last else { throw ProtocolViolation("\(id) was opened with an empty context") }
    if let problem = opening.sampling.problem { throw ProtocolViolation("\(id): \(problem)") }
    if let maxNodes, maxNodes < DraftLimits.treeSizes.lowerBound {
      throw ProtocolViolation(
        "\(id) was opened for \(maxNodes) nodes, fewer than \(DraftLimits.treeSizes.lowerBound)")
    }
    guard sessions.count < configuration.maxSessions else {
      return [.send(.declined(id, reason: "all \(configuration.maxSessions) sessions are taken"))]
    }
    guard context.count < configuration.contextLength else {
      return [.send(.declined(id, reason: contextIsFull(context.count)))]
    }
    sessions.append(
      id,
      Session(
        tree: TokenTree(
          root: last, position: context.count - 1, annotation: Note(remoteID: 0, confidence: 1)),
        committed: context, sampling: opening.sampling, incarnation: nextIncarnation,
        maxNodes: min(configuration.limits.maxNodes, maxNodes ?? .max), mayForget: maxNodes != nil,
        reading: ContextReading(count: context.count, cost: readingCost)))
    nextIncarnation += 1
    var actions: [Action] = []
    startPass(&actions)
    return actions
  }

  /// The target chose `tokens`; the last one is at `position`. A commit for a session that is not open is a
  /// benign race (the worker declined it) and is ignored.
  public mutating func commit(
    _ id: SessionID, _ commit: ControllerMessage.Commit
  ) throws(ProtocolViolation) -> [Action] {
    guard let index = sessions.index(of: id) else { return [] }
    let (position, tokens) = (commit.position, commit.tokens)
    guard !tokens.isEmpty else { throw ProtocolViolation("\(id): a commit without tokens") }
    let expected = sessions.values[index].tree.rootPosition + tokens.count
    guard position == expected else {
      throw ProtocolViolation("\(id): a commit ends at position \(position), not \(expected)")
    }
    sessions.values[index].committed.append(contentsOf: tokens)
    guard sessions.values[index].committed.count < configuration.contextLength else {
      return [.send(.declined(id, reason: contextIsFull(position + 1)))] + remove(id)
    }
    sessions.values[index].follow(tokens, learning: &match)
    surprises.committed(
      isSurprise: !commit.pause && !sessions.values[index].tree.isExpanded(sessions.values[index].tree.root))
    sessions.values[index].isPaused = commit.pause
    var actions: [Action] = []
    startPass(&actions)
    return actions
  }

  /// The controller is done with a session. Unknown sessions are ignored.
  public mutating func close(_ id: SessionID) -> [Action] {
    guard sessions.contains(id) else { return [] }
    var actions = remove(id)
    startPass(&actions)
    return actions
  }

  /// The controller is gone, and all its sessions with it: those that it has, where there are several controllers.
  public mutating func closeAll(where isGone: (SessionID) -> Bool = { _ in true }) -> [Action] {
    let ids = sessions.keys.filter(isGone)
    var actions = ids.flatMap { remove($0) }
    startPass(&actions)
    return actions
  }

  /// Takes no more sessions from now on; those that are open go on until their controllers close them.
  public mutating func drain() { isDraining = true }

  // MARK: Events from the engine

  /// The pass under way is done: one distribution for each task, in order.
  ///
  /// - Parameters:
  ///   - duration: how long the engine computed
  ///   - passTokens: how many new tokens the pass ran through the model, prefill included; nil when no more
  ///     than the nodes themselves
  public mutating func passFinished(
    _ distributions: [Distribution], duration: Duration, passTokens: Int? = nil
  ) -> [Action] {
    precondition(isDrafting && readingPass == nil, "a pass finished that was not started")
    precondition(pass.count == distributions.count, "a pass must answer every task")
    isDrafting = false
    cost.observe(size: passTokens ?? pass.count, duration: duration)
    // Without what a prompt took.
    surprises.drafted(seconds: min(duration.inSeconds, cost.seconds(for: pass.count) ?? .infinity))
    turns.guessed(duration)
    var actions: [Action] = []
    actions.reserveCapacity(pass.count + 1)
    for (turn, distribution) in distributions.enumerated() {
      let task = pass[turn]
      // Closed or pruned while it was computed: nobody can use it.
      guard let index = sessions.index(of: task.session),
        sessions.values[index].incarnation == task.incarnation
      else { continue }
      sessions.values[index].reading.guessed(from: task.stage, length: task.length)
      guard sessions.values[index].tree.contains(task.node) else { continue }
      let limits = configuration.limits
      let candidates = distribution.candidates(limits.candidates, minProbability: limits.minProbability)
      continuation.observe(candidates.first.map { match.probability(confidence: $0.probability) })
      let expansion = sessions.values[index].attach(
        candidates, entropy: distribution.entropy, to: task.node, match: match)
      actions.append(.send(.expansion(task.session, expansion)))
    }
    startPass(&actions)
    return actions
  }

  /// The pass that read is done.
  ///
  /// - Parameters:
  ///   - cached: tokens of the task that the engine has now, whoever they were read for
  ///   - passTokens: tokens that were evaluated
  ///   - duration: how long the engine computed
  public mutating func readingFinished(cached: Int, passTokens: Int, duration: Duration) -> [Action] {
    precondition(isDrafting, "a pass finished that was not started")
    guard let done = readingPass else { preconditionFailure("a pass read that was to guess") }
    isDrafting = false
    readingPass = nil
    readingCost.observe(tokens: passTokens, duration: duration)
    turns.read(duration)
    var actions: [Action] = []
    if let index = sessions.index(of: done.session), sessions.values[index].incarnation == done.incarnation {
      let count = sessions.values[index].committed.count
      let gone = sessions.values[index].reading.didRead(
        done.stage, cached: max(0, cached), count: count, capacity: configuration.excerptTokens,
        cost: readingCost)
      actions += gone.map { .discard(done.session.sequence($0)) }
    }
    startPass(&actions)
    return actions
  }

  /// The pass under way failed: its sessions are given up, the others go on.
  public mutating func passFailed(reason: String) -> [Action] {
    precondition(isDrafting, "a pass failed that was not started")
    isDrafting = false
    var concerned = pass.map { ($0.session, $0.incarnation) }
    if let reading = readingPass { concerned = [(reading.session, reading.incarnation)] }
    readingPass = nil
    var actions: [Action] = []
    for (id, incarnation) in concerned where sessions[id]?.incarnation == incarnation {
      actions.append(.send(.declined(id, reason: reason)))
      actions += remove(id)
    }
    startPass(&actions)
    return actions
  }

  // MARK: Private

  /// Forgets a session that is open.
  private mutating func remove(_ id: SessionID) -> [Action] {
    guard let session = sessions.remove(id) else { return [] }
    return session.reading.excerpts.map { .discard(id.sequence($0)) } + [.release(id)]
  }

  private func contextIsFull(_ tokens: Int) -> String {
    "\(tokens) tokens do not fit the draft model's context of \(configuration.contextLength)"
  }

  /// Starts the next pass, if there is something to do and none is under way: over the best nodes of all sessions,
  /// or one that reads.
  private mutating func startPass(_ actions: inout [Action]) {
    guard !isDrafting else { return }
    let limits = configuration.limits
    let reading = nextReading()
    if let reading, reading.limit == 0 {
      // Whoever has to wait for this waits for no computing.
      actions.append(read(reading))
      return
    }
    best.removeAll(keepingCapacity: true)
    let contributors = gatherBest()
    if let reading, turns.isReadingsTurn(best: best.lazy.map(\.node.probability).max()) {
      putBack(from: 0)
      actions.append(read(reading))
      return
    }
    guard !best.isEmpty else { return }
    if contributors > 1 {
      // Equals stay in the order of their sessions' opening and their nodes' creation: the sort is stable.
      best.sort { $0.node.probability > $1.node.probability }
    }
    let width = limits.width(
      probabilities: best.lazy.map(\.node.probability), cost: cost, continuation: continuation.mean,
      surprises: surprises.perSecond)
    putBack(from: width)
    isDrafting = true
    pass.removeAll(keepingCapacity: true)
    var tasks: [DraftTask<NodeID>] = []
    tasks.reserveCapacity(width)
    for (index, ranked) in best[..<width] {
      let task = task(for: NodeID(serial: ranked.serial), ofSessionAt: index)
      pass.append(
        PassNode(
          session: task.session, incarnation: sessions.values[index].incarnation, node: task.node,
          stage: task.stage, length: task.prefix.count))
      tasks.append(task)
    }
    actions.append(.expand(tasks))
  }

  /// Takes the candidates of all sessions.
  ///
  /// - Returns: how many sessions have any
  private mutating func gatherBest() -> Int {
    var contributors = 0
    var readsALot = false
    for index in sessions.values.indices where !sessions.values[index].isPaused {
      let count = sessions.values[index].committed.count
      guard let part = sessions.values[index].reading.partToGuessFrom(count: count, cost: readingCost) else {
        continue
      }
      // One text that is new to the engine in a pass: each delays the guesses for all others.
      let isNew = part.unread(of: count) > ReadingCost.leastPiece
      if isNew && readsALot { continue }
      let before = best.count
      sessions.values[index].takeBest(configuration) { best.append((index, $0)) }
      guard best.count > before else { continue }
      contributors += 1
      readsALot = readsALot || isNew
    }
    return contributors
  }

  private mutating func putBack(from start: Int) {
    for (session, node) in best[start...] { sessions.values[session].open.putBack(node) }
  }

  private func task(for node: NodeID, ofSessionAt index: Int) -> DraftTask<NodeID> {
    // Field by field: a session is too large to be copied for each node.
    let part =
      sessions.values[index].reading.partToGuessFrom(
        count: sessions.values[index].committed.count, cost: readingCost) ?? .whole
    return DraftTask(
      session: sessions.keys[index], node: node, prefix: part.tokens(of: sessions.values[index].committed),
      path: sessions.values[index].tree.path(to: node), sampling: sessions.values[index].sampling,
      candidates: configuration.limits.candidates, skipped: part.skipped, stage: part.stage)
  }

  /// The reading that is done next: that of the session that is soonest done with it, since it profits first. Of
  /// equals the first that was opened.
  private func nextReading() -> (index: Int, part: ContextReading.Part, limit: Int)? {
    var best: (index: Int, part: ContextReading.Part, unread: Int)?
    for index in sessions.values.indices {
      if sessions.values[index].reading.isUnknown { return (index, .whole, 0) }
      let count = sessions.values[index].committed.count
      guard let part = sessions.values[index].reading.partToRead(count: count, cost: readingCost) else {
        continue
      }
      let unread = part.unread(of: count)
      if best.map({ unread < $0.unread }) ?? true { best = (index, part, unread) }
    }
    return best.map { ($0.index, $0.part, readingCost.piece(draftCost: cost)) }
  }

  private mutating func read(_ reading: (index: Int, part: ContextReading.Part, limit: Int)) -> Action {
    let session = sessions.values[reading.index]
    isDrafting = true
    readingPass = (sessions.keys[reading.index], session.incarnation, reading.part.stage)
    return .read(
      ReadingTask(
        session: sessions.keys[reading.index], stage: reading.part.stage,
        tokens: reading.part.tokens(of: session.committed), limit: reading.limit))
  }
}

extension WorkerMachine {
  /// Everything that must hold between events; the first breach as a sentence. For tests. O(n·c).
  package var brokenInvariant: String? {
    for (id, session) in zip(sessions.keys, sessions.values) {
      if let broken = session.tree.brokenInvariant { return "\(id): \(broken)" }
      if session.tree.rootPosition != session.committed.count - 1 {
        return "\(id): the root is at \(session.tree.rootPosition) of \(session.committed.count) tokens"
      }
      if session.tree.count > session.maxNodes { return "\(id): \(session.tree.count) nodes" }
      if let broken = brokenOrder(id, session) { return "\(id): \(broken)" }
      if let broken = session.reading.brokenInvariant(count: session.committed.count) {
        return "\(id): \(broken)"
      }
    }
    return nil
  }

  /// The nodes kept from pass to pass must be those that a traversal of the whole tree finds.
  private func brokenOrder(_ id: SessionID, _ session: Session) -> String? {
    let bounds = session.bounds(configuration)
    let underWay = isDrafting && readingPass == nil ? pass.filter { $0.session == id }.map(\.node) : []
    let count = configuration.limits.passWidth
    var open = session.open
    var kept: [Int64] = []
    open.takeBest(count + underWay.count, of: session.tree, within: bounds) { ranked in
      if !underWay.contains(where: { $0.serial == ranked.serial }) { kept.append(ranked.serial) }
    }
    let found = session.tree.frontier(
      limit: count, minPathProbability: bounds.minPathProbability, maxDepth: bounds.maxDepth,
      lost: \.lost
    ) { !underWay.contains($0) }.filter { $0.rank > bounds.floor }.map(\.node.serial)
    return kept.prefix(count).elementsEqual(found) ? nil : "keeps \(kept) as its best nodes, not \(found)"
  }

  /// The tokens of a session that the worker takes for committed; nil for an unknown session. For tests.
  package func committedTokens(of session: SessionID) -> [TokenID]? { sessions[session]?.committed }

  /// Whether a node was given up and the controller was not told of it yet. For tests.
  package func hasForgotten(_ id: RemoteNodeID, of session: SessionID) -> Bool {
    sessions[session]?.forgotten.contains(id) ?? false
  }

  /// The announced nodes of a session by id: tokens below the root, empty for the root itself. For tests.
  package func announcedNodes(of session: SessionID) -> [RemoteNodeID: [TokenID]] {
    var result: [RemoteNodeID: [TokenID]] = [:]
    guard let tree = sessions[session]?.tree else { return result }
    tree.visitBestFirst { node, _ in
      let id = tree.annotation(of: node).remoteID
      if id != 0 { result[id] = tree.path(to: node) }
      return .descend
    }
    return result
  }
}
