import Foundation
import Logging

/// Who may attach to a controller: workers with a certificate that is on the list, or with a join token.
public final class WorkerGate: Sendable {
  /// What let a worker in.
  public struct AdmittedWorker: Hashable, Sendable {
    public enum Method: String, Hashable, Sendable { case certificate, token }
    public var method: Method
    /// Of the certificate or of the token.
    public var name: String
    /// In the certificate.
    public var site: String?
    /// Of the certificate's key, or of the token.
    public var fingerprint: String
    public var expires: Date?

    public init(
      method: Method, name: String, site: String? = nil, fingerprint: String, expires: Date? = nil
    ) {
      self.method = method
      self.name = name
      self.site = site
      self.fingerprint = fingerprint
      self.expires = expires
    }
  }

  private let certificates: Bool
  private let allowed: ReloadingFiles<AllowedWorkers>?
  private let tokens: JoinTokenFile?

  /// - Parameters:
  ///   - certificates: whether a certificate that TLS verified lets a worker in
  ///   - allowedWorkers: the file that lists them; nil: every worker that the authority certified
  ///   - joinTokens: the file of tokens; nil: no token lets anybody in
  ///   - interval: how often the files are looked at
  /// - Throws: ``CredentialsError`` when the files cannot be used now
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

  /// - Parameters:
  ///   - certificate: DER, its chain verified by TLS
  ///   - token: as it was presented
  /// - Throws: ``CredentialsError`` that says why not, without the token
  public func admit(
    certificate: [UInt8]?, token: String?, now: Date = Date()
  ) throws(CredentialsError) -> AdmittedWorker {
    var problem: CredentialsError?
    if certificates, let certificate {
      do {
        return try admit(certificate: certificate, now)
      } catch {
        problem = error
      }
    }
    if let tokens, let token {
      let entry = try tokens.entry(of: token, at: now)
      return AdmittedWorker(
        method: .token, name: entry.name, fingerprint: entry.digest.description, expires: entry.expires)
    }
    if let problem { throw problem }
    let wanted = [certificates ? "a worker certificate" : nil, tokens != nil ? "a join token" : nil]
    throw CredentialsError(
      "this controller wants \(wanted.compactMap { $0 }.joined(separator: " or "))"
        + (token != nil ? " and takes no join tokens" : ""))
  }

  private func admit(certificate: [UInt8], _ now: Date) throws(CredentialsError) -> AdmittedWorker {
    let identity = try CertificateIdentity(der: certificate)
    guard identity.role == .worker else {
      throw CredentialsError(
        "the certificate of \(identity.name) is for a \(identity.role.rawValue), not a worker")
    }
    let admission = AdmittedWorker(
      method: .certificate, name: identity.name, site: identity.site,
      fingerprint: identity.keyFingerprint.description, expires: identity.notAfter)
    if let problem = identity.problem(at: now) {
      throw CredentialsError("the certificate of \(identity.name) \(problem)")
    }
    if let problem = self.problem(with: admission, now: now) { throw CredentialsError(problem) }
    return admission
  }

  /// Why a worker that was let in has to go; nil when it may stay.
  public func problem(with admission: AdmittedWorker, now: Date = Date()) -> String? {
    switch admission.method {
    case .certificate:
      if let expires = admission.expires, expires <= now {
        return "the certificate of \(admission.name) expired on \(CredentialDate.text(expires))"
      }
      guard let allowed, let key = SecretDigest(description: admission.fingerprint) else { return nil }
      return allowed.value.allows(name: admission.name, key: key)
        ? nil : "the certificate of \(admission.name) was revoked or is not on the list of allowed workers"
    case .token:
      return tokens?.problem(name: admission.name, fingerprint: admission.fingerprint, at: now)
    }
  }

  /// Looks now whether the files have changed; otherwise that happens within the interval.
  public func check() {
    allowed?.check()
    tokens?.check()
  }
}
