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

  /// What has been said of a session, where one worker drafts for it.
  private struct Progress {
    /// Of the last commit.
    var root: Int
    var isPaused = false
    /// The furthest position that was expanded.
    var reach = -1
    var positions: [RemoteNodeID: Int] = [:]
  }

  private let links = Mutex<[WorkerID: Link]>([:])
  private let progress = Mutex<[SessionID: Progress]>([:])
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
      send: { _, messages in
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
      Task { [self] in
        for await message in toController {
          try? await Task.sleep(until: message.arrival)
          await controller.handle(.message(id, message.message))
          if case .expansion(let session, let expansion) = message.message { note(expansion, of: session) }
        }
      },
    ]
    links.withLock { $0[id] = Link(toWorker: workerInput, delay: delay, tasks: tasks) }
    await controller.handle(.attached(id, WorkerPool.Profile(name: "worker-\(id.rawValue)")))
  }

  /// The worker vanishes: nothing more comes or goes.
  func vanish(_ id: WorkerID) {
    guard let link = links.withLock({ $0.removeValue(forKey: id) }) else { return }
    link.toWorker.finish()
    for task in link.tasks { task.cancel() }
  }

  private func note(_ expansion: Expansion, of session: SessionID) {
    progress.withLock { all in
      let position =
        switch expansion.site {
        case .root(let position): position
        case .node(let node): all[session]?.positions[node] ?? -1
        }
      for index in expansion.distribution.candidates.indices {
        all[session]?.positions[expansion.firstChild + RemoteNodeID(index)] = position + 1
      }
      let reach = all[session]?.reach ?? -1
      all[session]?.reach = max(reach, position)
    }
  }

  private func note(_ message: ControllerMessage) {
    progress.withLock { all in
      switch message {
      case .open(let session, let opening): all[session] = Progress(root: opening.context.count - 1)
      case .commit(let session, let commit):
        all[session]?.root = commit.position
        all[session]?.isPaused = commit.pause
      case .close: break
      }
    }
  }

  /// Guesses in a single chain: then it is known how far a worker gets.
  static let chain = DraftLimits(
    passWidth: 1, candidates: 1, minProbability: 0, minPathProbability: 0, maxDepth: 4)

  /// Waits until the controller has heard all that a worker with the limits `chain` has to say about a
  /// session whose root is at `root`; at most 10 s, after which it is for the test's own checks to fail.
  ///
  /// No older root allows to expand the position that is waited for, be the guesses before it right or wrong.
  func waitForGuesses(_ session: SessionID, below root: Int) async {
    await Self.wait {
      progress.withLock { all in
        guard let progress = all[session], progress.root >= root else { return false }
        return progress.isPaused || progress.reach >= root + Self.chain.maxDepth
      }
    }
  }

  /// Waits until `condition` holds, at most 10 s.
  static func wait(until condition: () async -> Bool) async {
    let deadline = ContinuousClock.now + .seconds(10)
    while await !condition(), .now < deadline { try? await Task.sleep(for: .milliseconds(1)) }
  }

  func send(_ message: ControllerMessage, to worker: WorkerID) {
    note(message)
    links.withLock { links in
      guard let link = links[worker] else { return }
      link.toWorker.yield(Delayed(message: message, arrival: .now + link.delay))
    }
  }

  func disconnect(_ worker: WorkerID, reason: String) {
    closed.withLock { $0.append((worker, reason)) }
    vanish(worker)
  }

  func traffic(of worker: WorkerID) -> (received: Int, sent: Int) { (0, 0) }
}
