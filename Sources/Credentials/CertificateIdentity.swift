import Crypto
import Failures
import Foundation
import SwiftASN1
import X509

/// What a certificate is for.
public enum CertificateRole: String, Hashable, Sendable, CaseIterable {
  case controller, worker

  /// A certificate says its role and name as a URI among its subject alternative names: "wanspec:worker/NAME".
  /// These names are what TLS verifies; a common name or organisational unit is for people and would be taken
  /// for a host name by some software.
  static let scheme = "wanspec:"

  func uri(_ name: String) -> String { "\(Self.scheme)\(rawValue)/\(name)" }
}

/// Whose certificate it is: what a controller reads from a worker's, and `wanspec certs list` from all.
public struct CertificateIdentity: Sendable {
  public var role: CertificateRole
  public var name: String
  /// Where the worker runs, when the certificate says so.
  public var site: String?
  public var notBefore: Date
  public var notAfter: Date
  /// SHA-256 of the whole certificate, as `openssl x509 -fingerprint -sha256` shows it.
  public var certificateFingerprint: SecretDigest
  /// SHA-256 of its public key (SubjectPublicKeyInfo, DER), which stays when it is renewed with the same key.
  public var keyFingerprint: SecretDigest

  /// - Parameter der: of a certificate whose signature has been verified already, where that matters
  /// - Throws: ``CredentialsError``
  public init(der: [UInt8]) throws(CredentialsError) {
    let certificate: Certificate
    do {
      certificate = try Certificate(derEncoded: der)
    } catch {
      throw CredentialsError("the certificate cannot be read: \("\(error)".withoutSourcePlaces)")
    }
    try self.init(certificate)
  }

  init(_ certificate: Certificate) throws(CredentialsError) {
    var found: (CertificateRole, String)?
    for uri in Self.uris(of: certificate) where uri.hasPrefix(CertificateRole.scheme) {
      let parts = uri.dropFirst(CertificateRole.scheme.count).split(
        separator: "/", maxSplits: 1, omittingEmptySubsequences: false)
      guard parts.count == 2 else { throw CredentialsError("the certificate has the unknown name \(uri)") }
      try CredentialName.check(String(parts[1]), kind: "name in a certificate")
      if parts[0] == "site" {
        site = String(parts[1])
      } else if let role = CertificateRole(rawValue: String(parts[0])), found == nil {
        found = (role, String(parts[1]))
      } else {
        throw CredentialsError("the certificate says more than one role, or one that is unknown")
      }
    }
    guard let found else {
      throw CredentialsError(
        "the certificate says no role", hint: "make certificates with `wanspec certs issue`")
    }
    (role, name) = found
    notBefore = certificate.notValidBefore
    notAfter = certificate.notValidAfter
    keyFingerprint = SecretDigest(of: certificate.publicKey.subjectPublicKeyInfoBytes)
    certificateFingerprint = SecretDigest(of: PEM.der(of: certificate))
  }

  private static func uris(of certificate: Certificate) -> [String] {
    guard let names = try? certificate.extensions.subjectAlternativeNames else { return [] }
    return names.compactMap { if case .uniformResourceIdentifier(let uri) = $0 { uri } else { nil } }
  }

  /// Why the certificate does not count at this time; nil when it does.
  public func problem(at date: Date) -> String? {
    if date < notBefore { return "is not valid before \(CredentialDate.text(notBefore))" }
    if date >= notAfter { return "expired on \(CredentialDate.text(notAfter))" }
    return nil
  }
}

/// Host names in certificates (RFC 6125, section 6.4).
public enum CertificateHosts {
  /// Whether a certificate has this DNS name among its subject alternative names: as it stands, without regard
  /// to case, or by a "*" that stands for the whole first label. IP addresses and common names do not count.
  public static func certificate(_ der: [UInt8], isFor name: String) -> Bool {
    guard let certificate = try? Certificate(derEncoded: der),
      let names = try? certificate.extensions.subjectAlternativeNames
    else { return false }
    return names.contains { if case .dnsName(let pattern) = $0 { matches(pattern, name) } else { false } }
  }

  static func matches(_ pattern: String, _ name: String) -> Bool {
    func labels(_ text: String) -> [Substring] {
      (text.hasSuffix(".") ? text.dropLast() : text[...]).split(
        separator: ".", omittingEmptySubsequences: false)
    }
    let (pattern, name) = (labels(pattern.lowercased()), labels(name.lowercased()))
    guard pattern.count == name.count, name.allSatisfy({ !$0.isEmpty }) else { return false }
    if pattern == name { return true }
    // Not "*.org".
    return pattern.count > 2 && pattern[0] == "*" && pattern.dropFirst() == name.dropFirst()
  }
}

/// Certificates and keys as files have them.
enum PEM {
  static func der(of certificate: Certificate) -> [UInt8] {
    var serializer = DER.Serializer()
    // What was made or parsed can be written.
    try? serializer.serialize(certificate)
    return serializer.serializedBytes
  }

  static func text(of certificate: Certificate) throws -> String {
    try certificate.serializeAsPEM().pemString + "\n"
  }

  /// All certificates of a file; at least one.
  static func certificates(_ path: String) throws(CredentialsError) -> [Certificate] {
    let text = try CredentialFile.readText(path)
    do {
      let certificates = try PEMDocument.parseMultiple(pemString: text)
        .filter { $0.discriminator == "CERTIFICATE" }.map { try Certificate(pemDocument: $0) }
      if !certificates.isEmpty { return certificates }
    } catch {
      throw CredentialsError(
        "\(path) holds no certificate that can be read: \("\(error)".withoutSourcePlaces)",
        hint: "it must be PEM")
    }
    throw CredentialsError("\(path) holds no certificate", hint: "it must be PEM, with BEGIN CERTIFICATE")
  }

  /// - Throws: ``CredentialsError`` that quotes nothing of the file
  static func privateKey(_ path: String) throws(CredentialsError) -> Certificate.PrivateKey {
    let text = try CredentialFile.readText(path)
    guard !text.contains("ENCRYPTED") else {
      throw CredentialsError("\(path) is encrypted", hint: "give a private key without a passphrase")
    }
    // A file may hold curve parameters before the key.
    let documents = (try? PEMDocument.parseMultiple(pemString: text)) ?? []
    guard let document = documents.first(where: { $0.discriminator.hasSuffix("PRIVATE KEY") }),
      let key = try? Certificate.PrivateKey(pemDocument: document)
    else {
      throw CredentialsError(
        "\(path) holds no private key that can be read", hint: "it must be PEM, with BEGIN PRIVATE KEY")
    }
    return key
  }
}
