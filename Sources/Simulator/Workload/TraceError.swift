/// A trace of requests that cannot be used: where, what is wrong, and what to do.
public struct TraceError: Error, Hashable, Sendable, CustomStringConvertible {
  public var file: String
  /// From 1, of the decompressed text; nil when the file as a whole is wrong.
  public var line: Int?
  /// From 1, in bytes.
  public var column: Int?
  public var message: String
  public var hint: String?

  public init(_ file: String, line: Int? = nil, column: Int? = nil, _ message: String, hint: String? = nil) {
    self.file = file
    self.line = line
    self.column = column
    self.message = message
    self.hint = hint
  }

  /// "trace.csv:3:12: ...", as editors and terminals link it.
  public var description: String {
    file + (line.map { ":\($0)" } ?? "") + (column.map { ":\($0)" } ?? "") + ": \(message)"
      + (hint.map { "\n  hint: \($0)" } ?? "")
  }
}
