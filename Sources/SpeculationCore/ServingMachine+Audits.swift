/// Audits: finished answers that the target decides once more, alone.
extension ServingMachine {
  /// An answer is over: perhaps it is one of those to be looked at.
  mutating func offerAudit(of id: SessionID, _ session: ServedSession, _ actions: inout [Action]) {
    let tokens = session.machine.tokens
    let promptLength = tokens.count - session.machine.statistics.tokens
    switch audits.offer(id, tokens: tokens, promptLength: promptLength) {
    case .passed: break
    case .taken: actions.append(.audit(.keep(id)))
    case .skipped(let finding): actions.append(.audit(.found(finding)))
    }
  }

  /// Goes on with the audits while the target has nothing else to do, and stops as soon as it has.
  mutating func advanceAudits(_ actions: inout [Action]) {
    guard admission.runningCount == 0, admission.waitingCount == 0, isAccepting else {
      if let (session, finding) = audits.interrupt() {
        // First of all: the pass that begins now may need its cells.
        actions.insert(.audit(.end(session)), at: 0)
        if let finding { actions.append(.audit(.found(finding))) }
      }
      if !isAccepting { actions += audits.giveUp().map { .audit(.found($0)) } }
      return
    }
    guard pass == nil, !admission.isWaitingForRelease, let next = audits.next(size: auditPiece) else {
      return
    }
    actions.append(.audit(.pass(next)))
  }

  mutating func auditEnded(_ report: AuditReport, _ actions: inout [Action]) {
    guard let finding = audits.ended(report) else { return }
    actions += [.audit(.end(report.session)), .audit(.found(finding))]
  }

  /// Tokens that cost about two passes over one: whoever comes meanwhile waits no longer than that.
  private var auditPiece: Int {
    guard let single = estimates.targetCost.seconds(for: 1) else { return Self.leastAuditPiece }
    let sizes = sequence(first: 64) { $0 > Self.leastAuditPiece ? $0 / 2 : nil }
    return sizes.first { size in estimates.targetCost.seconds(for: size).map { $0 <= 2 * single } ?? false }
      ?? Self.leastAuditPiece
  }

  private static let leastAuditPiece = 8
}
