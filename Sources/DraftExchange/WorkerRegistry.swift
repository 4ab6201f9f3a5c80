internal import NIOCore
internal import NIOSSL
import Sockets
import SpeculationCore
import Synchronization

/// Who is connected and who is attached to a listener.
final class WorkerRegistry: Sendable {
  private struct State {
    var lastID: UInt64 = 0
    var workers: [WorkerID: AttachedWorker] = [:]
    var connections: [String: Connection] = [:]
    /// Final traffic of workers that left, oldest first.
    var departed: [(worker: WorkerID, received: Int, sent: Int)] = []
    var isFinished = false
  }

  private static let departedLimit = 1024

  let total = ByteCounter()
  /// Peers with which TLS did not come about. A flood of them loses some.
  let failures: AsyncStream<(peer: String, reason: String)>
  private let failureInput: AsyncStream<(peer: String, reason: String)>.Continuation
  private let limits: ExchangeLimits
  private let security: ListenerSecurity
  private let state = Mutex(State())

  init(limits: ExchangeLimits, security: ListenerSecurity) {
    self.limits = limits
    self.security = security
    (failures, failureInput) = AsyncStream.makeStream(bufferingPolicy: .bufferingNewest(64))
  }

  // MARK: TCP connections

  /// Counts a new connection's bytes, or closes it when there are too many.
  func accept(_ channel: any Channel) -> EventLoopFuture<Void> {
    guard let peer = channel.remoteAddress?.grpcPeerName else {
      return channel.eventLoop.makeFailedFuture(ChannelError.unknownLocalAddress)
    }
    let connection = Connection(channel: channel, total: total)
    let isAllowed = state.withLock { state in
      if state.connections.count >= limits.maximumConnections { return false }
      state.connections[peer] = connection
      return true
    }
    guard isAllowed else { return channel.close() }
    channel.closeFuture.whenComplete { [weak self] _ in
      self?.noteStranger(connection, peer)
      self?.state.withLock { state in
        // The port may already belong to a new connection.
        if state.connections[peer] === connection { state.connections[peer] = nil }
      }
    }
    connection.requireCall(within: limits.handshakeTimeout)
    guard case .tls(let tls) = security else { return connection.install() }
    let failureInput = failureInput
    return connection.install {
      [
        ApplicationProtocolCheck(["h2"]) {
          failureInput.yield((peer, "TLS: the peer speaks none but \($0), not h2"))
        },
        NIOSSLServerHandler(context: tls.context()),
        TLSFailureObserver {
          // One that does not speak TLS is told of when it is gone.
          guard connection.firstBytes?.surpriseToController(isEncrypted: true) == nil else { return }
          failureInput.yield((peer, $0))
        },
      ]
    }
  }

  /// There are no descriptors for new connections: closes the oldest quarter of those that have not become a worker's.
  func makeRoom() {
    let waiting = state.withLock { state in state.connections.values.filter(\.waitsForCall) }
    for connection in waiting.sorted(by: { $0.opened < $1.opened }).prefix((waiting.count + 3) / 4) {
      connection.close()
    }
  }

  /// Tells of a peer that never made a call because it speaks something else.
  private func noteStranger(_ connection: Connection, _ peer: String) {
    let isEncrypted = if case .tls = security { true } else { false }
    guard connection.waitsForCall,
      let reason = connection.firstBytes?.surpriseToController(isEncrypted: isEncrypted)
    else { return }
    failureInput.yield((peer, reason))
  }

  func connection(of peer: String) -> Connection? {
    state.withLock { $0.connections[peer] }
  }

  // MARK: Workers

  /// Attaches a worker under a new id.
  ///
  /// - Returns: nil when there are too many
  func attach(_ make: (WorkerID) -> AttachedWorker) -> AttachedWorker? {
    state.withLock { state in
      guard state.workers.count < limits.maximumWorkers, !state.isFinished else { return nil }
      state.lastID += 1
      let worker = make(WorkerID(state.lastID))
      state.workers[worker.id] = worker
      return worker
    }
  }

  func detach(_ worker: AttachedWorker) {
    let bytes = worker.connection.bytes
    state.withLock { state in
      state.workers[worker.id] = nil
      state.departed.append((worker.id, bytes.received, bytes.sent))
      if state.departed.count > Self.departedLimit { state.departed.removeFirst() }
    }
  }

  func worker(_ id: WorkerID) -> AttachedWorker? {
    state.withLock { $0.workers[id] }
  }

  func traffic(of id: WorkerID) -> (received: Int, sent: Int) {
    state.withLock { state in
      if let bytes = state.workers[id]?.connection.bytes { return (bytes.received, bytes.sent) }
      guard let departed = state.departed.last(where: { $0.worker == id }) else { return (0, 0) }
      return (departed.received, departed.sent)
    }
  }

  func finish() {
    state.withLock { $0.isFinished = true }
    failureInput.finish()
  }
}
