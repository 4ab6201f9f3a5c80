/// Why serving or drafting could not begin or go on, and what to do about it.
public struct ServingError: Error, Sendable, CustomStringConvertible {
  public var message: String
  public var hint: String?
  /// What was behind it.
  public var cause: (any Error)?

  public init(_ message: String, hint: String? = nil, cause: (any Error)? = nil) {
    self.message = message
    self.hint = hint
    self.cause = cause
  }

  public var description: String {
    let all = cause.map { "\(message): \($0)" } ?? message
    return hint.map { "\(all)\n  hint: \($0)" } ?? all
  }
}
