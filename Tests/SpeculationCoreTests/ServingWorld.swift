import SpeculationCore
import SpeculationTesting

/// A serving machine with a target, a local draft model and workers that do what the machine says, in the order
/// that a test chooses. Checks on its own account what a driver is promised.
struct ServingWorld {
  /// Something that may happen next.
  enum Move: Hashable {
    case request(tokens: Int)
    case cancel(SessionID)
    case stopAccepting
    case passEnds
    /// The pass ended before the last session's prompt was read.
    case passEndsEarly
    case passFails(PassFailure.Kind)
    case released(SessionID)
    case localPassEnds, localPassFails
    case workerComes, workerGoes(WorkerID), workerDrains(WorkerID)
    case workerGuesses(WorkerID, SessionID)
    case workerDeclines(WorkerID, SessionID)
    /// It says what breaks the protocol.
    case workerLies(WorkerID, SessionID)
    case auditEnds, auditFails
    /// The target alone chooses another token than the answer has.
    case auditDiffers
  }

  enum Ending: Hashable {
    case refused
    case finished(SessionMachine.FinishReason)
  }

  private(set) var machine: ServingMachine
  let maxTokens: Int
  let maxRequests: Int
  private(set) var ended: [SessionID: Ending] = [:]
  private(set) var texts: [SessionID: [TokenID]] = [:]
  private(set) var pass: TargetPass?
  /// To be freed, in the order in which the machine said so.
  private(set) var releases: [SessionID] = []
  private(set) var preempted: [SessionID] = []
  private(set) var findings: [AuditFinding] = []
  private(set) var audit: AuditPass?
  /// The audit whose cells the target holds, and tokens that it has read of it.
  private var audited: (session: SessionID, read: Int)?
  private var kept: Set<SessionID> = []
  private var localTasks: [DraftTask<SessionMachine.NodeID>]?
  private var prompts: [SessionID: [TokenID]] = [:]
  private var admitted: Set<SessionID> = []
  /// Cells of the target that hold something, by session.
  private var cells: [SessionID: Int] = [:]
  private var workers: Set<WorkerID> = []
  /// What workers have open: the position that they know, the next node's id, the last root that they expanded.
  private var open: [WorkerID: [SessionID: (position: Int, nextNode: UInt64, expanded: Int)]] = [:]
  private var lastWorker: UInt64 = 0
  private var hasStopped = false
  private var failures = 0
  private var now = Timestamp.zero

  static let vocabulary = 100

  init(
    cells: Int = 14, branches: Int = 4, maxSessions: Int = 2, maxWaiting: Int = 2, maxTokens: Int = 3,
    maxRequests: Int = 3, headroom: Int = 2, hasLocal: Bool = true, auditShare: Double = 0
  ) {
    machine = ServingMachine(
      configuration: ServingMachine.Configuration(
        contextLength: 12, vocabularySize: Self.vocabulary, cells: cells, headroom: headroom,
        branches: branches, maxSessions: maxSessions, maxWaiting: maxWaiting, prefillChunk: 4,
        hasLocalDraft: hasLocal, auditShare: auditShare))
    self.maxTokens = maxTokens
    self.maxRequests = maxRequests
  }

  /// The target's text: each token follows from its session and its position.
  static func token(_ session: SessionID, at position: Int) -> TokenID {
    TokenID(1 + (Int(session.rawValue) * 31 + position * 7) % (vocabulary - 1))
  }

  // MARK: What may happen

  /// Everything that may happen now.
  var moves: [Move] {
    var moves: [Move] = []
    if prompts.count < maxRequests { moves += [.request(tokens: 3), .request(tokens: 9)] }
    moves += live.map { .cancel($0) }
    if !hasStopped { moves.append(.stopAccepting) }
    if let pass {
      moves += [.passEnds, .passFails(.engine), .passFails(.cacheFull)]
      if pass.parts.count > 1 { moves.append(.passEndsEarly) }
    }
    moves += releases.prefix(1).map { .released($0) }
    if localTasks != nil { moves += [.localPassEnds, .localPassFails] }
    if audit != nil { moves += [.auditEnds, .auditFails, .auditDiffers] }
    if lastWorker < 2 { moves.append(.workerComes) }
    for worker in workers.sorted() {
      moves += [.workerGoes(worker), .workerDrains(worker)]
      for session in (open[worker] ?? [:]).keys.sorted() {
        moves += [
          .workerGuesses(worker, session), .workerDeclines(worker, session), .workerLies(worker, session),
        ]
      }
    }
    return moves
  }

  /// Requests that have no answer yet.
  private var live: [SessionID] { prompts.keys.filter { ended[$0] == nil }.sorted() }

  /// Lets everything that is under way come to a good end.
  mutating func settle() throws {
    var steps = 0
    while !live.isEmpty || pass != nil || localTasks != nil || !releases.isEmpty || audit != nil {
      steps += 1
      if steps > 400 { throw CheckFailure("\(live) have no answer after \(steps) steps") }
      if let first = releases.first {
        try make(.released(first))
      } else if pass != nil {
        try make(.passEnds)
      } else if localTasks != nil {
        try make(.localPassEnds)
      } else if audit != nil {
        try make(.auditEnds)
      } else {
        throw CheckFailure("\(live) wait and nothing is under way")
      }
    }
    if machine.claimedCells != 0 { throw CheckFailure("\(machine.claimedCells) cells stay claimed") }
    if !kept.isEmpty || audited != nil { throw CheckFailure("audits are left over: \(kept.sorted())") }
    if !cells.isEmpty { throw CheckFailure("the target still holds \(cells.keys.sorted())") }
    for (worker, sessions) in open where !sessions.isEmpty {
      throw CheckFailure("\(worker) still drafts for \(sessions.keys.sorted())")
    }
  }

  // MARK: Making it happen

  mutating func make(_ move: Move) throws {
    now = now.advanced(by: .milliseconds(7))
    switch move {
    case .request(let tokens):
      let id = SessionID(UInt64(prompts.count + 1))
      prompts[id] = (0..<tokens).map { Self.token(id, at: $0) }
      texts[id] = []
      try handle(
        .request(
          ServingRequest(
            session: id, prompt: prompts[id]!,
            speculation: .wideArea(
              localPolicy: machine.configuration.hasLocalDraft ? .always : .never, minGain: 0),
            maxTokens: maxTokens, endTokens: [0])))
    case .cancel(let id): try handle(.cancel(id))
    case .stopAccepting:
      hasStopped = true
      try handle(.stopAccepting)
    case .passEnds: try endPass(cutting: false)
    case .passEndsEarly: try endPass(cutting: true)
    case .passFails(let kind):
      failures += 1
      pass = nil
      try handle(.passFailed(PassFailure(kind, reason: "planned")))
    case .released(let id):
      releases.removeAll { $0 == id }
      cells[id] = nil
      try handle(.released(id))
    case .localPassEnds:
      let tasks = localTasks!
      localTasks = nil
      let guesses = tasks.map { Self.guess(after: $0.prefix.count, of: $0.session) }
      try handle(.localPassEnded(guesses, duration: .milliseconds(2), passTokens: tasks.count))
    case .localPassFails:
      localTasks = nil
      try handle(.localPassFailed(reason: "planned"))
    case .auditEnds: try endAudit { $0 }
    case .auditDiffers: try endAudit { $0 % TokenID(Self.vocabulary - 1) + 1 }
    case .auditFails:
      let failed = audit!
      audit = nil
      try handle(.auditEnded(AuditReport(session: failed.session, verdicts: [], failure: "planned")))
    case .workerComes:
      lastWorker += 1
      let worker = WorkerID(lastWorker)
      workers.insert(worker)
      open[worker] = [:]
      try handle(
        .workerAttached(
          worker, WorkerPool.Profile(name: "worker \(lastWorker)", model: "draft", capacity: 1),
          roundTrip: .milliseconds(10)))
    case .workerGoes(let worker):
      forget(worker)
      try handle(.workerDetached(worker, reason: "planned"))
    case .workerDrains(let worker): try handle(.workerDraining(worker))
    case .workerGuesses(let worker, let session):
      // Each root is expanded once.
      guard let known = open[worker]?[session], known.expanded < known.position else { return }
      let distribution = Self.guess(after: known.position + 1, of: session)
      open[worker]![session]!.expanded = known.position
      open[worker]![session]!.nextNode += UInt64(distribution.candidates.count)
      try hear(
        Expansion(
          site: .root(position: known.position), firstChild: known.nextNode, distribution: distribution,
          knownPosition: known.position), of: session, from: worker)
    case .workerDeclines(let worker, let session):
      open[worker]![session] = nil
      try handle(.workerSaid(worker, .declined(session, reason: "planned")))
    case .workerLies(let worker, let session):
      try hear(
        Expansion(
          site: .node(1 << 40), firstChild: 1 << 41, distribution: guesses([1: 0.5]), knownPosition: 0),
        of: session, from: worker)
    }
    if let broken = machine.brokenInvariant { throw CheckFailure(broken) }
  }

  private mutating func hear(
    _ expansion: Expansion, of session: SessionID, from worker: WorkerID
  ) throws {
    try handle(.workerSaid(worker, .expansion(session, expansion)))
  }

  private static func guess(after count: Int, of session: SessionID) -> Distribution {
    guesses([token(session, at: count): 0.8, 0: 0.1])
  }

  /// - Parameter choose: what the target chooses where the answer has a token
  private mutating func endAudit(_ choose: (TokenID) -> TokenID) throws {
    let piece = audit!
    audit = nil
    let read = audited?.session == piece.session ? audited!.read : 0
    let isRead = piece.prefix.count - read <= piece.prefillBudget + 1
    if audited?.session == piece.session {
      audited!.read = isRead ? piece.prefix.count : read + piece.prefillBudget
    }
    let verdicts = isRead ? piece.expected.map { SessionMachine.Verdict(token: choose($0), margin: 1) } : []
    try handle(.auditEnded(AuditReport(session: piece.session, verdicts: verdicts)))
  }

  private mutating func endPass(cutting: Bool) throws {
    let ended = pass!
    pass = nil
    var parts: [PassReport.Part] = []
    for (index, part) in ended.parts.enumerated() {
      if cutting, index == ended.parts.count - 1 {
        parts.append(PassReport.Part(verdicts: []))
        continue
      }
      var positions: [Int] = []
      for parent in part.set.parents {
        positions.append(parent < 0 ? part.prefix.count + 1 : positions[Int(parent)] + 1)
      }
      let verdicts = ([part.prefix.count] + positions).map {
        SessionMachine.Verdict(token: Self.token(part.session, at: $0), margin: 1)
      }
      parts.append(PassReport.Part(verdicts: verdicts))
    }
    let tokens = ended.parts.reduce(0) { $0 + 1 + $1.set.tokens.count }
    try handle(.passEnded(PassReport(parts: parts, duration: .milliseconds(5), tokens: tokens)))
  }

  private mutating func forget(_ worker: WorkerID) {
    workers.remove(worker)
    open[worker] = nil
  }

  // MARK: What the machine wants

  private mutating func handle(_ event: ServingMachine.Event) throws {
    let actions = machine.handle(event, at: now)
    let begins = actions.firstIndex(where: \.isVerify)
    for (index, action) in actions.enumerated() {
      guard case .audit(.end(let session)) = action else { continue }
      guard audited?.session == session else { throw CheckFailure("\(session) is ended and holds nothing") }
      if let begins, begins < index { throw CheckFailure("an audit gives up its cells behind the pass") }
      audited = nil
    }
    if begins != nil, audited != nil { throw CheckFailure("a pass begins while an audit holds cells") }
    // The target begins before the rest is carried out, which the pass builds on all the same.
    for action in actions where !action.isVerify { try take(action) }
    for action in actions where action.isVerify { try take(action) }
  }

  private mutating func take(_ action: ServingMachine.Action) throws {
    switch action {
    case .verify(let next): try begin(next)
    case .draftLocally(let tasks):
      guard localTasks == nil else { throw CheckFailure("two local draft passes at once") }
      guard !tasks.isEmpty else { throw CheckFailure("a draft pass of nothing") }
      for task in tasks where ended[task.session] != nil { throw CheckFailure("\(task.session) is over") }
      localTasks = tasks
    case .release(let id):
      guard admitted.contains(id) else { throw CheckFailure("\(id) is released and has never run") }
      guard !releases.contains(id) else { throw CheckFailure("\(id) is released twice") }
      releases.append(id)
    case .send(let message, let worker):
      guard workers.contains(worker) else { throw CheckFailure("\(worker) is told something and not there") }
      try send(message, to: worker)
    case .disconnect(let worker, _, _):
      guard workers.contains(worker) else { throw CheckFailure("\(worker) is disconnected twice") }
      forget(worker)
    case .refuse(let id, _): try end(id, .refused)
    case .admitted(let id, _):
      guard admitted.insert(id).inserted else { throw CheckFailure("\(id) is admitted twice") }
    case .emit(let id, let tokens, _):
      guard ended[id] == nil else { throw CheckFailure("\(id) says something after its end") }
      texts[id]! += tokens.map(\.token)
      let expected = (0..<texts[id]!.count).map { Self.token(id, at: prompts[id]!.count + $0) }
      if texts[id]! != expected { throw CheckFailure("\(id) says \(texts[id]!), the target \(expected)") }
    case .note(let id, let note):
      guard ended[id] == nil else { throw CheckFailure("a note on \(id), which is over") }
      if case .preempted = note { preempted.append(id) }
    case .audit(.keep(let id)):
      guard ended[id] == nil, !texts[id]!.isEmpty else { throw CheckFailure("\(id) is kept for nothing") }
      kept.insert(id)
    case .audit(.pass(let piece)): try begin(piece)
    case .audit(.end): break
    case .audit(.found(let finding)):
      if case .skipped = finding.outcome {
      } else if !kept.contains(finding.answer) {
        throw CheckFailure("\(finding.answer) was not kept")
      }
      kept.remove(finding.answer)
      findings.append(finding)
    case .placed(let id, let worker), .displaced(let id, let worker):
      guard ended[id] == nil || open[worker] != nil else { throw CheckFailure("\(id) on \(worker)") }
    case .finish(let id, let summary):
      if cells[id] != nil, !releases.contains(id) { throw CheckFailure("\(id) leaves cells behind") }
      try end(id, .finished(summary.reason))
    }
  }

  private mutating func end(_ id: SessionID, _ ending: Ending) throws {
    guard prompts[id] != nil else { throw CheckFailure("\(id) was never asked for") }
    if let before = ended[id] { throw CheckFailure("\(id) ends with \(before) and with \(ending)") }
    if case .finished(.failed) = ending, failures == 0 { throw CheckFailure("\(id) fails and nothing has") }
    ended[id] = ending
  }

  private mutating func begin(_ piece: AuditPass) throws {
    guard live.isEmpty, pass == nil else { throw CheckFailure("an audit while \(live) want the target") }
    guard audit == nil else { throw CheckFailure("two audits at once") }
    guard kept.contains(piece.answer) else { throw CheckFailure("\(piece.answer) was not kept") }
    let text = prompts[piece.answer]! + texts[piece.answer]!
    guard !piece.expected.isEmpty, piece.prefix.count >= prompts[piece.answer]!.count,
      text.starts(with: piece.prefix + piece.expected)
    else { throw CheckFailure("an audit of what \(piece.answer) has not said") }
    guard piece.prefix.count + piece.expected.count - 1 <= machine.configuration.cells else {
      throw CheckFailure("an audit of more tokens than there are cells")
    }
    if audited?.session != piece.session {
      guard audited == nil else { throw CheckFailure("two audits hold cells") }
      audited = (piece.session, 0)
    }
    audit = piece
  }

  private mutating func begin(_ next: TargetPass) throws {
    guard pass == nil else { throw CheckFailure("two passes at once") }
    guard !next.parts.isEmpty else { throw CheckFailure("a pass over nobody") }
    for part in next.parts {
      let id = part.session
      guard admitted.contains(id), ended[id] == nil else { throw CheckFailure("\(id) is in a pass") }
      if releases.contains(id) { throw CheckFailure("\(id) is in a pass while it is being released") }
      if part.prefix != prompts[id]! + texts[id]! {
        throw CheckFailure("a pass over another text than \(id)'s")
      }
      cells[id] = part.prefix.count + part.set.tokens.count
    }
    let used = cells.values.reduce(0, +)
    guard used <= machine.configuration.cells else {
      throw CheckFailure("a pass needs \(used) of \(machine.configuration.cells) cells")
    }
    guard cells.count <= machine.configuration.maxSessions else {
      throw CheckFailure("the target holds \(cells.count) sessions")
    }
    // Guesses are gone after the pass, texts stay.
    for part in next.parts { cells[part.session] = part.prefix.count }
    pass = next
  }

  private mutating func send(_ message: ControllerMessage, to worker: WorkerID) throws {
    switch message {
    case .open(let id, let opening):
      guard open[worker]?[id] == nil else { throw CheckFailure("\(id) is opened twice") }
      open[worker]![id] = (opening.context.count - 1, 1, -1)
    case .commit(let id, let commit):
      // A worker that has declined may hear of one more commit.
      guard let known = open[worker]?[id] else { return }
      guard commit.position == known.position + commit.tokens.count else {
        throw CheckFailure("a commit with a gap")
      }
      open[worker]![id]!.position = commit.position
    case .close(let id): open[worker]?[id] = nil
    }
  }
}

extension ServingMachine.Action {
  fileprivate var isVerify: Bool { if case .verify = self { true } else { false } }
}
