import Logging
import ModelBackend
import SpeculationCore

/// Runs a worker: interprets the actions of its machine with a draft model and a connection to a controller.
public actor WorkerNode {
  private let draft: any DraftModel
  private let send: @Sendable ([WorkerMessage]) -> Void
  private let log: Logger
  private var machine: WorkerMachine
  /// Nodes expanded since the start.
  public private(set) var expansions = 0
  /// Time the draft model computed.
  public private(set) var busy: Duration = .zero

  /// - Parameter send: hands messages that are ready together to the connection; must not block
  public init(
    draft: any DraftModel, configuration: WorkerMachine.Configuration, cost: CostCurve = CostCurve(),
    log: Logger = Logger(label: "wanspec.worker"), send: @escaping @Sendable ([WorkerMessage]) -> Void
  ) {
    self.draft = draft
    self.send = send
    self.log = log
    machine = WorkerMachine(configuration: configuration, cost: cost)
  }

  /// Takes in a message from the controller.
  ///
  /// - Throws: `ProtocolViolation` when the controller broke the protocol; drop the connection then.
  public func handle(_ message: ControllerMessage) throws(ProtocolViolation) {
    switch message {
    case .open(let session, let context, let sampling):
      perform(try machine.open(session, context: context, sampling: sampling))
    case .commit(let session, let position, let tokens, let pause):
      perform(try machine.commit(session, position: position, tokens: tokens, pause: pause))
    case .close(let session):
      perform(machine.close(session))
    }
  }

  /// The connection is gone, and every session of it.
  public func disconnected() {
    perform(machine.closeAll())
  }

  public var sessionCount: Int { machine.sessionCount }

  private func perform(_ actions: [WorkerMachine.Action]) {
    var messages: [WorkerMessage] = []
    for action in actions {
      switch action {
      case .expand(let tasks): expand(tasks)
      case .send(let message): messages.append(message)
      case .release(let session): Task { await draft.release(session) }
      }
    }
    if !messages.isEmpty { send(messages) }
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
    }
  }
}
