import Foundation
import Logging

/// The API keys that a server accepts, from a file that may change while it runs.
///
/// The file has one key a line, as llama-server's `--api-key-file` has, or what `wanspec keys create` writes:
/// name, hash and dates. In memory there are only hashes.
public final class APIKeyFile: Sendable {
  private let file: ReloadingFiles<SecretTable>

  /// - Parameter interval: how often the file is looked at
  /// - Throws: ``CredentialsError`` when the file cannot be used now
  public init(path: String, interval: Duration = .seconds(1), log: Logger) throws {
    if let exposure = CredentialFile.exposure(of: path) { log.warning("\(exposure)") }
    let source = SecretFile(path: path, kind: .apiKey)
    file = try ReloadingFiles("the API keys", paths: [path], interval: interval, log: log) {
      try source.read()
    }
  }

  /// The name of a key, for limits and logs; nil when it is not accepted. Takes time in proportion to the
  /// number of keys, and the same for right and wrong ones.
  public func name(of key: some StringProtocol, at date: Date = Date()) -> String? {
    let bytes = Array(key.utf8)
    guard bytes.count <= SecretKind.maximumBytes, let entry = file.value.entry(of: bytes),
      !entry.isExpired(at: date)
    else { return nil }
    return entry.name
  }

  /// Keys in the file, expired ones included.
  public var count: Int { file.value.entries.count }

  /// Looks now whether the file has changed; otherwise that happens within the interval.
  @discardableResult public func check() -> Bool { file.check() }
}
