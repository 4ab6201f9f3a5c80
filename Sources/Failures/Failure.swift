/// An error that people read: of what kind it is, what was wrong, what to do, and what was behind it.
///
/// A library gives its codes a type of their own and its errors a name, as `typealias ModelError =
/// Failure<ModelErrorCode>`. A code is a struct with static members, so that further ones break nobody's `switch`.
public struct Failure<C: Hashable & Sendable>: Error, Sendable, CustomStringConvertible {
  public typealias Code = C

  public var code: Code
  /// One sentence, without a full stop.
  public var message: String
  /// What to do about it.
  public var hint: String?
  /// What went wrong below.
  public var cause: (any Error)?

  public init(_ code: Code, _ message: String, hint: String? = nil, cause: (any Error)? = nil) {
    self.code = code
    self.message = message
    self.hint = hint
    self.cause = cause
  }

  /// "message: cause (hint)".
  public var description: String {
    let all = cause.map { "\(message): \($0)" } ?? message
    return hint.map { "\(all) (\($0))" } ?? all
  }
}
