internal import NIOCore
internal import NIOSSL
internal import NIOTLS
internal import NetworkProblems

/// Notices why TLS did not come about, for the event or the reason that people read. Stands behind the TLS
/// handler and changes nothing.
final class TLSFailureObserver: ChannelInboundHandler {
  typealias InboundIn = ByteBuffer
  typealias InboundOut = ByteBuffer

  private let onFailure: @Sendable (String) -> Void
  private var wasReported = false

  init(onFailure: @escaping @Sendable (String) -> Void) { self.onFailure = onFailure }

  func errorCaught(context: ChannelHandlerContext, error: any Error) {
    if !wasReported, let problem = TLSFailure.describe(error) {
      wasReported = true
      onFailure(problem)
    }
    context.fireErrorCaught(error)
  }
}

/// Lets nothing out before the server's certificate is known to have the right name. Stands right behind the
/// TLS handler of a client.
final class ServerNameGate: ChannelDuplexHandler {
  typealias InboundIn = ByteBuffer
  typealias InboundOut = ByteBuffer
  typealias OutboundIn = ByteBuffer
  typealias OutboundOut = ByteBuffer

  private enum State {
    case waiting(writes: [(data: NIOAny, promise: EventLoopPromise<Void>?)], isFlushed: Bool)
    case open
    case closed
  }

  private let hasName: ([UInt8]) -> Bool
  private let onFailure: () -> Void
  private var state = State.waiting(writes: [], isFlushed: false)

  init(hasName: @escaping ([UInt8]) -> Bool, onFailure: @escaping () -> Void) {
    self.hasName = hasName
    self.onFailure = onFailure
  }

  func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
    guard case TLSUserEvent.handshakeCompleted = event, case .waiting(let writes, let isFlushed) = state
    else {
      context.fireUserInboundEventTriggered(event)
      return
    }
    let certificate = try? context.pipeline.syncOperations.nioSSL_peerCertificate()?.toDERBytes()
    guard let certificate, hasName(certificate) else {
      state = .closed
      onFailure()
      for write in writes { write.promise?.fail(ChannelError.ioOnClosedChannel) }
      context.close(promise: nil)
      return
    }
    state = .open
    context.fireUserInboundEventTriggered(event)
    for write in writes { context.write(write.data, promise: write.promise) }
    if isFlushed { context.flush() }
  }

  func write(context: ChannelHandlerContext, data: NIOAny, promise: EventLoopPromise<Void>?) {
    switch state {
    case .open: context.write(data, promise: promise)
    case .closed: promise?.fail(ChannelError.ioOnClosedChannel)
    case .waiting(var writes, let isFlushed):
      // A preface, settings and one call's headers: the writer waits for the rest.
      writes.append((data, promise))
      state = .waiting(writes: writes, isFlushed: isFlushed)
    }
  }

  func flush(context: ChannelHandlerContext) {
    if case .waiting(let writes, _) = state {
      state = .waiting(writes: writes, isFlushed: true)
    } else {
      context.flush()
    }
  }

  func channelRead(context: ChannelHandlerContext, data: NIOAny) {
    if case .open = state { context.fireChannelRead(data) }
  }

  func channelInactive(context: ChannelHandlerContext) {
    if case .waiting(let writes, _) = state {
      state = .closed
      for write in writes { write.promise?.fail(ChannelError.ioOnClosedChannel) }
    }
    context.fireChannelInactive()
  }
}

enum TLSFailure {
  static let otherName =
    "the controller's certificate is for another host name (see --san of `wanspec certs issue controller`)"

  /// What an error of the TLS library means; nil when it says nothing about why (the peer just went away) or
  /// comes from elsewhere.
  static func describe(_ error: any Error) -> String? {
    switch error {
    case NIOSSLError.uncleanShutdown: nil
    case is NIOSSLExtraError where "\(error)".contains("failedToValidateHostname"): otherName
    default:
      "\(error)".contains("EOF during handshake")
        ? nil : NetworkProblem.tls(error).map { "TLS: \(FieldChecks.presentable($0, atMost: 512))" }
    }
  }
}

extension Connection {
  /// DER of the certificate that the peer presented and TLS verified; nil for none.
  var peerCertificate: [UInt8]? {
    get async {
      guard let certificate = try? await channel.nioSSL_peerCertificate().get() else { return nil }
      return try? certificate.toDERBytes()
    }
  }
}
