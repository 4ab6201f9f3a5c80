import Crypto
import Foundation
import SwiftASN1
import X509

/// Makes certificates. All keys are P-256: every TLS library has it, and it is fast on both sides.
struct CertificateIssuer {
  let certificate: Certificate
  let key: Certificate.PrivateKey

  /// Clocks of different machines may differ by so much.
  static let clockTolerance: TimeInterval = 300

  /// A new authority, which may sign certificates but no other authorities.
  static func makeAuthority(name: String, lifetime: TimeInterval, now: Date) throws -> CertificateIssuer {
    let key = Certificate.PrivateKey(P256.Signing.PrivateKey())
    let subject = try DistinguishedName { CommonName(name) }
    let certificate = try Certificate(
      version: .v3, serialNumber: Certificate.SerialNumber(), publicKey: key.publicKey,
      notValidBefore: now.addingTimeInterval(-clockTolerance),
      notValidAfter: now.addingTimeInterval(lifetime),
      issuer: subject, subject: subject,
      extensions: try Certificate.Extensions {
        Critical(BasicConstraints.isCertificateAuthority(maxPathLength: 0))
        Critical(KeyUsage(keyCertSign: true, cRLSign: true))
        SubjectKeyIdentifier(hash: key.publicKey)
      },
      issuerPrivateKey: key)
    return CertificateIssuer(certificate: certificate, key: key)
  }

  /// A certificate for one role. A controller's only works as a server and a worker's only as a client, so a
  /// stolen worker certificate cannot pose as a controller to other workers.
  func issue(
    role: CertificateRole, name: String, hosts: [SubjectHost], site: String?,
    publicKey: Certificate.PublicKey,
    notBefore: Date, notAfter: Date
  ) throws -> Certificate {
    var names = hosts.map(\.generalName)
    names.append(.uniformResourceIdentifier(role.uri(name)))
    if let site { names.append(.uniformResourceIdentifier("\(CertificateRole.scheme)site/\(site)")) }
    let usage: ExtendedKeyUsage.Usage = role == .controller ? .serverAuth : .clientAuth
    return try Certificate(
      version: .v3, serialNumber: Certificate.SerialNumber(), publicKey: publicKey,
      notValidBefore: notBefore, notValidAfter: min(notAfter, certificate.notValidAfter),
      issuer: certificate.subject, subject: try DistinguishedName { CommonName(name) },
      extensions: try Certificate.Extensions {
        Critical(BasicConstraints.notCertificateAuthority)
        Critical(KeyUsage(digitalSignature: true))
        try ExtendedKeyUsage([usage])
        SubjectAlternativeNames(names)
        SubjectKeyIdentifier(hash: publicKey)
        AuthorityKeyIdentifier(keyIdentifier: SubjectKeyIdentifier(hash: certificate.publicKey).keyIdentifier)
      },
      issuerPrivateKey: key)
  }
}

/// A host that a controller's certificate is for: a DNS name or an IP address.
public enum SubjectHost: Hashable, Sendable {
  case name(String)
  /// 4 or 16 bytes.
  case address([UInt8])

  /// - Throws: ``CredentialsError``
  public init(_ text: String) throws(CredentialsError) {
    let trimmed = text.hasPrefix("[") && text.hasSuffix("]") ? String(text.dropFirst().dropLast()) : text
    if let bytes = IPAddress.bytes(trimmed) {
      self = .address(bytes)
      return
    }
    let labels = trimmed.split(separator: ".", omittingEmptySubsequences: false)
    let isName =
      !labels.isEmpty && trimmed.utf8.count <= 253
      && labels.enumerated().allSatisfy { index, label in
        (index == 0 && label == "*" && labels.count > 2)
          || (1...63).contains(label.utf8.count) && label.first != "-" && label.last != "-"
            && label.allSatisfy { $0.isASCII && ($0.isLetter || $0.isNumber || $0 == "-" || $0 == "_") }
      }
    guard isName else {
      throw CredentialsError(
        "\"\(text.prefix(80))\" is neither a host name nor an IP address",
        hint: "write --san controller.example,203.0.113.7; names with other letters in their xn-- form")
    }
    self = .name(trimmed)
  }

  var generalName: GeneralName {
    switch self {
    case .name(let name): .dnsName(name)
    case .address(let bytes): .ipAddress(ASN1OctetString(contentBytes: bytes[...]))
    }
  }

  init?(_ name: GeneralName) {
    switch name {
    case .dnsName(let name): self = .name(name)
    case .ipAddress(let address): self = .address(Array(address.bytes))
    default: return nil
    }
  }
}
