import Credentials
import DraftExchange
import Foundation
import Logging

/// Files with which a controller protects the port for its workers, and which say whom it lets in. All are read again when
/// they change.
public struct ControllerCredentials: Sendable {
  /// A folder of `wanspec certs`, which stands for all that is not named.
  public var folder: String?
  /// This controller's certificate and its key, PEM.
  public var identity: (certificate: String, key: String)?
  /// The authority that certifies workers, PEM.
  public var workerAuthority: String?
  /// Workers that may attach by certificate; nil for all that the authority certified.
  public var allowedWorkers: String?
  /// Join tokens that let workers attach.
  public var joinTokens: String?

  public init(
    folder: String? = nil, identity: (certificate: String, key: String)? = nil,
    workerAuthority: String? = nil, allowedWorkers: String? = nil, joinTokens: String? = nil
  ) {
    self.folder = folder
    self.identity = identity
    self.workerAuthority = workerAuthority
    self.allowedWorkers = allowedWorkers
    self.joinTokens = joinTokens
  }

  /// Reads the files: TLS where there is an identity or a folder, plaintext otherwise.
  ///
  /// - Throws: `CredentialsError`
  public func security(log: Logger) throws -> ListenerSecurity {
    var (identity, authority, allowed, tokens) = (identity, workerAuthority, allowedWorkers, joinTokens)
    if let folder {
      let folder = CertificateDirectory(folder)
      if identity == nil {
        let pair = try folder.pair(.controller)
        identity = (pair.certificate, pair.key)
      }
      // Another authority's certificates are not on this folder's list.
      if authority == nil { allowed = allowed ?? folder.allowedWorkers }
      authority = authority ?? folder.authority
      if tokens == nil, FileManager.default.fileExists(atPath: folder.joinTokens) {
        tokens = folder.joinTokens
      }
    }
    guard let identity else {
      guard authority == nil, allowed == nil, tokens == nil else {
        throw CredentialsError(
          "an authority, a list of workers or join tokens protect nothing without TLS",
          hint: "give this controller's certificate and key")
      }
      return .plaintext
    }
    guard authority != nil || tokens != nil else {
      throw CredentialsError(
        "nobody could attach: it is not said who may",
        hint: "give an authority that certifies workers, or join tokens")
    }
    let clients: ReloadingServerTLS.ClientCertificates =
      switch (authority, tokens) {
      case (nil, _): .none
      case (let authority?, nil): .required(authorities: authority)
      case (let authority?, _?): .optional(authorities: authority)
      }
    let tls = try ReloadingServerTLS(
      certificate: identity.certificate, key: identity.key, clients: clients, applicationProtocols: ["h2"],
      log: log)
    let gate = try WorkerGate(
      certificates: authority != nil, allowedWorkers: allowed, joinTokens: tokens, log: log)
    return .tls(ServerTLS(context: { tls.context }, authenticator: gate))
  }
}

/// Files with which a worker protects its connection and shows who it is. All are read again when they change.
public struct WorkerCredentials: Sendable {
  /// A folder with ca.pem and this worker's pair, which stands for what is not named.
  public var folder: String?
  /// The authority that certified the controller, PEM; nil for the system's.
  public var authority: String?
  /// This worker's certificate and its key, PEM.
  public var identity: (certificate: String, key: String)?
  /// The join token, or the file that holds it.
  public var token: Token?
  /// The name in the controller's certificate, where it is not the host that is dialled.
  public var serverName: String?

  public enum Token: Sendable {
    case file(String)
    case text(String)
  }

  public init(
    folder: String? = nil, authority: String? = nil, identity: (certificate: String, key: String)? = nil,
    token: Token? = nil, serverName: String? = nil
  ) {
    self.folder = folder
    self.authority = authority
    self.identity = identity
    self.token = token
    self.serverName = serverName
  }

  /// TLS is used as soon as anything of it is given.
  public var isEncrypted: Bool { folder != nil || authority != nil || identity != nil || token != nil }

  /// Reads the files.
  ///
  /// - Throws: `CredentialsError`
  public func security(log: Logger) throws -> ConnectionSecurity {
    guard isEncrypted else { return .plaintext }
    var (authority, identity) = (authority, identity)
    if let folder {
      let folder = CertificateDirectory(folder)
      authority = authority ?? folder.authority
      if identity == nil {
        do {
          let pair = try folder.pair(.worker)
          identity = (pair.certificate, pair.key)
        } catch {
          // With a token, the folder is there for ca.pem.
          if token == nil { throw error }
        }
      }
    }
    let tls = try ReloadingClientTLS(
      authorities: authority, identity: identity, applicationProtocols: ["h2"], log: log)
    return .tls(
      ClientTLS(
        context: { tls.context }, token: try currentToken(log: log), serverName: serverName,
        isCertificate: { CertificateHosts.certificate($0, isFor: $1) }))
  }

  private func currentToken(log: Logger) throws -> @Sendable () -> String? {
    switch token {
    case nil: return { nil }
    case .text(let token): return { token }
    case .file(let path):
      if let exposure = CredentialFile.exposure(of: path) { log.warning("\(exposure)") }
      let file = try ReloadingFiles("the join token", paths: [path], log: log) {
        let token = try CredentialFile.readText(path).trimmingCharacters(in: .whitespacesAndNewlines)
        guard !token.isEmpty, !token.contains(where: \.isWhitespace) else {
          throw CredentialsError(
            "\(path) does not hold one join token", hint: "write the token into it, and nothing else")
        }
        return token
      }
      return { file.value }
    }
  }
}
