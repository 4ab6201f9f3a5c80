import NIOCore
import NIOPosix

/// One connection through the emulator: two sockets and a pipe each way. Confined to the event loop.
final class LinkConnection {
  let id: UInt64
  let client: any Channel
  private(set) var server: (any Channel)?
  let up: LinkPipe
  let down: LinkPipe
  private let core: LinkCore
  private var handshake: Scheduled<Void>?
  private var dead = false

  init(id: UInt64, client: any Channel, core: LinkCore) {
    self.id = id
    self.client = client
    self.core = core
    let model = core.configuration.model
    up = LinkPipe(.up, LinkSchedule(model, .up, connection: id), core)
    down = LinkPipe(.down, LinkSchedule(model, .down, connection: id), core)
    up.source = client
    down.sink = client
    up.onSourceClosed = { [weak self] in self?.closed(reading: .up) }
    down.onSourceClosed = { [weak self] in self?.closed(reading: .down) }
  }

  /// The SYN is on its way.
  func begin() {
    handshake = core.schedule(at: up.arrivalOfEmptySegment()) { [self] in dial() }
  }

  private func dial() {
    let bound = NIOLoopBound(self, eventLoop: client.eventLoop)
    let bootstrap = ClientBootstrap(group: client.eventLoop)
      .channelOption(.socketOption(.so_rcvbuf), value: LinkPipe.receiveBuffer)
      .channelOption(.tcpOption(.tcp_nodelay), value: 1)
      .channelOption(.autoRead, value: false)
      .channelOption(.maxMessagesPerRead, value: LinkPipe.readsPerTurn)
      .channelOption(.recvAllocator, value: LinkPipe.readAllocator)
      .channelOption(.allowRemoteHalfClosure, value: true)
      .connectTimeout(.seconds(10))
      .channelInitializer { channel in
        channel.eventLoop.makeCompletedFuture {
          try channel.pipeline.syncOperations.addHandler(LinkEndpoint(reads: bound.value.down))
        }
      }
    let (host, port) = (core.configuration.connectHost, core.configuration.connectPort)
    let dialled: EventLoopFuture<any Channel>
    if let address = try? SocketAddress(ipAddress: host, port: port) {
      // A literal address needs no resolver, whose thread would add to the error.
      dialled = bootstrap.connect(to: address)
    } else {
      dialled = bootstrap.connect(host: host, port: port)
    }
    dialled.assumeIsolated().whenComplete { [self] in answered($0) }
  }

  private func answered(_ result: Result<any Channel, any Error>) {
    switch result {
    case .success(let server):
      core.dialled(nil)
      guard !dead else { return server.reset() }
      self.server = server
      up.sink = server
      down.source = server
      // The SYN-ACK travels back; the client may send when it is there, the server when the ACK to it is.
      handshake = core.schedule(at: down.arrivalOfEmptySegment()) { [self] in
        up.startReading()
        handshake = core.schedule(at: up.arrivalOfEmptySegment()) { [self] in
          handshake = nil
          down.startReading()
        }
      }
    case .failure(let error):
      core.dialled(error)
      guard !dead else { return }
      handshake = core.schedule(at: down.arrivalOfEmptySegment()) { [self] in kill() }
    }
  }

  /// A socket is closed altogether: `side`'s pipe has lost its source, the other one its sink.
  private func closed(reading side: LinkSide) {
    let (away, towards) = side == .up ? (up, down) : (down, up)
    // When our side of a socket is closed already, its end closes it altogether, without an event of its own.
    let orderly = towards.endDelivered && !away.sourceFailed
    towards.sinkIsGone()
    if server == nil {
      kill()
    } else {
      away.sourceIsGone(orderly: orderly)
      if !client.isActive && server?.isActive != true { kill() }
    }
  }

  /// Resets both sides now and forgets what was under way.
  func kill() {
    guard !dead else { return }
    dead = true
    handshake?.cancel()
    up.discard()
    down.discard()
    client.reset()
    server?.reset()
    core.remove(self)
  }
}

/// Feeds what a socket reads to a pipe.
final class LinkEndpoint: ChannelInboundHandler {
  typealias InboundIn = ByteBuffer

  private let pipe: LinkPipe

  init(reads pipe: LinkPipe) { self.pipe = pipe }

  func channelRead(context: ChannelHandlerContext, data: NIOAny) { pipe.received(unwrapInboundIn(data)) }

  func channelReadComplete(context: ChannelHandlerContext) { pipe.receivedAll() }

  func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
    if case ChannelEvent.inputClosed? = event as? ChannelEvent { pipe.sourceReachedEnd() }
  }

  func channelInactive(context: ChannelHandlerContext) { pipe.onSourceClosed?() }

  /// A reset by the peer, usually. It is passed on when the channel has become inactive.
  func errorCaught(context: ChannelHandlerContext, error: any Error) {
    pipe.sourceFailed = true
    context.close(promise: nil)
  }
}
