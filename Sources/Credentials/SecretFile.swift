import Foundation

/// A file of secrets of one kind, as `wanspec tokens` and `wanspec keys` edit it. Comments and plain keys that
/// are in it stay.
public struct SecretFile: Sendable {
  public let path: String
  public let kind: SecretKind

  public init(path: String, kind: SecretKind) {
    self.path = path
    self.kind = kind
  }

  /// - Throws: ``CredentialsError``
  public func read() throws(CredentialsError) -> SecretTable {
    try SecretTable(text: CredentialFile.readText(path), kind: kind, path: path)
  }

  /// Makes a secret and adds its hash; makes the file if there is none.
  ///
  /// - Parameter lifetime: seconds; nil: for ever
  /// - Returns: the secret, which is kept nowhere
  /// - Throws: ``CredentialsError`` when the name is taken or the file cannot be used
  public func create(_ name: String, lifetime: TimeInterval? = nil, now: Date = Date()) throws -> String {
    try CredentialName.check(name, kind: "name of a \(kind.noun)")
    return try edit { text, table in
      guard !table.entries.contains(where: { $0.name == name }) else {
        throw CredentialsError(
          "\(path) has a \(kind.noun) named \(name) already",
          hint: "revoke that one first, or choose another name")
      }
      let secret = kind.makeSecret()
      let entry = SecretEntry(
        name: name, digest: SecretDigest(of: Array(secret.utf8)), created: now,
        expires: lifetime.map { now.addingTimeInterval($0) })
      if !text.isEmpty, text.last?.isNewline != true { text += "\n" }
      text += entry.line + "\n"
      return secret
    }
  }

  /// Removes an entry.
  ///
  /// - Throws: ``CredentialsError`` when there is none of that name
  public func revoke(_ name: String) throws {
    guard FileManager.default.fileExists(atPath: path) else {
      throw CredentialsError("there is no file \(path)", hint: "check the path")
    }
    try edit { text, table in
      guard table.entries.contains(where: { $0.name == name }) else {
        let names = table.entries.map(\.name).joined(separator: ", ")
        throw CredentialsError(
          "\(path) has no \(kind.noun) named \(name)",
          hint: names.isEmpty ? "it has none at all" : "it has: \(names.prefix(400))")
      }
      let kept = try text.split(omittingEmptySubsequences: false, whereSeparator: \.isNewline).filter {
        try SecretEntry(line: $0, kind: kind)?.name != name
      }
      text = kept.joined(separator: "\n")
    }
  }

  private func edit<Result>(_ body: (inout String, SecretTable) throws -> Result) throws -> Result {
    // One lock for all links to it.
    let file = try CredentialFile.meant(by: path)
    return try CredentialFile.locked(file + ".lock") {
      var text = FileManager.default.fileExists(atPath: file) ? try CredentialFile.readText(file) : ""
      let result = try body(&text, try SecretTable(text: text, kind: kind, path: path))
      try CredentialFile.write(text, to: file, mode: 0o600)
      return result
    }
  }
}
