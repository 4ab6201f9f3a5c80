import Foundation
import Logging

/// The join tokens that a controller accepts, from a file that may change while it runs.
public final class JoinTokenFile: Sendable {
  private let file: ReloadingFiles<SecretTable>

  /// - Parameter interval: how often the file is looked at
  /// - Throws: ``CredentialsError`` when the file cannot be used now
  public init(path: String, interval: Duration = .seconds(1), log: Logger) throws {
    if let exposure = CredentialFile.exposure(of: path) { log.warning("\(exposure)") }
    let source = SecretFile(path: path, kind: .joinToken)
    file = try ReloadingFiles("the join tokens", paths: [path], interval: interval, log: log) {
      try source.read()
    }
  }

  /// The entry of a token.
  ///
  /// - Throws: ``CredentialsError`` when it is unknown or expired; never with the token in it
  public func entry(of token: String, at date: Date = Date()) throws(CredentialsError) -> SecretEntry {
    let bytes = Array(token.utf8)
    guard bytes.count <= SecretKind.maximumBytes, let entry = file.value.entry(of: bytes) else {
      throw CredentialsError("the join token is unknown or was revoked")
    }
    if entry.isExpired(at: date), let expires = entry.expires {
      throw CredentialsError("the join token \(entry.name) expired on \(CredentialDate.text(expires))")
    }
    return entry
  }

  /// Why a worker that came in with this token has to go; nil when it may stay.
  public func problem(name: String, fingerprint: String, at date: Date = Date()) -> String? {
    file.value.contains(name: name, fingerprint: fingerprint, at: date)
      ? nil : "the join token \(name) expired or was revoked"
  }

  @discardableResult public func check() -> Bool { file.check() }
}
