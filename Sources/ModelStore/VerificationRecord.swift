import Foundation

/// What was true of a file when its SHA-256 was last computed, kept beside it. While size and modification
/// time are the same, the digest is taken to be the same, so that a second pull takes milliseconds.
struct VerificationRecord: Codable, Hashable {
  var bytes: Int64
  /// Microseconds since 1970.
  var modified: Int64
  var sha256: String
  /// SHA-256 of the file that this one was converted from.
  var convertedFrom: String?

  static func url(for file: URL) -> URL {
    file.deletingLastPathComponent().appending(path: ".\(file.lastPathComponent).verified")
  }

  static func read(for file: URL) -> VerificationRecord? {
    guard let data = try? Data(contentsOf: url(for: file)) else { return nil }
    return try? JSONDecoder().decode(Self.self, from: data)
  }

  func write(for file: URL) throws {
    let url = Self.url(for: file)
    try FileWork.on(url) { try JSONEncoder().encode(self).write(to: url, options: .atomic) }
  }

  static func remove(for file: URL) {
    try? FileManager.default.removeItem(at: url(for: file))
  }

  /// The record of a file whose digest was just computed.
  init(of file: URL, sha256: String, convertedFrom: String? = nil) throws {
    let facts = try FileFacts(of: file)
    self.init(bytes: facts.bytes, modified: facts.modified, sha256: sha256, convertedFrom: convertedFrom)
  }

  init(bytes: Int64, modified: Int64, sha256: String, convertedFrom: String? = nil) {
    self.bytes = bytes
    self.modified = modified
    self.sha256 = sha256
    self.convertedFrom = convertedFrom
  }
}

/// Size and modification time of a file.
struct FileFacts {
  var bytes: Int64
  /// Microseconds since 1970.
  var modified: Int64

  init(of url: URL) throws {
    // Resolved, because the facts of a link to a model elsewhere are of no interest.
    let path = url.resolvingSymlinksInPath().path
    let attributes = try FileManager.default.attributesOfItem(atPath: path)
    bytes = (attributes[.size] as? NSNumber)?.int64Value ?? 0
    let date = attributes[.modificationDate] as? Date ?? .distantPast
    modified = Int64((date.timeIntervalSince1970 * 1e6).rounded())
  }
}
