import Hummingbird
import HummingbirdCore
import Logging
import NIOCore
import NIOSSL

/// How a connection is set up: TLS where there is any, the watch over it, HTTP/1.1.
struct GatewayChannel: ServerChildChannel {
  struct Value: ServerChildChannelValue {
    let http: HTTP1Channel.Value
    let base: HTTP1Channel
    let connection: ClientConnection

    var channel: any Channel { http.channel }
  }

  let responder: HTTPChannelHandler.Responder
  let configuration: GatewayConfiguration
  let metrics: GatewayMetrics

  func setup(channel: any Channel, logger: Logger) -> EventLoopFuture<Value> {
    let connection = ClientConnection()
    return channel.eventLoop.makeCompletedFuture { () throws -> HTTP1Channel in
      let pipeline = channel.pipeline.syncOperations
      try? channel.syncOptions?.setOption(.tcpOption(.tcp_nodelay), value: 1)
      if let tlsContext = configuration.tlsContext {
        try pipeline.addHandler(NIOSSLServerHandler(context: tlsContext()))
      }
      let guardian = ConnectionGuard(connection: connection, limits: configuration.limits)
      try pipeline.addHandler(ByteWatch(guardian))
      let limits = configuration.limits
      let bound = NIOLoopBound(guardian, eventLoop: channel.eventLoop)
      metrics.connectionOpened()
      channel.closeFuture.whenComplete { [metrics] _ in metrics.connectionClosed() }
      return HTTP1Channel(
        responder: responder,
        configuration: .init(
          additionalChannelHandlers: [bound.value], idleTimeout: TimeAmount(limits.idleTimeout),
          httpDecoderConfiguration: .init(
            maxHeaderFieldSize: limits.headerBytes, maxHeaderListSize: limits.headerBytes,
            maxHeaderFieldCount: limits.headerFields)))
    }.flatMap { base in
      base.setup(channel: channel, logger: logger).map {
        Value(http: $0, base: base, connection: connection)
      }
    }
  }

  func handle(value: Value, logger: Logger) async {
    await ClientConnection.$current.withValue(value.connection) {
      await value.base.handle(value: value.http, logger: logger)
    }
  }
}
