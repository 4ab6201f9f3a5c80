import Failures
import NIOCore
import NIOPosix
import NIOSSL

#if canImport(Glibc)
  import Glibc
#elseif canImport(Musl)
  import Musl
#elseif canImport(Darwin)
  import Darwin
#endif

/// What the network's errors mean, in the system's words or ours; as text they have brackets that do not close, numbers and
/// places in a library's source.
package enum NetworkProblem {
  /// One line, without a full stop.
  package static func words(_ error: any Error) -> String {
    switch error {
    case let error as IOError: String(cString: strerror(error.errnoCode))
    case let error as NIOConnectionError:
      error.connectionErrors.last.map { words($0.error) } ?? "the name cannot be resolved"
    case ChannelError.connectTimeout: "no connection came about in time"
    case ChannelError.eof, ChannelError.ioOnClosedChannel, ChannelError.inputClosed,
      ChannelError.outputClosed, ChannelError.alreadyClosed:
      "the connection ended"
    default: tls(error).map { "TLS: \($0)" } ?? "\(error)".withoutSourcePlaces
    }
  }

  /// What an error of the TLS library means; nil for any other.
  package static func tls(_ error: any Error) -> String? {
    switch error {
    case NIOSSLError.uncleanShutdown: "the connection ended without TLS's goodbye"
    case is NIOSSLError, is BoringSSLError, is NIOSSLExtraError: tls("\(error)")
    default: nil
    }
  }

  private static func tls(_ text: String) -> String {
    if text.contains("EOF during handshake") { return "the connection ended within the handshake" }
    if text.contains("failedToValidateHostname") { return "the certificate is for another host name" }
    if let known = meanings.first(where: { text.contains($0.word) }) { return known.meaning }
    // "error:10000410:SSL routines:OPENSSL_internal:SSLV3_ALERT_HANDSHAKE_FAILURE at FILE:590"
    if let reason = text.firstMatch(of: #/OPENSSL_internal:([A-Za-z0-9_]+)/#)?.output.1 {
      return reason.lowercased().split(separator: "_").joined(separator: " ")
    }
    return text.withoutSourcePlaces
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
}
