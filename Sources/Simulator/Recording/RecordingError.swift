/// A recording that cannot be read or written: what is wrong, and where.
public struct RecordingError: Error, Hashable, Sendable, CustomStringConvertible {
  public var file: String
  /// From 1, of the decompressed text; nil when the file as a whole is wrong.
  public var line: Int?
  public var message: String

  public init(_ file: String, line: Int? = nil, _ message: String) {
    self.file = file
    self.line = line
    self.message = message
  }

  public var description: String { "\(file)\(line.map { ", line \($0)" } ?? ""): \(message)" }

  /// What is wrong with JSON that could not be decoded, in a few words.
  static func reason(_ error: any Error) -> String {
    switch error as? DecodingError {
    case .keyNotFound(let key, _): "\"\(key.stringValue)\" is missing"
    case .typeMismatch(_, let context), .valueNotFound(_, let context):
      "\"\(context.codingPath.map(\.stringValue).joined(separator: "."))\": \(context.debugDescription)"
    default: "not valid JSON"
    }
  }
}
