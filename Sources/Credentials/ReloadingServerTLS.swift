import Foundation
import Logging
import NIOCertificateReloading
import NIOSSL
import X509

/// A certificate chain and its key, read from PEM files and checked against each other.
struct LoadedIdentity: Sendable {
  var chain: [NIOSSLCertificate]
  var key: NIOSSLPrivateKey
  /// Of the leaf.
  var notAfter: Date

  /// - Throws: ``CredentialsError`` that quotes nothing of the key
  init(certificate: String, key keyPath: String) throws {
    let certificates = try PEM.certificates(certificate)
    let leaf = certificates[0]
    let privateKey = try PEM.privateKey(keyPath)
    guard leaf.publicKey == privateKey.publicKey else {
      throw CredentialsError(
        "\(keyPath) is not the key of \(certificate)", hint: "give the pair that was made together")
    }
    do {
      chain = try certificates.map { try NIOSSLCertificate(bytes: PEM.der(of: $0), format: .der) }
      let text = try privateKey.serializeAsPEM().pemString
      key = try NIOSSLPrivateKey(bytes: Array(text.utf8), format: .pem)
    } catch {
      throw CredentialsError("the TLS library cannot use \(certificate) and \(keyPath)")
    }
    notAfter = leaf.notValidAfter
  }

  var sources: (chain: [NIOSSLCertificateSource], key: NIOSSLPrivateKeySource) {
    (chain.map { .certificate($0) }, .privateKey(key))
  }

  static func warn(about certificate: String, key: String, notAfter: Date, _ log: Logger) {
    if let exposure = CredentialFile.exposure(of: key) { log.warning("\(exposure)") }
    let days = notAfter.timeIntervalSinceNow / CertificateDirectory.day
    if days < 0 {
      log.error("\(certificate) expired on \(CredentialDate.text(notAfter)): others will not accept it")
    } else if days < 14 {
      log.warning("\(certificate) expires on \(CredentialDate.text(notAfter)); run: wanspec certs renew")
    }
  }
}

/// Trust in the authorities of a PEM file.
func authorities(_ path: String) throws -> NIOSSLTrustRoots {
  let certificates = try PEM.certificates(path)
  return .certificates(try certificates.map { try NIOSSLCertificate(bytes: PEM.der(of: $0), format: .der) })
}

/// TLS of a server, from files that may change while it runs. TLS 1.3 only.
///
/// New connections use the new files; those that are open are not touched. Files that make no sense are logged
/// and the old ones stay in use.
public final class ReloadingServerTLS: CertificateReloader, Sendable {
  /// What a server asks of its clients.
  public enum ClientCertificates: Hashable, Sendable {
    case none
    /// Whoever presents one must be certified by an authority of this PEM file.
    case optional(authorities: String)
    /// So must everybody.
    case required(authorities: String)
  }

  private struct Loaded: Sendable {
    var identity: LoadedIdentity
    var configuration: TLSConfiguration
    var context: NIOSSLContext
  }

  private let files: ReloadingFiles<Loaded>

  /// - Parameters:
  ///   - certificate: PEM file, the server's own certificate first
  ///   - key: PEM file
  ///   - applicationProtocols: ALPN names, best first
  /// - Throws: ``CredentialsError`` when the files cannot be used now
  public init(
    certificate: String, key: String, clients: ClientCertificates = .none, applicationProtocols: [String],
    interval: Duration = .seconds(1), log: Logger
  ) throws {
    let paths =
      switch clients {
      case .none: [certificate, key]
      case .optional(let authorities), .required(let authorities): [certificate, key, authorities]
      }
    files = try ReloadingFiles("the TLS certificate", paths: paths, interval: interval, log: log) {
      let identity = try LoadedIdentity(certificate: certificate, key: key)
      LoadedIdentity.warn(about: certificate, key: key, notAfter: identity.notAfter, log)
      var configuration = TLSConfiguration.makeServerConfiguration(
        certificateChain: identity.sources.chain, privateKey: identity.sources.key)
      configuration.minimumTLSVersion = .tlsv13
      configuration.applicationProtocols = applicationProtocols
      switch clients {
      case .none: break
      case .optional(let path):
        configuration.trustRoots = try authorities(path)
        configuration.certificateVerification = .optionalVerification
      case .required(let path):
        configuration.trustRoots = try authorities(path)
        configuration.certificateVerification = .noHostnameVerification
      }
      return Loaded(
        identity: identity, configuration: configuration,
        context: try NIOSSLContext(configuration: configuration))
    }
  }

  /// For a server that makes its own context of it once, as Hummingbird's `.tls` does: it asks for the present
  /// certificate and key at every handshake. (A change of the clients' authorities needs a restart there.)
  public var configuration: TLSConfiguration {
    var configuration = files.value.configuration
    configuration.setCertificateReloader(self)
    return configuration
  }

  /// For the next connection, with everything as the files have it.
  public var context: NIOSSLContext { files.value.context }

  public var sslContextConfigurationOverride: NIOSSLContextConfigurationOverride {
    let identity = files.value.identity
    var override = NIOSSLContextConfigurationOverride()
    override.certificateChain = identity.sources.chain
    override.privateKey = identity.sources.key
    return override
  }

  /// When the certificate in use expires.
  public var notAfter: Date { files.value.identity.notAfter }

  /// Looks now whether the files have changed; otherwise that happens within the interval.
  @discardableResult public func check() -> Bool { files.check() }
}
