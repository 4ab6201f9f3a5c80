internal import NIOCore
internal import NIOSSL

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

enum TLSFailure {
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
    ("ALERT_CERTIFICATE_EXPIRED", "the other side says that the presented certificate has expired"),
    ("ALERT_UNKNOWN_CA", "the other side does not trust the issuer of the presented certificate"),
    ("ALERT_BAD_CERTIFICATE", "the other side does not accept the presented certificate"),
    ("ALERT_UNSUPPORTED_CERTIFICATE", "the presented certificate is not meant for this side's role"),
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
      return "the peer's certificate is for another host name (--san at `wanspec certs issue controller`)"
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
