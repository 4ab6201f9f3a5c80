/// A peer sent bytes that are not of the format it announced.
public struct StreamFormatError: Error, Equatable, CustomStringConvertible {
  public enum Code: Sendable {
    /// A field that contradicts another, or text that is not UTF-8.
    case malformed
    case wrongChecksum
    /// Longer than the format, or this reader, allows.
    case tooLarge
    /// The stream ended within a frame.
    case truncated
  }

  public var code: Code
  /// What was wrong, and at which byte of the stream.
  public var description: String

  init(_ code: Code, _ description: String) {
    self.code = code
    self.description = description
  }
}
