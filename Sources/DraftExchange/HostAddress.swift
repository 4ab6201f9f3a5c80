internal import NIOCore
import Sockets

/// A host as an operator writes it, and whether only this machine can reach it.
public struct HostAddress: Hashable, Sendable {
  /// "localhost" has become 127.0.0.1, so that both sides mean the same address.
  let host: String
  let literal: Literal?
  /// As a certificate would have it, without brackets; nil for an IP address.
  let name: String?

  enum Literal: Hashable, Sendable { case v4, v6 }

  /// - Throws: ``ExchangeError`` `invalidConfiguration` when the host is empty
  init(_ text: String) throws(ExchangeError) {
    let trimmed = text.hasPrefix("[") && text.hasSuffix("]") ? String(text.dropFirst().dropLast()) : text
    guard !trimmed.isEmpty else {
      throw ExchangeError(
        code: .invalidConfiguration, message: "the host is empty; give an address or a name")
    }
    host = trimmed.lowercased() == "localhost" ? "127.0.0.1" : trimmed
    switch try? SocketAddress(ipAddress: host, port: 0) {
    case .v4: literal = .v4
    case .v6: literal = .v6
    case .unixDomainSocket, nil: literal = nil
    }
    name = (try? SocketAddress(ipAddress: trimmed, port: 0)) == nil ? trimmed : nil
  }

  /// Plaintext is for loopback; elsewhere somebody has to have said that it is insecure.
  ///
  /// - Throws: ``ExchangeError`` `insecure`
  func requirePlaintextAllowed(allowInsecure: Bool, to verb: String) throws(ExchangeError) {
    if Loopback.contains(host) || allowInsecure { return }
    throw ExchangeError(
      code: .insecure,
      message: "refusing to \(verb) \(host) without encryption: anyone on the path could read and change the "
        + "tokens; set up TLS (wanspec certs), use a loopback address (through a tunnel, say), or pass "
        + "--insecure to accept that")
  }
}
