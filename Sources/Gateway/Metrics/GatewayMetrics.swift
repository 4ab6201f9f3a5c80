import NodeRuntime
import SpeculationCore
import Synchronization

/// Counts what the node and the HTTP server do. Give it to the node as its observer.
///
/// Both sides only add numbers under a lock that nobody holds for long.
public final class GatewayMetrics: NodeObserver {
  struct NodeState {
    var promptTokens = 0
    var committed: [SessionMachine.Origin: Int] = [:]
    var queueTime = Histogram(Histogram.firstTokenBounds)
    var firstToken = Histogram(Histogram.firstTokenBounds)
    var interToken = Histogram(Histogram.tokenBounds)
    var timePerToken = Histogram(Histogram.tokenBounds)
    var requestTime = Histogram(Histogram.requestBounds)
    var passTime = Histogram(Histogram.tokenBounds)
    var passTokens = Histogram(Histogram.sizeBounds)
    var passSessions = Histogram(Histogram.sizeBounds)
    /// Session passes with at least one guess, the guesses, those that were right and their places in the step.
    var drafts = 0
    var draftTokens = 0
    var accepted = 0
    var acceptedAt: [Int] = []
    var localPasses = 0
    var localNodes = 0
    var expansions = 0
    var workersAttached = 0
    var workersDetached = 0
    var placements = 0
    var displacements = 0
    /// Answers that the target was to decide once more: the same, not looked at; of those with another text the ones that no
    /// rounding explains, and by how much the target's own choice won in each.
    var auditsSame = 0
    var auditsSkipped = 0
    var auditsWrong = 0
    var auditMargins = Histogram(Histogram.marginBounds)
    var isDeterministic = false
    /// Of the sessions that ended.
    var ended = SessionStatistics()
    /// Of running sessions: when asked for, and when something was last committed.
    var requested: [SessionID: Timestamp] = [:]
    var lastCommit: [SessionID: Timestamp] = [:]
  }

  struct HTTPState {
    struct Answer: Hashable {
      var route: String
      var method: String
      var status: Int
    }

    var connections = 0
    var connectionsTotal = 0
    var acceptFailures: [Listener: Int] = [:]
    var answers: [Answer: Int] = [:]
    var time: [String: Histogram] = [:]
    /// By route.
    var ignoredFields: [String: Int] = [:]
    /// By finish reason.
    var finished: [String: Int] = [
      "stop": 0, "length": 0, "tool_calls": 0, "dead_end": 0, "abort": 0, "error": 0,
    ]
  }

  let modelName: String
  /// The node's last events.
  public let events: EventLog
  let node = Mutex(NodeState())
  let http = Mutex(HTTPState())

  /// - Parameter modelName: label of all series that are about the model
  public init(modelName: String, events: EventLog = EventLog()) {
    self.modelName = modelName
    self.events = events
  }

  // MARK: The node

  public func observe(_ event: NodeEvent) {
    // A finding has a whole text with it, which nobody keeps.
    if case .audited = event {} else { events.append(event) }
    node.withLock { $0.take(event) }
  }

  /// Whether the target's text is the same whatever else it computes, as measured: any other text is wrong then.
  public func targetIsDeterministic(_ isDeterministic: Bool) {
    node.withLock { $0.isDeterministic = isDeterministic }
  }

  /// Audits that found a text which no rounding explains.
  public var wrongAudits: Int { node.withLock { $0.auditsWrong } }

  // MARK: The HTTP server

  func connectionOpened() {
    http.withLock {
      $0.connections += 1
      $0.connectionsTotal += 1
    }
  }

  /// Who listens.
  public enum Listener: String, CaseIterable, Sendable { case api, workers }

  /// A connection could not be accepted.
  public func acceptFailed(on listener: Listener) {
    http.withLock { $0.acceptFailures[listener, default: 0] += 1 }
  }

  func connectionClosed() { http.withLock { $0.connections -= 1 } }

  /// Connections that are open.
  public var connections: Int { http.withLock { $0.connections } }

  func answered(route: String, method: String, status: Int, duration: Duration) {
    http.withLock { state in
      state.answers[.init(route: route, method: method, status: status), default: 0] += 1
      state.time[route, default: Histogram(Histogram.requestBounds)].observe(duration.inSeconds)
    }
  }

  /// A request had fields that nobody knows.
  func ignoredFields(_ count: Int, route: String) {
    http.withLock { $0.ignoredFields[route, default: 0] += count }
  }

  /// - Parameter reason: "stop", "length", "abort" (the client went away) or "error"
  func finished(_ reason: String) { http.withLock { $0.finished[reason, default: 0] += 1 } }
}

extension GatewayMetrics.NodeState {
  /// Places in a step that are told apart; what was accepted further back counts for the last.
  static let positions = 32

  mutating func take(_ event: NodeEvent) {
    switch event {
    case .requested(let session, let at, let tokens):
      promptTokens += tokens
      requested[session] = at
    case .admitted(_, _, let queued):
      queueTime.observe(queued.inSeconds)
    case .targetPass(let pass):
      passTime.observe(pass.duration.inSeconds)
      passTokens.observe(Double(pass.tokens))
      passSessions.observe(Double(pass.sessions.count))
      for (_, guesses) in pass.sessions where guesses > 0 {
        drafts += 1
        draftTokens += guesses
      }
    case .localDraftPass(_, _, let sessions):
      localPasses += 1
      localNodes += sessions.reduce(0) { $0 + $1.nodes }
    case .expansion:
      expansions += 1
    case .committed(let session, let at, let tokens):
      if let before = lastCommit.updateValue(at, forKey: session) {
        interToken.observe(before.duration(to: at).inSeconds)
      }
      for (index, token) in tokens.enumerated() {
        committed[token.origin, default: 0] += 1
        guard token.origin != .target else { continue }
        accepted += 1
        let place = min(index, Self.positions - 1)
        while acceptedAt.count <= place { acceptedAt.append(0) }
        acceptedAt[place] += 1
      }
    case .finished(let session, let at, let summary):
      ended += summary.statistics
      lastCommit[session] = nil
      if let time = summary.timeToFirstToken { firstToken.observe(time.inSeconds) }
      if let time = summary.millisecondsPerToken { timePerToken.observe(time / 1000) }
      if let began = requested.removeValue(forKey: session) {
        requestTime.observe(began.duration(to: at).inSeconds)
      }
    case .workerAttached: workersAttached += 1
    case .workerDetached: workersDetached += 1
    case .placed: placements += 1
    case .displaced: displacements += 1
    case .roundTrip: break
    case .audited(let finding, _, _):
      switch finding.outcome {
      case .same: auditsSame += 1
      case .skipped: auditsSkipped += 1
      case .different(let difference):
        auditMargins.observe(Double(difference.margin))
        if difference.isWrong(deterministic: isDeterministic) { auditsWrong += 1 }
      }
    }
  }
}

extension Duration {
  var inSeconds: Double { inMilliseconds / 1000 }
}
