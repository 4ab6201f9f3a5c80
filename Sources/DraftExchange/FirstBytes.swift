/// What the first bytes of a peer say of the protocol that it speaks: who dials the wrong port, or forgot about TLS, is told
/// so, and not that some frame is too long.
enum FirstBytes: Sendable, Equatable {
  case tls
  /// Of HTTP/2, either side's preface.
  case http2
  case http1
  case other

  /// Enough to tell them apart.
  static let count = 16

  init(_ bytes: some Sequence<UInt8>) {
    let first = Array(bytes.prefix(Self.count))
    func begins(with text: String) -> Bool { first.starts(with: text.utf8) }
    if first.count >= 2, (0x14...0x17).contains(first[0]), first[1] == 3 {
      self = .tls
    } else if begins(with: "PRI * HTTP/2.0") || (first.count >= 4 && first[0] == 0 && first[3] == 4) {
      // A server begins with its SETTINGS: three bytes of length, then the type.
      self = .http2
    } else if begins(with: "HTTP/1.") || Self.methods.contains(where: { begins(with: $0 + " ") }) {
      self = .http1
    } else {
      self = .other
    }
  }

  private static let methods = ["GET", "POST", "HEAD", "PUT", "DELETE", "OPTIONS", "PATCH", "CONNECT"]

  /// What it means to a worker that a controller begins so; nil where that is as it should be.
  func surpriseToWorker(isEncrypted: Bool) -> String? {
    switch self {
    case .http1:
      "an HTTP server answers there, not a controller; dial the port of --listen, not that of --port"
    case .tls:
      isEncrypted
        ? nil
        : "that port wants TLS; give --certs, or --tls-ca with --token-file or --tls-cert and --tls-key"
    case .http2, .other:
      isEncrypted ? "that port does not speak TLS; leave out --certs and --tls-ca, or set TLS up there" : nil
    }
  }

  /// What it means to a controller that a peer begins so; nil where that is as it should be.
  func surpriseToController(isEncrypted: Bool) -> String? {
    switch self {
    case .http1: "spoke HTTP/1, as clients do; this port is for workers, the API's is that of --port"
    case .tls: isEncrypted ? nil : "spoke TLS, and this port has none; give --certs here, or none there"
    case .http2:
      isEncrypted ? "spoke without TLS, which this port wants; give --certs or --tls-ca there" : nil
    case .other: nil
    }
  }
}
