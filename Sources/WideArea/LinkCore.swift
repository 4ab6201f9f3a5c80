import Failures
import NIOCore
import NIOPosix
import NetworkProblems

#if canImport(Glibc)
  import Glibc
#elseif canImport(Musl)
  import Musl
#elseif canImport(Darwin)
  import Darwin
#endif

/// The emulator's state, confined to its event loop: the clock, the bottlenecks, the connections, the counts.
final class LinkCore {
  let configuration: LinkEmulator.Configuration
  let loop: NIOIsolatedEventLoop
  private let onEvent: @Sendable (LinkEvent) -> Void
  private var origin = NIODeadline.now()
  private var connections: [UInt64: LinkConnection] = [:]
  private var nextConnection: UInt64 = 0
  private var upstreamRefuses = false
  private var stopped = false
  private var bottlenecks = [LinkSide.up: LinkBottleneck(), .down: LinkBottleneck()]
  var counts = LinkSnapshot()
  var timing = TimingErrorRecorder()

  init(
    configuration: LinkEmulator.Configuration, loop: any EventLoop,
    onEvent: @escaping @Sendable (LinkEvent) -> Void
  ) {
    self.configuration = configuration
    self.loop = loop.assumeIsolated()
    self.onEvent = onEvent
  }

  // MARK: Time

  /// Nanoseconds since the link came up.
  var now: Int64 { Int64(NIODeadline.now().uptimeNanoseconds) - Int64(origin.uptimeNanoseconds) }

  /// Calls `task` at `time`, which may be in the past.
  func schedule(at time: Int64, _ task: @escaping () -> Void) -> Scheduled<Void> {
    loop.scheduleTask(deadline: origin + .nanoseconds(time), task)
  }

  func linkIsUp() {
    origin = .now()
    for outage in configuration.model.outages where outage.resets { scheduleReset(outage, after: -1) }
  }

  private func scheduleReset(_ outage: Outage, after time: Int64) {
    guard let start = outage.nextStart(after: time) else { return }
    _ = schedule(at: start) { [self] in
      guard !stopped else { return }
      let victims = connections.values.sorted { $0.id < $1.id }
      counts.resetByOutage += victims.count
      for connection in victims { connection.kill() }
      onEvent(.outageReset(connections: victims.count))
      scheduleReset(outage, after: start)
    }
  }

  /// Whether an outage that resets lasts at `time`.
  private func refusesConnections(at time: Int64) -> Bool {
    configuration.model.outages.contains { $0.resets && $0.end(overlapping: time, time) != nil }
  }

  // MARK: Connections

  func accept(_ channel: any Channel) throws {
    counts.connections += 1
    if stopped || refusesConnections(at: now) {
      counts.refusedInOutage += 1
      channel.reset()
      return
    }
    let connection = LinkConnection(id: nextConnection, client: channel, core: self)
    nextConnection += 1
    connections[connection.id] = connection
    counts.openConnections = connections.count
    try channel.pipeline.syncOperations.addHandler(LinkEndpoint(reads: connection.up))
    connection.begin()
  }

  func remove(_ connection: LinkConnection) {
    connections[connection.id] = nil
    counts.openConnections = connections.count
  }

  func dialled(_ failure: (any Error)?) {
    let address = addressText(host: configuration.connectHost, port: configuration.connectPort)
    if let failure {
      counts.refusedByUpstream += 1
      if !upstreamRefuses {
        onEvent(.upstreamRefused(address: address, reason: NetworkProblem.words(failure)))
      }
      upstreamRefuses = true
    } else if upstreamRefuses {
      upstreamRefuses = false
      onEvent(.upstreamAccepted(address: address))
    }
  }

  func stop() {
    stopped = true
    for connection in connections.values.sorted(by: { $0.id < $1.id }) { connection.kill() }
  }

  func snapshot() -> LinkSnapshot {
    var snapshot = counts
    snapshot.error = timing.summary
    return snapshot
  }

  // MARK: Carrying

  func withBottleneck(_ side: LinkSide, _ body: (inout LinkBottleneck) -> Void) {
    body(&bottlenecks[side]!)
  }

  func count(_ side: LinkSide, _ change: (inout LinkSnapshot.Direction) -> Void) {
    if side == .up { change(&counts.up) } else { change(&counts.down) }
  }
}

extension Channel {
  /// Closes with a TCP reset instead of an orderly end.
  func reset() {
    if let socket = self as? any SocketOptionProvider {
      _ = socket.setSoLinger(linger(l_onoff: 1, l_linger: 0))
    }
    close(promise: nil)
  }
}
