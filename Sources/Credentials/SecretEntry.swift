import Foundation

/// What secrets of one kind are called and look like.
public struct SecretKind: Hashable, Sendable {
  /// In front of every secret that is made, so that people and scanners recognise one that got out.
  public let prefix: String
  /// For messages: "join token".
  public let noun: String
  /// Whether a file of them may also hold the secrets themselves, one a line.
  public let allowsPlain: Bool

  /// What lets a worker attach to a controller.
  public static let joinToken = SecretKind(prefix: "wsj_", noun: "join token", allowsPlain: false)
  /// What lets a client use the HTTP API.
  public static let apiKey = SecretKind(prefix: "wsk_", noun: "API key", allowsPlain: true)

  /// Bytes of a secret, at most.
  public static let maximumBytes = 512

  /// A new secret: the prefix and 256 random bits in URL-safe Base64 (43 characters).
  public func makeSecret() -> String {
    var generator = SystemRandomNumberGenerator()
    let bytes = (0..<32).map { _ in UInt8.random(in: .min ... .max, using: &generator) }
    let text = Data(bytes).base64EncodedString()
    return prefix + text.replacing("+", with: "-").replacing("/", with: "_").replacing("=", with: "")
  }
}

/// One line of a file of secrets.
///
/// ```
/// NAME sha256:HEX created=2026-11-25T04:00:00Z expires=2026-12-25T04:00:00Z
/// ```
public struct SecretEntry: Sendable {
  public var name: String
  public var digest: SecretDigest
  public var created: Date?
  /// From then on it counts no more; nil: never.
  public var expires: Date?
  /// Whether the file has the secret itself.
  public var isPlain = false

  public func isExpired(at date: Date) -> Bool { expires.map { $0 <= date } ?? false }

  var line: String {
    var fields = [name, digest.description]
    if let created { fields.append("created=\(CredentialDate.text(created))") }
    if let expires { fields.append("expires=\(CredentialDate.text(expires))") }
    return fields.joined(separator: " ")
  }

  /// - Returns: nil for a blank line or a comment
  /// - Throws: ``CredentialsError`` without the line's text, which may be a secret
  init?(line: some StringProtocol, kind: SecretKind) throws(CredentialsError) {
    let fields = line.split(whereSeparator: \.isWhitespace)
    guard let first = fields.first, first.first != "#" else { return nil }
    if fields.count == 1, kind.allowsPlain {
      guard first.utf8.count <= SecretKind.maximumBytes else {
        throw CredentialsError("a key has more than \(SecretKind.maximumBytes) bytes")
      }
      digest = SecretDigest(of: Array(first.utf8))
      // A name that is no secret and stays the same when lines move.
      name = "key-\(digest.short)"
      isPlain = true
      return
    }
    guard fields.count >= 2, fields[1].hasPrefix("sha256:"),
      let digest = SecretDigest(hex: fields[1].dropFirst("sha256:".count))
    else {
      throw CredentialsError(
        "is not \"NAME sha256:HEX\"\(kind.allowsPlain ? " or one key" : "")",
        hint: "entries are made by `wanspec \(kind == .joinToken ? "tokens" : "keys") create`")
    }
    name = String(first)
    try CredentialName.check(name)
    self.digest = digest
    for field in fields.dropFirst(2) {
      if field.first == "#" { break }
      let parts = field.split(separator: "=", maxSplits: 1)
      guard parts.count == 2, let date = CredentialDate.date(parts[1]) else {
        throw CredentialsError("has a field after the hash that is neither created=TIME nor expires=TIME")
      }
      switch parts[0] {
      case "created": created = date
      case "expires": expires = date
      default:
        throw CredentialsError("has a field after the hash that is neither created=TIME nor expires=TIME")
      }
    }
  }

  init(name: String, digest: SecretDigest, created: Date, expires: Date?) {
    self.name = name
    self.digest = digest
    self.created = created
    self.expires = expires
  }
}

/// The entries of a file of secrets.
public struct SecretTable: Sendable {
  public static let maximumEntries = 10_000

  public private(set) var entries: [SecretEntry]

  /// - Throws: ``CredentialsError`` that names the line
  public init(text: String, kind: SecretKind, path: String) throws(CredentialsError) {
    entries = []
    var number = 0
    for line in text.split(omittingEmptySubsequences: false, whereSeparator: \.isNewline) {
      number += 1
      do {
        guard let entry = try SecretEntry(line: line, kind: kind) else { continue }
        entries.append(entry)
      } catch {
        throw CredentialsError("\(path), line \(number): \(error.message)", hint: error.hint)
      }
      guard entries.count <= Self.maximumEntries else {
        throw CredentialsError("\(path) has more than \(Self.maximumEntries) entries")
      }
    }
  }

  /// The entry of a secret, expired or not. Every entry is compared, in constant time each, so the time tells
  /// neither whether there is one nor which.
  public func entry(of secret: some Collection<UInt8>) -> SecretEntry? {
    let digest = SecretDigest(of: secret)
    var found: Int?
    for (index, entry) in entries.enumerated() where entry.digest.matches(digest) { found = index }
    return found.map { entries[$0] }
  }

  /// Whether this very credential is still there.
  func contains(name: String, fingerprint: String, at date: Date) -> Bool {
    entries.contains { $0.name == name && $0.digest.description == fingerprint && !$0.isExpired(at: date) }
  }
}
