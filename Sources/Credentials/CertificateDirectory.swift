import Crypto
import Foundation
import SwiftASN1
import X509

/// A private certificate authority in a folder: what `wanspec certs` works on.
///
/// ```
/// ca.pem            the authority's certificate: every peer needs it
/// ca.key            its key: only for issuing; may be kept elsewhere in between
/// NAME.pem          a certificate
/// NAME.key          its key
/// allowed-workers   who may attach: see ``AllowedWorkers``
/// join-tokens       if `wanspec tokens` was told to put them here
/// ```
///
/// Keys are readable by their owner only. Every file is replaced as a whole, and only one process at a time
/// changes the folder.
public struct CertificateDirectory: Sendable {
  public let path: String

  public init(_ path: String) { self.path = path }

  public var authority: String { file("ca.pem") }
  public var authorityKey: String { file("ca.key") }
  public var allowedWorkers: String { file("allowed-workers") }
  public var joinTokens: String { file("join-tokens") }

  private func file(_ name: String) -> String { (path as NSString).appendingPathComponent(name) }
  public func certificate(_ name: String) -> String { file(name + ".pem") }
  public func key(_ name: String) -> String { file(name + ".key") }

  /// A day in seconds.
  public static let day: TimeInterval = 86_400
  public static let authorityLifetime = 3650 * day
  public static let certificateLifetime = 90 * day

  // MARK: Making

  /// Makes the authority and an empty list of workers.
  ///
  /// - Throws: ``CredentialsError`` when there is an authority already and `force` is false
  public func initialize(
    lifetime: TimeInterval = Self.authorityLifetime, force: Bool = false, now: Date = Date()
  ) throws {
    do {
      try FileManager.default.createDirectory(
        atPath: path, withIntermediateDirectories: true, attributes: [.posixPermissions: 0o700])
    } catch {
      throw CredentialsError("cannot make the folder \(path)", hint: "check the path and its permissions")
    }
    try locked {
      for taken in [authority, authorityKey] where exists(taken) && !force {
        throw CredentialsError(
          "\(taken) exists already",
          hint: "with another authority every certificate of this one stops to count; "
            + "add --force if that is meant")
      }
      // Authorities get different names, so that an old one's certificates are not taken for a new one's.
      let name = "wanspec CA \(Hex.text((0..<4).map { _ in UInt8.random(in: .min ... .max) }))"
      let issuer = try CertificateIssuer.makeAuthority(name: name, lifetime: lifetime, now: now)
      try CredentialFile.write([
        .init(text: try pem(of: issuer.key), path: authorityKey, mode: 0o600),
        .init(text: try PEM.text(of: issuer.certificate), path: authority, mode: 0o644),
        // Who was allowed was so by the old authority's word.
        .init(
          text:
            "# Workers that may attach: name, then the SHA-256 of their public key. Remove a line to revoke.\n",
          path: allowedWorkers, mode: 0o644),
      ])
    }
  }

  /// Makes a key and a certificate; a worker's is allowed from now on.
  ///
  /// - Parameters:
  ///   - hosts: names and addresses under which a controller is dialled
  ///   - force: replace an existing pair; the old key of a worker is not allowed any more
  /// - Throws: ``CredentialsError``
  public func issue(
    _ role: CertificateRole, _ name: String, hosts: [SubjectHost] = [], site: String? = nil,
    lifetime: TimeInterval = Self.certificateLifetime, force: Bool = false, now: Date = Date()
  ) throws -> CertificateRecord {
    try CredentialName.check(name, kind: "name of a certificate")
    if let site { try CredentialName.check(site, kind: "site") }
    guard name != "ca" else {
      throw CredentialsError("\"ca\" is the authority's own name", hint: "choose another name")
    }
    return try locked {
      let issuer = try self.issuer(now: now)
      for taken in [certificate(name), key(name)] where exists(taken) && !force {
        throw CredentialsError(
          "\(taken) exists already", hint: "run: wanspec certs renew \(name); or add --force for a new key")
      }
      let key = Certificate.PrivateKey(P256.Signing.PrivateKey())
      let certificate = try issuer.issue(
        role: role, name: name, hosts: hosts, site: site, publicKey: key.publicKey,
        notBefore: now.addingTimeInterval(-CertificateIssuer.clockTolerance),
        notAfter: now.addingTimeInterval(lifetime))
      try CredentialFile.write(
        (role == .worker ? [try allowing(name, [key.publicKey])] : []) + [
          .init(text: try pem(of: key), path: self.key(name), mode: 0o600),
          .init(text: try PEM.text(of: certificate), path: self.certificate(name), mode: 0o644),
        ])
      return try record(name)
    }
  }

  /// Makes a new certificate with the same names, for as long as the old one was.
  ///
  /// - Parameter newKey: a new key, too. A worker's old one stays allowed, until the next time or until it is
  ///   revoked, so that the worker is not cut off before it has the new files
  /// - Throws: ``CredentialsError``
  public func renew(
    _ name: String, lifetime: TimeInterval? = nil, newKey: Bool = false, now: Date = Date()
  ) throws -> CertificateRecord {
    try locked {
      let issuer = try self.issuer(now: now)
      let old = try record(name)
      guard !old.isRevoked else {
        throw CredentialsError(
          "\(name) is revoked", hint: "run: wanspec certs issue worker \(name) --force, which makes a new key"
        )
      }
      let leaf = try leaf(name)
      let oldKey = try PEM.privateKey(key(name))
      let key = newKey ? Certificate.PrivateKey(P256.Signing.PrivateKey()) : oldKey
      let identity = old.identity
      let span = identity.notAfter.timeIntervalSince(identity.notBefore) - CertificateIssuer.clockTolerance
      let names = (try? leaf.extensions.subjectAlternativeNames).map(Array.init) ?? []
      let certificate = try issuer.issue(
        role: identity.role, name: identity.name, hosts: names.compactMap { SubjectHost($0) },
        site: identity.site, publicKey: key.publicKey,
        notBefore: now.addingTimeInterval(-CertificateIssuer.clockTolerance),
        notAfter: now.addingTimeInterval(lifetime ?? max(span, Self.day)))
      var files: [CredentialFile.Content] = []
      if newKey {
        if identity.role == .worker { files.append(try allowing(name, [oldKey.publicKey, key.publicKey])) }
        files.append(.init(text: try pem(of: key), path: self.key(name), mode: 0o600))
      }
      files.append(.init(text: try PEM.text(of: certificate), path: self.certificate(name), mode: 0o644))
      try CredentialFile.write(files)
      return try record(name)
    }
  }

  /// Takes a worker off the list: controllers refuse it from now on, and end what it has.
  ///
  /// - Throws: ``CredentialsError`` when it is not on the list
  public func revoke(_ name: String) throws {
    try locked {
      let text = try CredentialFile.readText(allowedWorkers)
      let allowed = try AllowedWorkers(text: text, path: allowedWorkers)
      guard allowed.entries.contains(where: { $0.name == name }) else {
        let isController = (try? record(name).identity.role) == .controller
        throw CredentialsError(
          "\(name) is not in \(allowedWorkers)",
          hint: isController
            ? "only workers are on that list; a controller whose key was stolen needs a new authority "
              + "(wanspec certs init --force)"
            : "wanspec certs list shows who is")
      }
      try CredentialFile.write(
        try AllowedWorkers.text(text, removing: name), to: allowedWorkers, mode: 0o644)
    }
  }

  // MARK: Looking

  /// All certificates, by name.
  ///
  /// - Throws: ``CredentialsError`` when a file cannot be read
  public func records() throws -> [CertificateRecord] {
    guard exists(authority) else { throw noAuthority }
    guard let files = try? FileManager.default.contentsOfDirectory(atPath: path) else {
      throw CredentialsError("cannot read the folder \(path)", hint: "check the path and its permissions")
    }
    return try files.filter { $0.hasSuffix(".pem") && $0 != "ca.pem" }.sorted()
      .map { try record(String($0.dropLast(4))) }
  }

  /// - Throws: ``CredentialsError`` when there is no such certificate
  public func record(_ name: String) throws -> CertificateRecord {
    guard exists(certificate(name)) else {
      throw CredentialsError(
        "there is no certificate \(certificate(name))", hint: "wanspec certs list shows what there is")
    }
    let identity: CertificateIdentity
    do {
      identity = try CertificateIdentity(try leaf(name))
    } catch {
      throw CredentialsError("\(certificate(name)): \(error.message)", hint: error.hint)
    }
    var isRevoked = false
    if identity.role == .worker {
      isRevoked = !(try AllowedWorkers.read(allowedWorkers)).allows(
        name: identity.name, key: identity.keyFingerprint)
    }
    return CertificateRecord(identity: identity, path: certificate(name), isRevoked: isRevoked)
  }

  /// The certificate and key of a role in this folder, which may be a copy with one pair and ca.pem only.
  ///
  /// - Parameter name: nil where there is just one
  /// - Throws: ``CredentialsError`` when there is none, or there are several and no name says which
  public func pair(
    _ role: CertificateRole, named name: String? = nil
  ) throws -> (certificate: String, key: String, name: String) {
    var names: [String] = []
    if let name, exists(certificate(name)) {
      names = [name]
    } else if name == nil {
      guard exists(authority) else { throw noAuthority }
      let files = (try? FileManager.default.contentsOfDirectory(atPath: path)) ?? []
      names = files.filter { $0.hasSuffix(".pem") && $0 != "ca.pem" }.map { String($0.dropLast(4)) }.sorted()
        .filter { exists(key($0)) && (try? CertificateIdentity(leaf($0)))?.role == role }
    }
    guard let found = names.first else {
      throw CredentialsError(
        "\(path) has no \(role.rawValue) certificate\(name.map { " named \($0)" } ?? "")",
        hint: "run: wanspec certs issue \(role.rawValue) NAME --certs \(path)")
    }
    guard names.count == 1 else {
      throw CredentialsError(
        "\(path) has several \(role.rawValue) certificates: \(names.joined(separator: ", "))",
        hint: "name one with --tls-cert and --tls-key")
    }
    return (certificate(found), key(found), found)
  }

  /// What is wrong with the permissions of the keys here.
  public func exposures() -> [String] {
    let files = (try? FileManager.default.contentsOfDirectory(atPath: path)) ?? []
    return files.filter { $0.hasSuffix(".key") || $0 == "join-tokens" }.sorted()
      .compactMap { CredentialFile.exposure(of: file($0)) }
  }

  // MARK: Parts

  private var noAuthority: CredentialsError {
    CredentialsError("there is no authority in \(path)", hint: "run: wanspec certs init \(path)")
  }

  private func exists(_ path: String) -> Bool { FileManager.default.fileExists(atPath: path) }

  private func leaf(_ name: String) throws(CredentialsError) -> Certificate {
    try PEM.certificates(certificate(name))[0]
  }

  private func pem(of key: Certificate.PrivateKey) throws -> String {
    try key.serializeAsPEM().pemString + "\n"
  }

  private func issuer(now: Date) throws -> CertificateIssuer {
    guard exists(authority) else { throw noAuthority }
    let key = try PEM.privateKey(authorityKey)
    // The file may hold former authorities, too.
    guard let certificate = try PEM.certificates(authority).first(where: { $0.publicKey == key.publicKey })
    else {
      throw CredentialsError(
        "\(authorityKey) is not the key of \(authority)", hint: "restore the two from the same backup")
    }
    guard certificate.notValidAfter > now else {
      throw CredentialsError(
        "the authority expired on \(CredentialDate.text(certificate.notValidAfter))",
        hint: "make a new one: wanspec certs init \(path) --force")
    }
    return CertificateIssuer(certificate: certificate, key: key)
  }

  /// The list with a worker's entries replaced.
  private func allowing(_ name: String, _ keys: [Certificate.PublicKey]) throws -> CredentialFile.Content {
    var text = exists(allowedWorkers) ? try CredentialFile.readText(allowedWorkers) : ""
    text = try AllowedWorkers.text(text, removing: name)
    for key in keys {
      let digest = SecretDigest(of: key.subjectPublicKeyInfoBytes)
      text = AllowedWorkers.text(text, adding: AllowedWorkers.Entry(name: name, key: digest))
    }
    return CredentialFile.Content(text: text, path: allowedWorkers, mode: 0o644)
  }

  private func locked<Result>(_ body: () throws -> Result) throws -> Result {
    guard exists(path) else { throw noAuthority }
    return try CredentialFile.locked(file(".lock"), body)
  }
}

/// A certificate of a folder and whether it still counts.
public struct CertificateRecord: Sendable {
  public var identity: CertificateIdentity
  public var path: String
  /// A worker's that is not on the list.
  public var isRevoked: Bool

  /// Whole days until it expires; negative: it has.
  public func daysLeft(at date: Date = Date()) -> Int {
    Int((identity.notAfter.timeIntervalSince(date) / CertificateDirectory.day).rounded(.down))
  }
}
