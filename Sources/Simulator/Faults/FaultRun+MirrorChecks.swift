import SpeculationCore

/// What both ends keep: that it agrees, that it is bounded, that nobody rests who has work to do.
extension FaultRun {
  /// An expansion that fits the text leads to nodes, also when it is late and its node is behind the root.
  func checkPlacement(
    _ note: Note, _ expansion: Expansion, in session: Session, _ machine: SessionMachine,
    on connection: Connection
  ) throws {
    guard machine.statistics.droppedExpansions == 0, let mirror = machine.mirrored(from: connection.id!)
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

  func checkBounds(_ session: Session, at controller: Controller) throws {
    guard let machine = controller.machine.machine(of: session.id) else {
      throw BrokenRule(.ending, "\(session.id) is gone without an end")
    }
    try Self.require(
      machine.treeCount < session.plan.maxTreeNodes * session.drafters + session.plan.maxVerified,
      .bounds,
      "\(session.id) holds \(machine.treeCount) nodes")
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
        count <= min(worker.plan.limits.maxNodes, worker.held[id]!.maxNodes), .bounds,
        "worker \(index) holds \(count) nodes")
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
        for connection in controller.attached { try compare(session, connection, at: controller) }
      }
    }
    guard plan.asksMachines else { return }
    for (index, worker) in workers.enumerated() where !worker.plan.isHostile {
      if let broken = worker.machine.brokenInvariant {
        throw BrokenRule(.invariant, "worker \(index): \(broken)")
      }
    }
    for controller in controllers where controller.isUp {
      if let broken = controller.machine.brokenInvariant {
        throw BrokenRule(.invariant, "controller \(controller.index): \(broken)")
      }
      if let broken = controller.cache.brokenInvariant {
        throw BrokenRule(.invariant, "the cache of controller \(controller.index): \(broken)")
      }
    }
  }

  private func compare(_ session: Session, _ connection: Connection, at controller: Controller) throws {
    guard let machine = controller.machine.machine(of: session.id),
      let mirror = machine.mirrored(from: connection.id!)
    else { return }
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
    let underWay = worker.held[session.id]!.announced.forgotten
    func isForgotten(_ id: RemoteNodeID) -> Bool { underWay.contains(id) }
    let text = session.text
    try Self.require(
      text.starts(with: committed), .mirror,
      "\(connection.id!) takes something for the text that is not")
    let gap = Array(text[committed.count...])
    let announced = worker.machine.announcedNodes(of: session.id)
    let said = connection.said[session.id]
    if let id = said?.forgotten.first(where: { mirror.live[$0] != nil || mirror.behind[$0] != nil }) {
      throw BrokenRule(.mirror, "\(connection.id!) has given up \(id) in \(session.id), which is still there")
    }
    for (id, path) in mirror.live.sorted(by: { $0.key < $1.key }) {
      // Given up, but nobody has said so yet, or the word is under way: it is said with the next expansion.
      if announced[id] == nil, worker.machine.hasForgotten(id, of: session.id) || isForgotten(id) { continue }
      try Self.require(
        announced[id] == gap + path, .mirror,
        "id \(id) of \(connection.id!) in \(session.id): \(gap + path) here, "
          + "\(String(describing: announced[id])) there")
    }
    // And the other way: what the controller has heard of and the text still leads to is not forgotten.
    if machine.statistics.droppedExpansions == 0, let heard = said?.nextID {
      for (id, path) in announced.sorted(by: { $0.key < $1.key })
      where id < heard && path.count >= gap.count && path.starts(with: gap) {
        try Self.require(
          mirror.live[id] == Array(path[gap.count...]), .mirror,
          "id \(id) of \(connection.id!) in \(session.id) is forgotten: \(path) there")
      }
    }
    for (id, position) in mirror.behind where position >= committed.count - 1 {
      if announced[id] == nil, worker.machine.hasForgotten(id, of: session.id) || isForgotten(id) { continue }
      try Self.require(
        announced[id] == Array(text[committed.count..<max(position + 1, committed.count)]), .mirror,
        "id \(id) of \(connection.id!) is not at position \(position) there")
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
