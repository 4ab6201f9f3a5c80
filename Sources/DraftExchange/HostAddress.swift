internal import NIOCore

/// A host as an operator writes it, and whether only this machine can reach it.
struct HostAddress: Hashable, Sendable {
  /// "localhost" has become 127.0.0.1, so that both sides mean the same address.
  let host: String
  let literal: Literal?

  enum Literal: Hashable, Sendable { case v4, v6 }

  /// - Throws: ``ExchangeError`` `invalidConfiguration` when the host is empty
  init(_ text: String) throws(ExchangeError) {
    let trimmed = text.hasPrefix("[") && text.hasSuffix("]") ? String(text.dropFirst().dropLast()) : text
    guard !trimmed.isEmpty else {
      throw ExchangeError(
        code: .invalidConfiguration, message: "the host is empty; give an address or a name")
    }
    host = trimmed == "localhost" ? "127.0.0.1" : trimmed
    switch try? SocketAddress(ipAddress: host, port: 0) {
    case .v4: literal = .v4
    case .v6: literal = .v6
    case .unixDomainSocket, nil: literal = nil
    }
  }

  /// A name other than "localhost" does not count, whatever it resolves to now.
  var isLoopback: Bool {
    switch literal {
    case .v4: host.hasPrefix("127.")
    case .v6: host == "::1" || host == "0:0:0:0:0:0:0:1"
    case nil: false
    }
  }

  /// Plaintext is for loopback; elsewhere somebody has to have said that it is insecure.
  ///
  /// - Throws: ``ExchangeError`` `insecure`
  func requirePlaintextAllowed(allowInsecure: Bool, to verb: String) throws(ExchangeError) {
    if isLoopback || allowInsecure { return }
    throw ExchangeError(
      code: .insecure,
      message: "refusing to \(verb) \(host) without encryption: anyone on the path could read and change the "
        + "tokens; use a loopback address (through a tunnel, say), or pass --insecure to accept that")
  }
}
