internal import NIOCore
internal import NIOSSL
internal import NIOTLS

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
    case is NIOSSLError, is BoringSSLError, is NIOSSLExtraError: describe("\(error)")
    default: nil
    }
  }

  /// BoringSSL's words for what happens in practice, and what they mean. Those with "ALERT" are what the peer
  /// said, the others what this side found.
  private static let meanings: [(word: String, meaning: String)] = [
    ("ALERT_CERTIFICATE_REQUIRED", "the other side wants a certificate and none was presented"),
    (
      "ALERT_CERTIFICATE_EXPIRED",
      "the other side says that the presented certificate is not in date by its clock"
    ),
    ("ALERT_UNKNOWN_CA", "the other side does not trust the issuer of the presented certificate"),
    ("ALERT_BAD_CERTIFICATE", "the other side does not accept the presented certificate"),
    (
      "ALERT_UNSUPPORTED_CERTIFICATE",
      "the other side says that the presented certificate is for another role"
    ),
    ("ALERT_CERTIFICATE_UNKNOWN", "the other side does not accept the presented certificate"),
    ("ALERT_PROTOCOL_VERSION", "the other side does not speak TLS 1.3"),
    ("PEER_DID_NOT_RETURN_A_CERTIFICATE", "the peer presented no certificate"),
    (
      "CERTIFICATE_VERIFY_FAILED",
      "the peer's certificate is not valid here: another issuer, not in date, or meant for another role"
    ),
    ("UNSUPPORTED_PROTOCOL", "the peer does not speak TLS 1.3"),
    ("WRONG_VERSION_NUMBER", "the peer does not speak TLS"),
    ("HTTP_REQUEST", "the peer sent an unencrypted HTTP request"),
    ("HTTPS_PROXY_REQUEST", "the peer sent an unencrypted HTTP request"),
  ]

  private static func describe(_ text: String) -> String? {
    if text.contains("EOF during handshake") { return nil }
    if text.contains("failedToValidateHostname") {
      return otherName
    }
    if let known = meanings.first(where: { text.contains($0.word) }) { return "TLS: \(known.meaning)" }
    return "TLS: \(FieldChecks.presentable(text, atMost: 512))"
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
