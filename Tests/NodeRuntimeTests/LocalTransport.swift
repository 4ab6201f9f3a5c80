import NodeRuntime
import SpeculationCore
import SpeculationTesting
import Synchronization

/// Workers in this process, joined to a controller by delayed, ordered queues instead of sockets.
final class LocalTransport: WorkerTransport {
  /// A message and when it arrives. Messages under way at the same time do not wait for each other.
  private struct Delayed<Message: Sendable>: Sendable {
    var message: Message
    var arrival: ContinuousClock.Instant
  }

  private struct Link {
    var toWorker: AsyncStream<Delayed<ControllerMessage>>.Continuation
    var delay: Duration
    var tasks: [Task<Void, Never>]
  }

  private let links = Mutex<[WorkerID: Link]>([:])
  private let closed = Mutex<[(WorkerID, String)]>([])

  /// Workers that the controller disconnected, with its reasons.
  var disconnected: [(WorkerID, String)] { closed.withLock { $0 } }

  /// Attaches a worker whose messages take `delay` each way.
  func attach(
    _ id: WorkerID, to controller: ControllerNode, draft: ScriptedDraft,
    limits: DraftLimits = DraftLimits(), delay: Duration
  ) async {
    let (toWorker, workerInput) = AsyncStream<Delayed<ControllerMessage>>.makeStream()
    let (toController, controllerInput) = AsyncStream<Delayed<WorkerMessage>>.makeStream()
    let node = WorkerNode(
      draft: draft,
      configuration: WorkerMachine.Configuration(limits: limits, contextLength: draft.model.contextLength),
      send: { messages in
        for message in messages {
          controllerInput.yield(Delayed(message: message, arrival: .now + delay))
        }
      })
    let tasks = [
      Task {
        for await message in toWorker {
          try? await Task.sleep(until: message.arrival)
          try! await node.handle(message.message)
        }
      },
      Task {
        for await message in toController {
          try? await Task.sleep(until: message.arrival)
          await controller.handle(.message(id, message.message))
        }
      },
    ]
    links.withLock { $0[id] = Link(toWorker: workerInput, delay: delay, tasks: tasks) }
    await controller.handle(.attached(id, name: "worker-\(id.rawValue)"))
  }

  /// The worker vanishes: nothing more comes or goes.
  func vanish(_ id: WorkerID) {
    guard let link = links.withLock({ $0.removeValue(forKey: id) }) else { return }
    link.toWorker.finish()
    for task in link.tasks { task.cancel() }
  }

  func send(_ message: ControllerMessage, to worker: WorkerID) {
    links.withLock { links in
      guard let link = links[worker] else { return }
      link.toWorker.yield(Delayed(message: message, arrival: .now + link.delay))
    }
  }

  func disconnect(_ worker: WorkerID, reason: String) {
    closed.withLock { $0.append((worker, reason)) }
    vanish(worker)
  }
}
