import Credentials
import DraftExchange
import Foundation
import Logging

/// Who may attach to a controller: workers with a certificate that is on the list, or with a join token.
public final class WorkerGate: WorkerAuthenticator {
  private let certificates: Bool
  private let allowed: ReloadingFiles<AllowedWorkers>?
  private let tokens: JoinTokenFile?

  /// - Parameters:
  ///   - certificates: whether a certificate that TLS verified lets a worker in
  ///   - allowedWorkers: the file that lists them; nil: every worker that the authority certified
  ///   - joinTokens: the file of tokens; nil: no token lets anybody in
  ///   - interval: how often the files are looked at
  /// - Throws: `CredentialsError` when the files cannot be used now
  public init(
    certificates: Bool, allowedWorkers: String?, joinTokens: String?, interval: Duration = .seconds(1),
    log: Logger
  ) throws {
    self.certificates = certificates
    allowed = try allowedWorkers.map { path in
      try ReloadingFiles("the list of allowed workers", paths: [path], interval: interval, log: log) {
        try AllowedWorkers.read(path)
      }
    }
    tokens = try joinTokens.map { try JoinTokenFile(path: $0, interval: interval, log: log) }
  }

  public func authenticate(_ credentials: PresentedCredentials) throws(WorkerRefusal) -> WorkerIdentity {
    try authenticate(credentials, now: Date())
  }

  /// - Parameter now: when certificates and tokens have to be valid
  /// - Throws: ``WorkerRefusal`` that says why not, without the token
  package func authenticate(
    _ credentials: PresentedCredentials, now: Date
  ) throws(WorkerRefusal) -> WorkerIdentity {
    do {
      return try admit(credentials, now)
    } catch {
      throw WorkerRefusal(error.message)
    }
  }

  private func admit(_ shown: PresentedCredentials, _ now: Date) throws(CredentialsError) -> WorkerIdentity {
    var problem: CredentialsError?
    if certificates, let certificate = shown.certificate {
      do {
        return try admit(certificate: certificate, now)
      } catch {
        problem = error
      }
    }
    if let tokens, let token = shown.token {
      let entry = try tokens.entry(of: token, at: now)
      return WorkerIdentity(
        method: .token, name: entry.name, fingerprint: entry.digest.description, expires: entry.expires)
    }
    if let problem { throw problem }
    let wanted = [certificates ? "a worker certificate" : nil, tokens != nil ? "a join token" : nil]
    throw CredentialsError(
      "this controller wants \(wanted.compactMap { $0 }.joined(separator: " or "))"
        + (shown.token != nil ? " and takes no join tokens" : ""))
  }

  private func admit(certificate: [UInt8], _ now: Date) throws(CredentialsError) -> WorkerIdentity {
    let identity = try CertificateIdentity(der: certificate)
    guard identity.role == .worker else {
      throw CredentialsError(
        "the certificate of \(identity.name) is for a \(identity.role.rawValue), not a worker")
    }
    let worker = WorkerIdentity(
      method: .certificate, name: identity.name, site: identity.site,
      fingerprint: identity.keyFingerprint.description, expires: identity.notAfter)
    if let problem = identity.problem(at: now) {
      throw CredentialsError("the certificate of \(identity.name) \(problem)")
    }
    if let problem = self.problem(with: worker, now: now) { throw CredentialsError(problem) }
    return worker
  }

  public func problem(with worker: WorkerIdentity) -> String? { problem(with: worker, now: Date()) }

  /// Why a worker that was let in has to go; nil when it may stay.
  package func problem(with worker: WorkerIdentity, now: Date) -> String? {
    switch worker.method {
    case .certificate:
      if let expires = worker.expires, expires <= now {
        return "the certificate of \(worker.name) expired on \(CredentialDate.text(expires))"
      }
      guard let allowed, let key = SecretDigest(description: worker.fingerprint) else { return nil }
      return allowed.value.allows(name: worker.name, key: key)
        ? nil : "the certificate of \(worker.name) was revoked or is not on the list of allowed workers"
    case .token:
      return tokens?.problem(name: worker.name, fingerprint: worker.fingerprint, at: now)
    }
  }

  /// Looks now whether the files have changed; otherwise that happens within the interval.
  public func check() {
    allowed?.check()
    tokens?.check()
  }
}
