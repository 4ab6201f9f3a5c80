internal import NIOCore
import SpeculationCore
import Synchronization

/// Bytes of TCP payload, both ways. HTTP/2 and gRPC framing count, TCP and IP headers do not.
final class ByteCounter: Sendable {
  private let receivedBytes = Atomic<Int>(0)
  private let sentBytes = Atomic<Int>(0)

  var received: Int { receivedBytes.load(ordering: .relaxed) }
  var sent: Int { sentBytes.load(ordering: .relaxed) }

  func addReceived(_ bytes: Int) { receivedBytes.add(bytes, ordering: .relaxed) }
  func addSent(_ bytes: Int) { sentBytes.add(bytes, ordering: .relaxed) }
}

/// One TCP connection under the exchange.
final class Connection: Sendable {
  let channel: any Channel
  let bytes = ByteCounter()
  let opened = NIODeadline.now()
  private let total: ByteCounter
  private let lastRead: Atomic<UInt64>
  private let hasCall = Atomic<Bool>(false)
  private let first = Mutex<[UInt8]>([])

  /// - Parameter total: counts the bytes of all connections together
  init(channel: any Channel, total: ByteCounter) {
    self.channel = channel
    self.total = total
    lastRead = Atomic(NIODeadline.now().uptimeNanoseconds)
  }

  /// Time since the peer last sent a byte, whatever it was: a long frame on a slow link is a sign of life.
  var silence: Duration {
    .nanoseconds(Int64(clamping: NIODeadline.now().uptimeNanoseconds - lastRead.load(ordering: .relaxed)))
  }

  /// What the peer speaks; nil while it has said nothing.
  var firstBytes: FirstBytes? {
    let bytes = first.withLock { $0 }
    return bytes.isEmpty ? nil : FirstBytes(bytes)
  }

  /// Adds a handler between the socket and everything else, and makes sure that small frames leave at once.
  ///
  /// - Parameter security: makes the handlers that encrypt, the one nearest the socket first; none: plaintext
  func install(
    security: @escaping @Sendable () throws -> [any ChannelHandler] = { [] }
  ) -> EventLoopFuture<Void> {
    channel.eventLoop.submit { [self] in
      // The meter counts what is on the wire, so it comes before the encryption.
      let handlers = try [Meter(connection: self)] + security()
      try channel.pipeline.syncOperations.addHandlers(handlers, position: .first)
    }.flatMap { [channel] in
      channel.setOption(.tcpOption(.tcp_nodelay), value: 1)
    }
  }

  /// No call has begun.
  var waitsForCall: Bool { !hasCall.load(ordering: .relaxed) }

  /// A call has begun, which ends the connection when it ends itself.
  func noteCall() { hasCall.store(true, ordering: .relaxed) }

  /// Closes the connection if no call has begun within `timeout`, be it that the peer says nothing at all or
  /// that it speaks another protocol.
  func requireCall(within timeout: Duration) {
    let closing = channel.eventLoop.scheduleTask(in: .nanoseconds(timeout.wholeNanoseconds)) { [self] in
      if waitsForCall { channel.close(promise: nil) }
    }
    channel.closeFuture.whenComplete { _ in closing.cancel() }
  }

  /// Closes the connection, `grace` from now so that a last status can still leave.
  func close(after grace: TimeAmount = .zero) {
    guard channel.isActive else { return }
    _ = channel.eventLoop.scheduleTask(in: grace) { [channel] in
      channel.close(promise: nil)
    }
  }

  private func noteRead(_ buffer: ByteBuffer) {
    let count = buffer.readableBytes
    lastRead.store(NIODeadline.now().uptimeNanoseconds, ordering: .relaxed)
    if bytes.received < FirstBytes.count {
      first.withLock { $0 += buffer.readableBytesView.prefix(FirstBytes.count - $0.count) }
    }
    bytes.addReceived(count)
    total.addReceived(count)
  }

  private func noteWrite(_ count: Int) {
    bytes.addSent(count)
    total.addSent(count)
  }

  private final class Meter: ChannelDuplexHandler {
    typealias InboundIn = ByteBuffer
    typealias InboundOut = ByteBuffer
    typealias OutboundIn = ByteBuffer
    typealias OutboundOut = ByteBuffer

    private let connection: Connection

    init(connection: Connection) { self.connection = connection }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
      connection.noteRead(unwrapInboundIn(data))
      context.fireChannelRead(data)
    }

    func write(context: ChannelHandlerContext, data: NIOAny, promise: EventLoopPromise<Void>?) {
      connection.noteWrite(unwrapOutboundIn(data).readableBytes)
      context.write(data, promise: promise)
    }
  }
}

extension SocketAddress {
  /// The name under which gRPC shows the peer at this address to a handler (`ServerContext.remotePeer`).
  var grpcPeerName: String? {
    switch self {
    case .v4(let address): "ipv4:\(address.host):\(port ?? 0)"
    case .v6(let address): "ipv6:[\(address.host)]:\(port ?? 0)"
    case .unixDomainSocket: nil
    }
  }
}

extension Connection {
  /// Time that what has already arrived gets to be read, should this process itself have been stopped.
  private static let readingGrace = Duration.milliseconds(20)

  /// Returns when the peer sent nothing for `limit`.
  ///
  /// - Throws: ``CancellationError``
  func waitForSilence(of limit: Duration) async throws {
    while true {
      let silence = silence
      if silence < limit {
        try await Task.sleep(for: limit - silence)
      } else {
        try await Task.sleep(for: Self.readingGrace)
        if self.silence >= limit { return }
      }
    }
  }
}
