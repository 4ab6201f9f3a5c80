import NIOSSL

/// TLS contexts for a gateway.
public enum GatewayTLS {
  /// A context for `GatewayConfiguration.tlsContext`: TLS 1.3 or newer, HTTP/1.1 by ALPN. For certificates that are
  /// exchanged while the server runs, give the configuration a certificate reloader first, or return other contexts
  /// later.
  ///
  /// - Throws: what NIOSSL says of the certificates and keys.
  public static func context(_ configuration: TLSConfiguration) throws -> NIOSSLContext {
    var configuration = configuration
    configuration.minimumTLSVersion = .tlsv13
    configuration.applicationProtocols = ["http/1.1"]
    return try NIOSSLContext(configuration: configuration)
  }
}
