import Credentials
import Gateway
import Logging
import Sockets

/// Files with which a server protects its HTTP API, and which say whom it lets in. All are read again when they change.
public struct APICredentials: Sendable {
  /// Keys that clients must show.
  public var keys: String?
  /// The server's certificate and its key, PEM; nil for no TLS.
  public var identity: (certificate: String, key: String)?
  /// Nobody needs a key.
  public var allowsAnyone: Bool

  public init(
    keys: String? = nil, identity: (certificate: String, key: String)? = nil, allowsAnyone: Bool = false
  ) {
    self.keys = keys
    self.identity = identity
    self.allowsAnyone = allowsAnyone
  }

  /// The problem with listening on `address` as it is; nil when there is none.
  public func problem(listeningOn address: HostPort) -> String? {
    GatewayConfiguration.problem(
      host: address.host, port: address.port, hasKeys: keys != nil, allowsAnyone: allowsAnyone)
  }

  /// Reads the files.
  ///
  /// - Throws: `CredentialsError`
  public func apply(to configuration: inout GatewayConfiguration, log: Logger) throws {
    configuration.allowsAnyone = allowsAnyone
    if let keys {
      if let exposure = CredentialFile.exposure(of: keys) { log.warning("\(exposure)") }
      configuration.authenticator = APIKeys(file: try APIKeyFile(path: keys, log: log))
    }
    if let identity {
      let tls = try ReloadingServerTLS(
        certificate: identity.certificate, key: identity.key, clients: .none,
        applicationProtocols: ["http/1.1"], log: log)
      configuration.tlsContext = { tls.context }
    } else if !Loopback.contains(configuration.host) {
      log.warning(
        """
        keys, prompts and answers cross the network unencrypted; give --ssl-cert-file and --ssl-key-file, or put a proxy \
        with TLS in front
        """)
    }
  }
}

/// API keys from a file, as the gateway asks for them.
private struct APIKeys: RequestAuthenticator {
  let file: APIKeyFile

  func identify(bearerToken: [UInt8]) async -> KeyIdentity? {
    guard let key = String(validating: bearerToken, as: UTF8.self) else { return nil }
    return file.name(of: key).map { KeyIdentity(name: $0) }
  }
}
