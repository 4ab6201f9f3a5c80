import SpeculationCore

/// The checkers. Each knows the rule it checks, and nothing of how the machines keep it.
extension ExchangeDriver {
  /// What a target pass has to commit: the longest chain of choices through the set, then one choice more.
  func expectedCommit(
    _ index: Int, _ set: ControllerMachine.VerificationSet, _ choices: [TokenID]
  ) -> [(token: TokenID, isGuess: Bool)] {
    let limit = sessions[index].plan.configuration.maxTokens - sessions[index].emitted.count
    var result: [(TokenID, Bool)] = []
    var node = -1
    while result.count < limit {
      let token = choices[node + 1]
      let guess = set.tokens.indices.first { set.parents[$0] == Int32(node) && set.tokens[$0] == token }
      result.append((token, guess != nil))
      guard let guess, token != ScriptedModel.endToken else { break }
      node = guess
    }
    return result
  }

  func checkCommit(
    _ actions: [ControllerMachine.Action], _ expected: [(token: TokenID, isGuess: Bool)]
  ) throws {
    guard case .emit(let tokens)? = actions.first else { throw CheckFailure("a step commits nothing") }
    try Self.require(
      tokens.map(\.token) == expected.map(\.token),
      "commits \(tokens.map(\.token)) where the verdicts say \(expected.map(\.token))")
    for (token, guess) in zip(tokens, expected) {
      try Self.require(
        (token.origin != .target) == guess.isGuess, "wrong origin \(token.origin) at \(token.position)")
    }
  }

  /// No position twice, none skipped, and the text so far is the plain text's beginning.
  mutating func checkText(_ index: Int, _ tokens: [ControllerMachine.CommittedToken]) throws {
    let session = sessions[index]
    for (offset, token) in tokens.enumerated() {
      let place = session.emitted.count + offset
      try Self.require(
        token.position == session.plan.prompt.count + place,
        "commits position \(token.position), not \(session.plan.prompt.count + place)")
      try Self.require(place < session.plain.count, "goes on after the end of the plain text")
      try Self.require(
        token.token == session.plain[place],
        "token \(token.token) at \(token.position), plain decoding gives \(session.plain[place])")
    }
    sessions[index].emitted += tokens.map(\.token)
    try Self.require(
      session.machine.tokens == session.plan.prompt + sessions[index].emitted,
      "the machine's tokens are not the prompt and what was emitted")
  }

  func checkSet(_ index: Int, prefix: [TokenID], _ set: ControllerMachine.VerificationSet) throws {
    let session = sessions[index]
    let configuration = session.plan.configuration
    try Self.require(session.underWay == nil, "session \(index) verifies twice at once")
    if case .beforeVerification = configuration.homeSchedule {
      try Self.require(session.homeUnderWay == nil, "drafts at home beside a verification")
    }
    try Self.require(
      prefix == session.plan.prompt + session.emitted, "verifies below a prefix that is not the text")
    try Self.require(set.tokens.count == set.parents.count, "tokens and parents differ in number")
    try Self.require(
      set.tokens.count <= configuration.verification.maxNodes, "\(set.tokens.count) nodes in one set")
    let room = min(
      configuration.maxTokens - session.emitted.count, configuration.contextLength - prefix.count)
    var depths: [Int] = []
    var seen: Set<[Int32]> = []
    for (node, parent) in set.parents.enumerated() {
      try Self.require(parent >= -1 && parent < node, "node \(node) precedes its parent \(parent)")
      depths.append(parent < 0 ? 1 : depths[Int(parent)] + 1)
      try Self.require(depths[node] < room, "node \(node) is too deep to be committed with a successor")
      try Self.require(
        seen.insert([parent, set.tokens[node]]).inserted, "node \(node) is twice in the set")
      try Self.require(
        (0..<TokenID(configuration.vocabularySize)).contains(set.tokens[node]), "a token without meaning")
    }
  }

  func checkHome(_ index: Int, _ tasks: [DraftTask<ControllerMachine.NodeID>]) throws {
    let session = sessions[index]
    let limits = session.plan.configuration.homeLimits
    try Self.require(session.homeUnderWay == nil, "session \(index) drafts at home twice at once")
    try Self.require(session.plan.hasHomeDraft, "drafts at home without a model")
    try Self.require(session.plan.configuration.homePolicy != .never, "drafts at home though told never to")
    try Self.require((1...limits.passWidth).contains(tasks.count), "\(tasks.count) nodes in a home pass")
    try checkTasks(tasks, limits: limits, contextLength: session.plan.configuration.contextLength)
    for task in tasks {
      try Self.require(task.prefix == session.machine.tokens, "drafts below a prefix that is not the text")
      try Self.require(
        session.emitted.count + task.path.count + 2 <= session.plan.configuration.maxTokens,
        "drafts a guess at home that no verification can use")
    }
  }

  func checkPass(_ process: Int, _ tasks: [DraftTask<WorkerMachine.NodeID>]) throws {
    let configuration = processes[process].plan.configuration
    try Self.require(processes[process].pass == nil, "worker \(process) runs two passes at once")
    try Self.require(
      (1...configuration.limits.passWidth).contains(tasks.count), "\(tasks.count) nodes in one pass")
    try checkTasks(tasks, limits: configuration.limits, contextLength: configuration.contextLength)
    for task in tasks {
      let session = sessions[Int(task.session.rawValue) - 1]
      try Self.require(
        (session.plan.prompt + session.emitted).starts(with: task.prefix), "drafts below a wrong prefix")
    }
  }

  private func checkTasks<Node>(_ tasks: [DraftTask<Node>], limits: DraftLimits, contextLength: Int) throws {
    var seen: Set<[TokenID]> = []
    for task in tasks {
      try Self.require(
        seen.insert([TokenID(task.session.rawValue)] + task.path).inserted, "one node twice in a pass")
      try Self.require(task.path.count <= limits.maxDepth, "drafts \(task.path.count) below the root")
      try Self.require(
        task.prefix.count + task.path.count < contextLength, "drafts beyond the model's context")
      try Self.require(task.candidates == limits.candidates, "asks for \(task.candidates) candidates")
    }
  }

  /// What a worker is told is the text, without gaps from its opening on.
  mutating func checkMessage(_ index: Int, _ message: ControllerMessage, to worker: WorkerID) throws {
    guard let link = links[worker] else { throw CheckFailure("writes to \(worker), which is not attached") }
    let id = sessions[index].id
    let text = sessions[index].plan.prompt + sessions[index].emitted
    switch message {
    case .open(let session, let context, let sampling):
      try Self.require(session == id && link.opened[id] == nil, "opens \(session) twice at \(worker)")
      try Self.require(context == text, "opens with a context that is not the text")
      try Self.require(sampling == sessions[index].plan.sampling, "opens with other sampling settings")
      links[worker]!.opened[id] = context.count - 1
    case .commit(let session, let position, let tokens, _):
      guard session == id, let last = link.opened[id] else { throw CheckFailure("commits before opening") }
      try Self.require(position == last + tokens.count, "a commit ends at \(position), after \(last)")
      try Self.require(
        position < text.count && Array(text[(last + 1)...position]) == tokens,
        "tells \(worker) tokens that are not the text")
      links[worker]!.opened[id] = position
    case .close(let session):
      try Self.require(
        session == id && link.opened[id] != nil, "closes \(session), which \(worker) does not have")
      links[worker]!.opened[id] = nil
    }
  }

  /// Every token down to the node that a worker's expansion is about.
  func truth(of message: WorkerMessage, at process: Int) -> [TokenID]? {
    guard case .expansion(let id, let expansion) = message,
      let committed = processes[process].machine.committedTokens(of: id)
    else { return nil }
    switch expansion.site {
    case .root: return committed
    case .node(let node):
      return processes[process].machine.announcedNodes(of: id)[node].map { committed + $0 }
    }
  }

  /// An expansion that fits the text must lead to nodes, also when it is late and its node is behind the root.
  func checkUse(
    _ expansion: Expansion, of truth: [TokenID], from worker: WorkerID, in index: Int
  ) throws {
    let machine = sessions[index].machine
    guard machine.statistics.droppedExpansions == 0, let mirror = machine.mirrored(from: worker) else {
      return
    }
    let text = machine.tokens
    for (offset, candidate) in expansion.distribution.candidates.enumerated() {
      let id = expansion.firstChild + RemoteNodeID(offset)
      let whole = truth + [candidate.token]
      if whole.count <= text.count {
        guard text.starts(with: whole) else { continue }
        let place = mirror.behind[id] ?? (mirror.live[id] == [] ? text.count - 1 : nil)
        try Self.require(
          place == whole.count - 1, "child \(id) of a late expansion is on the text, but was not recognised")
      } else if whole.starts(with: text) {
        try Self.require(
          mirror.live[id] == Array(whole[text.count...]),
          "child \(id) is at \(String(describing: mirror.live[id])), not at \(whole[text.count...])")
      }
    }
  }

  // MARK: After every event

  func checkBounds() throws {
    // A share for each drafter: a worker that came back counts twice until the controller knows.
    let drafters = processes.reduce(1) { $0 + $1.connections }
    for (index, session) in sessions.enumerated() {
      let configuration = session.plan.configuration
      try Self.require(
        session.machine.treeCount < configuration.maxTreeNodes * drafters,
        "session \(index) holds \(session.machine.treeCount) nodes")
      try Self.require(
        session.targetPasses <= session.plain.count + 1, "session \(index) takes more steps than tokens")
    }
    for (index, process) in processes.enumerated() {
      try Self.require(
        process.machine.sessionCount <= process.plan.configuration.maxSessions,
        "worker \(index) has \(process.machine.sessionCount) sessions")
      for session in sessions {
        let count = process.machine.nodeCount(of: session.id) ?? 0
        try Self.require(
          count <= process.plan.configuration.limits.maxNodes, "worker \(index) holds \(count) nodes")
      }
    }
  }

  /// Both trees are whole, and where both ends know a node by an id they mean the same.
  func inspect() throws {
    for (index, session) in sessions.enumerated() {
      if let broken = session.machine.brokenInvariant { throw CheckFailure("session \(index): \(broken)") }
    }
    for (index, process) in processes.enumerated() where !process.plan.isHostile {
      if let broken = process.machine.brokenInvariant { throw CheckFailure("worker \(index): \(broken)") }
    }
    for worker in attached {
      let process = processes[links[worker]!.process]
      for (index, session) in sessions.enumerated() where session.finish == nil {
        guard let mirror = session.machine.mirrored(from: worker) else { continue }
        let capacity = 4 * session.plan.configuration.maxTreeNodes
        try Self.require(
          mirror.live.count + mirror.behind.count <= capacity + session.machine.tokens.count,
          "the mirror of \(worker) holds \(mirror.live.count) and \(mirror.behind.count) ids")
        guard process.link == worker, !process.plan.isHostile,
          let committed = process.machine.committedTokens(of: session.id)
        else { continue }
        let text = session.machine.tokens
        try Self.require(text.starts(with: committed), "\(worker) takes something for the text that is not")
        let gap = Array(text[committed.count...])
        let announced = process.machine.announcedNodes(of: session.id)
        for (id, path) in mirror.live {
          try Self.require(
            announced[id] == gap + path,
            "id \(id) of \(worker) in session \(index): \(gap + path) here, "
              + "\(String(describing: announced[id])) there")
        }
        for (id, position) in mirror.behind where position >= committed.count - 1 {
          try Self.require(
            announced[id] == Array(text[committed.count..<max(position + 1, committed.count)]),
            "id \(id) of \(worker) is not at position \(position) there")
        }
      }
    }
  }

  /// Everything is over: texts are complete, counts add up, workers have let go.
  func conclude() throws -> [SessionReport] {
    for (index, process) in processes.enumerated() where !process.plan.isHostile && process.link != nil {
      try Self.require(
        process.machine.sessionCount == 0 && process.held.isEmpty, "worker \(index) keeps a session")
    }
    return try sessions.enumerated().map { index, session in
      guard let finish = session.finish else { throw CheckFailure("session \(index) never ends") }
      let expected: ControllerMachine.FinishReason
      if session.plan.prompt.count >= session.plan.configuration.contextLength {
        expected = .contextFull
      } else if session.plain.last == ScriptedModel.endToken {
        expected = .endOfText
      } else {
        expected = session.plain.count >= session.plan.configuration.maxTokens ? .length : .contextFull
      }
      let statistics = session.machine.statistics
      switch finish {
      case .cancelled:
        try Self.require(session.plan.cancelAfter != nil, "session \(index) was cancelled by nobody")
      case .failed:
        try Self.require(session.plan.targetFailsAt != nil, "session \(index) failed though no pass did")
      default:
        try Self.require(finish == expected, "session \(index) ends with \(finish), not \(expected)")
        try Self.require(session.emitted == session.plain, "session \(index) ends before its text")
        try Self.require(
          statistics.steps == session.targetPasses,
          "\(statistics.steps) steps, \(session.targetPasses) passes")
      }
      let guessed = statistics.acceptedRemote + statistics.acceptedHome + statistics.acceptedLookup
      let accepted = guessed + statistics.fromTarget
      try Self.require(
        statistics.tokens == session.emitted.count && accepted == statistics.tokens,
        "token counts do not add up: \(statistics)")
      try Self.require(
        statistics.homeExpansions == session.homeExpansions, "home drafting is miscounted: \(statistics)")
      try Self.require(
        statistics.usedWorkerExpansions + statistics.droppedExpansions <= statistics.workerExpansions
          && statistics.lateExpansions + statistics.droppedExpansions <= statistics.workerExpansions
          && statistics.bubbles + statistics.pausedSteps <= statistics.steps
          && (statistics.pausedSteps == 0 || session.plan.configuration.minGain > 0)
          && (statistics.acceptedLookup == 0 || session.plan.configuration.lookupLength > 0),
        "counts contradict each other: \(statistics)")
      return SessionReport(
        text: session.emitted, finish: finish, statistics: statistics,
        elapsed: session.started.duration(to: session.ended))
    }
  }
}
