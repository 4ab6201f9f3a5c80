import Logging
import ModelBackend
import SpeculationCore

/// Runs a worker: interprets the actions of its machine with a draft model and connections to controllers.
///
/// One machine drafts for the sessions of all controllers, so each pass goes to the nodes that are most likely to be
/// used, whoever asked for them.
public actor WorkerNode {
  /// One of the controllers that the worker serves, counted from 0.
  public typealias ControllerIndex = SpeculationCore.ControllerIndex

  /// Controllers that one worker can serve.
  public static let maxControllers = WorkerMachine.maxControllers

  private let draft: any DraftModel
  private let send: @Sendable (ControllerIndex, [WorkerMessage]) -> Void
  private let log: Logger
  private var machine: WorkerMachine
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
    perform(try machine.receive(message, from: controller))
  }

  /// The connection to a controller is gone, and every session of it.
  public func disconnected(from controller: ControllerIndex = 0) {
    perform(machine.disconnected(from: controller))
  }

  public var sessionCount: Int { machine.sessionCount }

  // MARK: Leaving

  /// Takes no more sessions; those that are open go on until their controllers close them.
  public func drain() { machine.drain() }

  /// Returns when no session is open, or with `giveUpWaiting`.
  public func waitUntilIdle() async {
    guard machine.sessionCount > 0 else { return }
    await withCheckedContinuation { idleWaiters.append($0) }
  }

  public func giveUpWaiting() {
    for waiter in idleWaiters { waiter.resume() }
    idleWaiters = []
  }

  // MARK: Actions

  private func perform(_ actions: [WorkerMachine.Action]) {
    for (controller, messages) in WorkerMachine.outgoing(actions) { send(controller, messages) }
    for action in actions {
      switch action {
      case .expand(let tasks): run { try await $0.expand(tasks) }
      case .read(let task): run { try await $0.read(task) }
      case .send: break
      case .release(let session): Task { await draft.release(session) }
      case .discard(let sequence): Task { await draft.discard(sequence) }
      }
    }
    if machine.sessionCount == 0 { giveUpWaiting() }
  }

  /// A pass of the draft model, then what follows from it.
  private func run(_ pass: @escaping @Sendable (isolated WorkerNode) async throws -> [WorkerMachine.Action]) {
    Task(priority: .high) {
      do {
        perform(try await pass(self))
      } catch let error as ModelError where error.code == .cancelled {
        // The engine was shut down: the worker is about to end.
      } catch {
        log.error("draft pass failed", metadata: ["error": "\(error)"])
        perform(machine.passFailed(reason: "\(error)"))
      }
    }
  }

  private func expand(_ tasks: [DraftTask<WorkerMachine.NodeID>]) async throws -> [WorkerMachine.Action] {
    let pass = try await draft.expand(tasks.map { ExpansionRequest($0) })
    expansions += tasks.count
    busy += pass.duration
    return machine.passFinished(pass.results, duration: pass.duration, passTokens: pass.tokens)
  }

  private func read(_ task: ReadingTask) async throws -> [WorkerMachine.Action] {
    let pass = try await draft.read(
      ReadingRequest(session: task.sequence, tokens: task.tokens, limit: task.limit))
    busy += pass.duration
    return machine.readingFinished(
      cached: pass.results.first ?? 0, passTokens: pass.tokens, duration: pass.duration)
  }
}
