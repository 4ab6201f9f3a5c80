import Logging
import ModelBackend
import SpeculationCore

/// Runs a worker: interprets the actions of its machine with a draft model and connections to controllers.
///
/// One machine drafts for the sessions of all controllers, so each pass goes to the nodes that are most likely to be
/// used, whoever asked for them.
public actor WorkerNode {
  /// One of the controllers that the worker serves, counted from 0.
  public typealias ControllerIndex = Int

  /// Controllers that one worker can serve.
  public static let maxControllers = 64

  private let draft: any DraftModel
  private let send: @Sendable (ControllerIndex, [WorkerMessage]) -> Void
  private let log: Logger
  private var machine: WorkerMachine
  /// Open sessions of each controller, under the machine's names for them.
  private var sessions: [ControllerIndex: Set<SessionID>] = [:]
  private var isDraining = false
  private var idleWaiters: [CheckedContinuation<Void, Never>] = []
  /// Nodes expanded since the start.
  public private(set) var expansions = 0
  /// Time the draft model computed.
  public private(set) var busy: Duration = .zero

  /// - Parameter send: hands messages that are ready together to the connection with a controller; must not block
  public init(
    draft: any DraftModel, configuration: WorkerMachine.Configuration, cost: CostCurve = CostCurve(),
    log: Logger = Logger(label: "wanspec.worker"),
    send: @escaping @Sendable (ControllerIndex, [WorkerMessage]) -> Void
  ) {
    self.draft = draft
    self.send = send
    self.log = log
    machine = WorkerMachine(configuration: configuration, cost: cost)
  }

  /// Takes in a message from a controller.
  ///
  /// - Throws: `ProtocolViolation` when the controller broke the protocol; drop the connection then.
  public func handle(
    _ message: ControllerMessage, from controller: ControllerIndex = 0
  ) throws(ProtocolViolation) {
    switch message {
    case .open(let session, let context, let sampling, let maxNodes):
      guard !isDraining else {
        send(controller, [.declined(session, reason: "the worker is about to leave")])
        return
      }
      let id = try Self.local(session, of: controller)
      let actions = try machine.open(id, context: context, sampling: sampling, maxNodes: maxNodes)
      if machine.nodeCount(of: id) != nil { sessions[controller, default: []].insert(id) }
      perform(actions)
    case .commit(let session, let position, let tokens, let pause):
      perform(
        try machine.commit(
          try Self.local(session, of: controller), position: position, tokens: tokens, pause: pause))
    case .close(let session):
      let id = try Self.local(session, of: controller)
      sessions[controller]?.remove(id)
      perform(machine.close(id))
    }
    resumeIfIdle()
  }

  /// The connection to a controller is gone, and every session of it.
  public func disconnected(from controller: ControllerIndex = 0) {
    for id in (sessions.removeValue(forKey: controller) ?? []).sorted() { perform(machine.close(id)) }
    resumeIfIdle()
  }

  public var sessionCount: Int { machine.sessionCount }

  // MARK: Leaving

  /// Takes no more sessions; those that are open go on until their controllers close them.
  public func drain() {
    isDraining = true
  }

  /// Returns when no session is open, or with `giveUpWaiting`.
  public func waitUntilIdle() async {
    guard machine.sessionCount > 0 else { return }
    await withCheckedContinuation { idleWaiters.append($0) }
  }

  public func giveUpWaiting() {
    for waiter in idleWaiters { waiter.resume() }
    idleWaiters = []
  }

  private func resumeIfIdle() {
    if machine.sessionCount == 0 { giveUpWaiting() }
  }

  // MARK: Names

  /// Every controller counts its sessions from 1; the machine needs one name for each. The upper byte tells them
  /// apart.
  private static func local(
    _ session: SessionID, of controller: ControllerIndex
  ) throws(ProtocolViolation) -> SessionID {
    guard session.rawValue >> 56 == 0 else {
      throw ProtocolViolation("\(session) has an id of 2^56 or more")
    }
    return SessionID(session.rawValue | UInt64(controller) << 56)
  }

  private static func remote(_ session: SessionID) -> (controller: ControllerIndex, session: SessionID) {
    (Int(session.rawValue >> 56), SessionID(session.rawValue & (1 << 56 - 1)))
  }

  private static func forRemote(_ message: WorkerMessage) -> (
    controller: ControllerIndex, message: WorkerMessage
  ) {
    switch message {
    case .expansion(let id, let expansion):
      let (controller, session) = remote(id)
      return (controller, .expansion(session, expansion))
    case .declined(let id, let reason):
      let (controller, session) = remote(id)
      return (controller, .declined(session, reason: reason))
    }
  }

  // MARK: Actions

  private func perform(_ actions: [WorkerMachine.Action]) {
    // Mostly there is one controller; messages to it stay together, in order.
    var outgoing: [(controller: ControllerIndex, messages: [WorkerMessage])] = []
    for action in actions {
      switch action {
      case .expand(let tasks): expand(tasks)
      case .send(let message):
        let (controller, message) = Self.forRemote(message)
        if let index = outgoing.firstIndex(where: { $0.controller == controller }) {
          outgoing[index].messages.append(message)
        } else {
          outgoing.append((controller, [message]))
        }
      case .release(let session):
        sessions[Self.remote(session).controller]?.remove(session)
        Task { await draft.release(session) }
      }
    }
    for (controller, messages) in outgoing { send(controller, messages) }
  }

  private func expand(_ tasks: [DraftTask<WorkerMachine.NodeID>]) {
    let requests = tasks.map { ExpansionRequest($0) }
    Task(priority: .high) {
      do {
        let pass = try await draft.expand(requests)
        expansions += tasks.count
        busy += pass.duration
        perform(machine.passFinished(pass.results, duration: pass.duration, passTokens: pass.tokens))
      } catch let error as ModelError where error.code == .cancelled {
        // The engine was shut down: the worker is about to end.
      } catch {
        log.error("draft pass failed", metadata: ["error": "\(error)"])
        perform(machine.passFailed(reason: "\(error)"))
      }
      resumeIfIdle()
    }
  }
}
