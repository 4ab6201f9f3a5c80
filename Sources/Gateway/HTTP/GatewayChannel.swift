import Hummingbird
import HummingbirdCore
import Logging
import NIOCore
import NIOHTTPTypesHTTP1
import NIOSSL
import Sockets

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
  let idle: IdleConnections

  func setup(channel: any Channel, logger: Logger) -> EventLoopFuture<Value> {
    let connection = ClientConnection()
    return channel.eventLoop.makeCompletedFuture { () throws -> NIOLoopBound<ConnectionGuard> in
      let pipeline = channel.pipeline.syncOperations
      try? channel.syncOptions?.setOption(.tcpOption(.tcp_nodelay), value: 1)
      if let tlsContext = configuration.tlsContext {
        try pipeline.addHandler(ApplicationProtocolCheck(["http/1.1"]))
        try pipeline.addHandler(NIOSSLServerHandler(context: tlsContext()))
      }
      let guardian = ConnectionGuard(connection: connection, limits: configuration.limits, idle: idle)
      try pipeline.addHandler(ByteWatch(guardian))
      metrics.connectionOpened()
      channel.closeFuture.whenComplete { [metrics] _ in metrics.connectionClosed() }
      return NIOLoopBound(guardian, eventLoop: channel.eventLoop)
    }.flatMap { guardian in
      let base = http1(guardian)
      return base.setup(channel: channel, logger: logger).flatMapThrowing { http in
        let pipeline = channel.pipeline.syncOperations
        let codec = try pipeline.handler(type: HTTP1ToHTTPServerCodec.self)
        try pipeline.addHandler(HeadRules(guardian.value), position: .before(codec))
        return Value(http: http, base: base, connection: connection)
      }
    }
  }

  private func http1(_ guardian: NIOLoopBound<ConnectionGuard>) -> HTTP1Channel {
    let limits = configuration.limits
    return HTTP1Channel(
      responder: responder,
      configuration: .init(
        additionalChannelHandlers: [guardian.value], idleTimeout: TimeAmount(limits.idleTimeout),
        httpDecoderConfiguration: .init(
          maxHeaderFieldSize: limits.headerBytes, maxHeaderListSize: limits.headerBytes,
          maxHeaderFieldCount: limits.headerFields)))
  }

  func handle(value: Value, logger: Logger) async {
    await ClientConnection.$current.withValue(value.connection) {
      await value.base.handle(value: value.http, logger: logger)
    }
  }
}
