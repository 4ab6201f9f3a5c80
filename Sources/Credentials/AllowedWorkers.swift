import Foundation

/// The workers that a controller lets in by certificate: a text file, one line each.
///
/// ```
/// # name, then the SHA-256 of its public key
/// physics-1 sha256:HEX
/// ```
///
/// The key is what counts, so a certificate that is renewed with the same key stays allowed, and one that was
/// stolen stays out when its owner gets a new one under the same name. A line with the name alone allows any
/// certificate of that name. Removing the line is how a certificate is revoked: the list says who may come in,
/// so losing it lets nobody in, unlike a list of those who may not.
public struct AllowedWorkers: Sendable {
  struct Entry: Sendable {
    var name: String
    /// nil: any key.
    var key: SecretDigest?
  }

  static let maximumEntries = 100_000

  private(set) var entries: [Entry]
  private let byName: [String: [Entry]]

  /// - Throws: ``CredentialsError`` that names the line
  public init(text: String, path: String) throws(CredentialsError) {
    var entries: [Entry] = []
    var number = 0
    for line in text.split(omittingEmptySubsequences: false, whereSeparator: \.isNewline) {
      number += 1
      do {
        guard let entry = try Self.entry(line) else { continue }
        entries.append(entry)
      } catch {
        throw CredentialsError("\(path), line \(number): \(error.message)", hint: error.hint)
      }
      guard entries.count <= Self.maximumEntries else {
        throw CredentialsError("\(path) has more than \(Self.maximumEntries) entries")
      }
    }
    self.entries = entries
    byName = Dictionary(grouping: entries, by: \.name)
  }

  public static func read(_ path: String) throws(CredentialsError) -> AllowedWorkers {
    try AllowedWorkers(text: CredentialFile.readText(path), path: path)
  }

  private static func entry(_ line: some StringProtocol) throws(CredentialsError) -> Entry? {
    let fields = line.prefix { $0 != "#" }.split(whereSeparator: \.isWhitespace)
    guard let name = fields.first else { return nil }
    try CredentialName.check(String(name))
    guard fields.count > 1 else { return Entry(name: String(name), key: nil) }
    guard fields.count == 2, fields[1].hasPrefix("sha256:"),
      let key = SecretDigest(hex: fields[1].dropFirst("sha256:".count))
    else { throw CredentialsError("is not \"NAME\" or \"NAME sha256:HEX\"") }
    return Entry(name: String(name), key: key)
  }

  public func allows(name: String, key: SecretDigest) -> Bool {
    byName[name, default: []].contains { $0.key?.matches(key) ?? true }
  }

  /// The file's text with a worker's keys added or its entries removed. Everything else stays as it is.
  static func text(_ text: String, adding entry: Entry) -> String {
    let start = text.isEmpty || text.last?.isNewline == true ? text : text + "\n"
    return start + entry.name + (entry.key.map { " \($0)" } ?? "") + "\n"
  }

  static func text(_ text: String, removing name: String) throws -> String {
    try text.split(omittingEmptySubsequences: false, whereSeparator: \.isNewline)
      .filter { try entry($0)?.name != name }.joined(separator: "\n")
  }
}
