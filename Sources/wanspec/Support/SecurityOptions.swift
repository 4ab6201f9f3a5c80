import ArgumentParser
import CommandSettings
import Console
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
  var isEncrypted: Bool { credentials.isEncrypted }

  /// The problem with dialling `address` as it is; nil when there is none.
  func problem(dialling address: HostPort) -> String? {
    if isEncrypted || insecure || address.isLoopback { return nil }
    return "\(address) is another machine and the connection would be plaintext; give --certs, --tls-ca or "
      + "--token-file for TLS, or add --insecure to allow it."
  }

  private static var tokenVariable: String? {
    ProcessInfo.processInfo.environment["WANSPEC_JOIN_TOKEN"].flatMap { $0.isEmpty ? nil : $0 }
  }

  private var credentials: WorkerCredentials {
    WorkerCredentials(
      folder: certs, authority: authority,
      identity: certificate.flatMap { certificate in key.map { (certificate, $0) } },
      token: tokenFile.map { .file($0) } ?? Self.tokenVariable.map { .text($0) }, serverName: serverName)
  }

  /// Reads the files.
  ///
  /// - Throws: `CommandFailure`
  func connection(log: Logger) throws -> ConnectionSecurity {
    try reportingCredentials { try credentials.security(log: log) }
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
    let credentials = ControllerCredentials(
      folder: certs, identity: certificate.flatMap { certificate in key.map { (certificate, $0) } },
      workerAuthority: workerAuthority, allowedWorkers: allowedWorkers, joinTokens: joinTokens)
    return try reportingCredentials { try credentials.security(log: log) }
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
