/// The local draft pass under way: nodes of several sessions.
struct LocalPassUnderWay: Sendable {
  var tasks: [(session: SessionID, node: SessionMachine.NodeID)]
}

/// Drafting locally: one pass for all sessions that want one.
extension ServingMachine {
  /// Starts the next local draft pass, where none is under way and a node is worth it.
  mutating func startLocalPass(_ actions: inout [Action]) {
    guard localDrafters > 0, localPass == nil else { return }
    let outlook = SessionMachine.LocalOutlook(
      now: now, targetSeconds: estimates.targetCost.seconds(for: 1))
    var wanted: [(session: SessionID, node: SessionMachine.NodeID, probability: Double)] = []
    var limits: DraftLimits?
    var continuation = 0.0
    var contributors = 0
    var hasBecomeReady = false
    for index in 0..<admission.runningCount {
      let id = admission.runningSession(index)
      guard sessions[id].mayDraftAtLocal else { continue }
      let wasReady = sessions[id].machine.isReady
      let frontier = sessions[id].machine.localFrontier(outlook)
      hasBecomeReady = hasBecomeReady || !wasReady && sessions[id].machine.isReady
      guard !frontier.isEmpty else { continue }
      for (node, probability) in frontier { wanted.append((id, node, probability)) }
      let own = sessions[id].machine.configuration.localLimits
      if limits.map({ own.passWidth < $0.passWidth }) ?? true { limits = own }
      continuation += sessions[id].machine.continuation.mean
      contributors += 1
    }
    if hasBecomeReady {
      // The target's pass changes who runs, and trees: what is worth drafting is looked at anew.
      startTargetPass(&actions)
      return startLocalPass(&actions)
    }
    guard let limits else { return }
    if contributors > 1 {
      wanted = wanted.enumerated().sorted {
        $0.element.probability != $1.element.probability
          ? $0.element.probability > $1.element.probability : $0.offset < $1.offset
      }.map(\.element)
    }
    let width = limits.width(
      probabilities: wanted.lazy.map(\.probability), cost: estimates.localCost,
      continuation: continuation / Double(contributors))
    let chosen = wanted.prefix(width)
    var tasks: [DraftTask<SessionMachine.NodeID>] = []
    tasks.reserveCapacity(width)
    for index in 0..<admission.runningCount {
      let id = admission.runningSession(index)
      let nodes = chosen.lazy.filter { $0.session == id }.map(\.node)
      if !nodes.isEmpty { tasks += sessions[id].machine.beginLocalDraft(nodes) }
    }
    localPass = LocalPassUnderWay(tasks: tasks.map { ($0.session, $0.node) })
    actions.append(.draftLocally(tasks))
  }

  mutating func localPassEnded(_ distributions: [Distribution], duration: Duration, passTokens: Int) {
    guard let ended = localPass else { preconditionFailure("a local draft pass ended that was not started") }
    precondition(distributions.count == ended.tasks.count, "a pass must answer every task")
    localPass = nil
    estimates.localCost.observe(size: passTokens, duration: duration)
    var turn = 0
    while turn < ended.tasks.count {
      let id = ended.tasks[turn].session
      let end = ended.tasks[turn...].firstIndex { $0.session != id } ?? ended.tasks.count
      defer { turn = end }
      guard sessions.contains(id) else { continue }
      // Where a step waited for the draft model, that time was not the controller's own.
      if let before = sessions[id].passEnded, !sessions[id].machine.isVerifying {
        sessions[id].passEnded = before.advanced(by: duration)
      }
      sessions[id].machine.localDrafted(
        ended.tasks[turn..<end].map(\.node), Array(distributions[turn..<end]), match: estimates.match)
    }
  }

  /// The sessions of the pass go on without.
  mutating func localPassFailed(reason: String, _ actions: inout [Action]) {
    guard let failed = localPass else {
      preconditionFailure("a local draft pass failed that was not started")
    }
    localPass = nil
    var last: SessionID?
    for (id, _) in failed.tasks where id != last {
      last = id
      guard sessions.contains(id) else { continue }
      sessions[id].machine.localDraftFailed()
      actions.append(.note(id, .localDraftFailed(reason: reason)))
    }
  }
}
