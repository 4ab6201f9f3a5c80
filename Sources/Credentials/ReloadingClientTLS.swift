import Foundation
import Logging
import NIOSSL

/// TLS of a client, from files that may change while it runs. TLS 1.3 only; the server's name is verified.
public final class ReloadingClientTLS: Sendable {
  private let files: ReloadingFiles<NIOSSLContext>

  /// - Parameters:
  ///   - authorities: PEM file of those that may certify the server; nil: the system's
  ///   - identity: PEM files of the client's own certificate and key, if it has one
  /// - Throws: ``CredentialsError`` when the files cannot be used now
  public init(
    authorities path: String?, identity: (certificate: String, key: String)?, applicationProtocols: [String],
    interval: Duration = .seconds(1), log: Logger
  ) throws {
    let paths = [path, identity?.certificate, identity?.key].compactMap { $0 }
    files = try ReloadingFiles("the TLS certificate", paths: paths, interval: interval, log: log) {
      var configuration = TLSConfiguration.makeClientConfiguration()
      configuration.minimumTLSVersion = .tlsv13
      configuration.applicationProtocols = applicationProtocols
      if let path { configuration.trustRoots = try authorities(path) }
      if let identity {
        let loaded = try LoadedIdentity(certificate: identity.certificate, key: identity.key)
        LoadedIdentity.warn(
          about: identity.certificate, key: identity.key, notAfter: loaded.notAfter, log)
        configuration.certificateChain = loaded.sources.chain
        configuration.privateKey = loaded.sources.key
      }
      return try NIOSSLContext(configuration: configuration)
    }
  }

  /// For the next connection.
  public var context: NIOSSLContext { files.value }

  @discardableResult public func check() -> Bool { files.check() }
}
