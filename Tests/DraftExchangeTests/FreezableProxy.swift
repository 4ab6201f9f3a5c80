import NIOCore
import NIOPosix
import Synchronization

/// A TCP relay on loopback that can stop relaying while every connection stays open: what the two sides see of
/// a process that was stopped, or of a network that swallows packets.
final class FreezableProxy: Sendable {
  let port: Int
  private let listener: any Channel
  private let connections: Connections

  private final class Connections: Sendable {
    private let state = Mutex<[any Channel]>([])
    var all: [any Channel] { state.withLock { $0 } }
    func add(_ channels: any Channel...) { state.withLock { $0 += channels } }
  }

  /// Relays every connection to `targetPort`.
  static func start(to targetPort: Int) async throws -> FreezableProxy {
    let connections = Connections()
    let listener = try await ServerBootstrap(group: MultiThreadedEventLoopGroup.singleton)
      .serverChannelOption(.socketOption(.so_reuseaddr), value: 1)
      .childChannelInitializer { inner in
        ClientBootstrap(group: inner.eventLoop)
          .connect(host: "127.0.0.1", port: targetPort)
          .flatMapThrowing { outer in
            try inner.pipeline.syncOperations.addHandler(Relay(to: outer))
            try outer.pipeline.syncOperations.addHandler(Relay(to: inner))
            connections.add(inner, outer)
          }
      }
      .bind(host: "127.0.0.1", port: 0).get()
    return FreezableProxy(listener: listener, connections: connections)
  }

  private init(listener: any Channel, connections: Connections) {
    self.listener = listener
    self.connections = connections
    port = listener.localAddress?.port ?? 0
  }

  /// From here on nothing is read from either side.
  func freeze() async throws {
    for channel in connections.all { try await channel.setOption(.autoRead, value: false).get() }
  }

  func stop() async throws {
    try await listener.close()
    for channel in connections.all { try? await channel.close() }
  }

  private final class Relay: ChannelInboundHandler, Sendable {
    typealias InboundIn = ByteBuffer
    private let other: any Channel

    init(to other: any Channel) { self.other = other }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
      other.writeAndFlush(unwrapInboundIn(data), promise: nil)
    }

    func channelInactive(context: ChannelHandlerContext) {
      other.close(promise: nil)
      context.fireChannelInactive()
    }
  }
}
