import NIOCore
import NIOPosix
import NIOSSL
import NIOTLS
import Synchronization

/// What a TLS client saw of a server.
package struct SeenHandshake: Sendable {
  /// DER of the server's certificate.
  package var certificate: [UInt8]?
  /// ALPN.
  package var negotiated: String?
}

/// Does a handshake and closes the connection, without verifying anything.
///
/// - Throws: the TLS library's error when the server refuses
package func handshake(
  port: Int, _ change: (inout TLSConfiguration) -> Void = { _ in }
) async throws -> SeenHandshake {
  var configuration = TLSConfiguration.makeClientConfiguration()
  configuration.certificateVerification = .none
  configuration.applicationProtocols = ["h2"]
  change(&configuration)
  let context = try NIOSSLContext(configuration: configuration)
  let result = MultiThreadedEventLoopGroup.singleton.any().makePromise(of: SeenHandshake.self)
  let bootstrap = ClientBootstrap(group: MultiThreadedEventLoopGroup.singleton).channelInitializer {
    channel in
    channel.eventLoop.makeCompletedFuture {
      try channel.pipeline.syncOperations.addHandlers([
        NIOSSLClientHandler(context: context, serverHostname: nil), HandshakeWatcher(result),
      ])
    }
  }
  do {
    let channel = try await bootstrap.connect(host: "127.0.0.1", port: port).get()
    channel.closeFuture.whenComplete { _ in result.fail(ChannelError.ioOnClosedChannel) }
  } catch {
    result.fail(error)
  }
  return try await result.futureResult.get()
}

private final class HandshakeWatcher: ChannelInboundHandler {
  typealias InboundIn = ByteBuffer

  private let result: EventLoopPromise<SeenHandshake>

  init(_ result: EventLoopPromise<SeenHandshake>) { self.result = result }

  func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
    guard case TLSUserEvent.handshakeCompleted(let negotiated) = event else { return }
    let certificate = try? context.channel.pipeline.syncOperations.nioSSL_peerCertificate()
    result.succeed(SeenHandshake(certificate: try? certificate?.toDERBytes(), negotiated: negotiated))
    context.close(promise: nil)
  }

  func errorCaught(context: ChannelHandlerContext, error: any Error) {
    result.fail(error)
    context.close(promise: nil)
  }
}
