import ArgumentParser
import Credentials
import DraftExchange
import Foundation
import Logging
import Serving

/// How a worker protects its connection and shows who it is.
struct WorkerSecurityOptions: ParsableArguments {
  @Option(Settings.workerCerts) var certs: String?

  @Option(Settings.controllerAuthority) var authority: String?

  @Option(Settings.workerCertificate) var certificate: String?

  @Option(Settings.tlsKey) var key: String?

  @Option(Settings.serverName) var serverName: String?

  @Option(Settings.tokenFile) var tokenFile: String?

  @Flag(Settings.insecure) var insecure = false

  mutating func validate() throws {
    certs = try Settings.workerCerts.resolve(certs)
    authority = try Settings.controllerAuthority.resolve(authority)
    certificate = try Settings.workerCertificate.resolve(certificate)
    key = try Settings.tlsKey.resolve(key)
    serverName = try Settings.serverName.resolve(serverName)
    tokenFile = try Settings.tokenFile.resolve(tokenFile)
    insecure = try Settings.insecure.resolve(insecure)
    if (certificate == nil) != (key == nil) {
      throw ValidationError("--tls-cert and --tls-key belong together; give both.")
    }
    if serverName != nil, !isEncrypted {
      throw ValidationError("--tls-server-name needs TLS: give --certs, --tls-ca or --token-file.")
    }
  }

  /// TLS is used as soon as anything of it is given.
  var isEncrypted: Bool {
    certs != nil || authority != nil || certificate != nil || tokenFile != nil || Self.tokenVariable != nil
  }

  /// The problem with dialling `address` as it is; nil when there is none.
  func problem(dialling address: HostPort) -> String? {
    if isEncrypted || insecure || address.isLoopback { return nil }
    return "\(address) is another machine and the connection would be plaintext; give --certs, --tls-ca or "
      + "--token-file for TLS, or add --insecure to allow it."
  }

  private static var tokenVariable: String? {
    ProcessInfo.processInfo.environment["WANSPEC_JOIN_TOKEN"].flatMap { $0.isEmpty ? nil : $0 }
  }

  /// Reads the files.
  ///
  /// - Throws: `CommandFailure`
  func connection(log: Logger) throws -> ConnectionSecurity {
    guard isEncrypted else { return .plaintext }
    return try reportingCredentials {
      var authority = authority
      var identity = certificate.flatMap { certificate in key.map { (certificate, $0) } }
      if let certs {
        let folder = CertificateDirectory(certs)
        authority = authority ?? folder.authority
        let hasToken = tokenFile != nil || Self.tokenVariable != nil
        if identity == nil {
          do {
            let pair = try folder.pair(.worker)
            identity = (pair.certificate, pair.key)
          } catch {
            // With a token, the folder is there for ca.pem.
            if !hasToken { throw error }
          }
        }
      }
      let tls = try ReloadingClientTLS(
        authorities: authority, identity: identity, applicationProtocols: ["h2"], log: log)
      return .tls(
        ClientTLS(
          context: { tls.context }, token: try token(log: log), serverName: serverName,
          isCertificate: { CertificateHosts.certificate($0, isFor: $1) }))
    }
  }

  private func token(log: Logger) throws -> @Sendable () -> String? {
    guard let tokenFile else {
      let token = Self.tokenVariable
      return { token }
    }
    if let exposure = CredentialFile.exposure(of: tokenFile) { log.warning("\(exposure)") }
    let file = try ReloadingFiles("the join token", paths: [tokenFile], log: log) {
      let token = try CredentialFile.readText(tokenFile).trimmingCharacters(in: .whitespacesAndNewlines)
      guard !token.isEmpty, !token.contains(where: \.isWhitespace) else {
        throw CredentialsError(
          "\(tokenFile) does not hold one join token", hint: "write the token into it, and nothing else")
      }
      return token
    }
    return { file.value }
  }
}

/// How a controller protects the port for its workers and whom it lets in.
struct ListenerSecurityOptions: ParsableArguments {
  @Option(Settings.certs) var certs: String?

  @Option(Settings.controllerCertificate) var certificate: String?

  @Option(Settings.tlsKey) var key: String?

  @Option(Settings.workerAuthority) var workerAuthority: String?

  @Option(Settings.allowedWorkers) var allowedWorkers: String?

  @Option(Settings.joinTokens) var joinTokens: String?

  @Flag(Settings.insecure) var insecure = false

  mutating func validate() throws {
    certs = try Settings.certs.resolve(certs)
    certificate = try Settings.controllerCertificate.resolve(certificate)
    key = try Settings.tlsKey.resolve(key)
    workerAuthority = try Settings.workerAuthority.resolve(workerAuthority)
    allowedWorkers = try Settings.allowedWorkers.resolve(allowedWorkers)
    joinTokens = try Settings.joinTokens.resolve(joinTokens)
    insecure = try Settings.insecure.resolve(insecure)
    if (certificate == nil) != (key == nil) {
      throw ValidationError("--tls-cert and --tls-key belong together; give both.")
    }
    if !isEncrypted, workerAuthority ?? allowedWorkers ?? joinTokens != nil {
      throw ValidationError(
        "--worker-ca, --worker-allow and --join-tokens need TLS; give --tls-cert and --tls-key, or --certs.")
    }
    if certs == nil, isEncrypted, workerAuthority == nil, joinTokens == nil {
      throw ValidationError("Say which workers may attach: give --worker-ca, --join-tokens or both.")
    }
    if certs == nil, allowedWorkers != nil, workerAuthority == nil {
      throw ValidationError("--worker-allow lists certificates and needs --worker-ca.")
    }
  }

  var isEncrypted: Bool { certs != nil || certificate != nil }

  /// The problem with listening on `address` as it is; nil when there is none.
  func problem(listeningOn address: HostPort) -> String? {
    if isEncrypted || insecure || address.isLoopback { return nil }
    return "workers would reach \(address) from other machines in plaintext; give --certs, or --tls-cert and "
      + "--tls-key, for TLS, or add --insecure to allow it."
  }

  /// Reads the files.
  ///
  /// - Throws: `CommandFailure`
  func listener(log: Logger) throws -> ListenerSecurity {
    guard isEncrypted else { return .plaintext }
    return try reportingCredentials {
      var (certificate, key) = (certificate, key)
      var (authority, allowed, tokens) = (workerAuthority, allowedWorkers, joinTokens)
      if let certs {
        let folder = CertificateDirectory(certs)
        if certificate == nil {
          let pair = try folder.pair(.controller)
          (certificate, key) = (pair.certificate, pair.key)
        }
        // Another authority's certificates are not on this folder's list.
        if authority == nil { allowed = allowed ?? folder.allowedWorkers }
        authority = authority ?? folder.authority
        if tokens == nil, FileManager.default.fileExists(atPath: folder.joinTokens) {
          tokens = folder.joinTokens
        }
      }
      let clients: ReloadingServerTLS.ClientCertificates =
        switch (authority, tokens) {
        case (nil, _): .none
        case (let authority?, nil): .required(authorities: authority)
        case (let authority?, _?): .optional(authorities: authority)
        }
      let tls = try ReloadingServerTLS(
        certificate: certificate!, key: key!, clients: clients, applicationProtocols: ["h2"], log: log)
      let gate = try WorkerGate(
        certificates: authority != nil, allowedWorkers: allowed, joinTokens: tokens, log: log)
      return .tls(ServerTLS(context: { tls.context }, authenticator: ExchangeAuthenticator(gate: gate)))
    }
  }
}

/// What went wrong with a credential, as commands tell it.
func reportingCredentials<Result>(_ body: () throws -> Result) throws -> Result {
  do {
    return try body()
  } catch let error as CredentialsError {
    throw CommandFailure(error.message, hint: error.hint)
  }
}
