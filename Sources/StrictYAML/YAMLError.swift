/// A file of settings that cannot be used: where, what is wrong, and what to do.
public struct YAMLError: Error, Hashable, Sendable, CustomStringConvertible {
  /// The file's name, or the setting that the value came from ("--set link.rtt").
  public var file: String
  /// From 1; nil when the file as a whole is wrong, or there is no file.
  public var line: Int?
  public var message: String
  public var hint: String?

  public init(_ place: YAMLPlace, _ message: String, hint: String? = nil) {
    file = place.file
    line = place.line
    self.message = message
    self.hint = hint
  }

  public var description: String {
    YAMLPlace(file: file, line: line).description + ": \(message)"
      + (hint.map { "\n  hint: \($0)" } ?? "")
  }
}
