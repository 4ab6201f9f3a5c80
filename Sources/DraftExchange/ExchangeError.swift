/// Why the exchange cannot start or cannot go on.
public struct ExchangeError: Error, Hashable, Sendable, CustomStringConvertible {
  /// What kind of error this is. New kinds may appear.
  public struct Code: Hashable, Sendable, CustomStringConvertible {
    private enum Wrapped: String { case invalidConfiguration, insecure, cannotListen, refused }
    private var wrapped: Wrapped
    public var description: String { wrapped.rawValue }

    /// A setting makes no sense.
    public static let invalidConfiguration = Code(wrapped: .invalidConfiguration)
    /// Plaintext was asked for on an address that others can reach.
    public static let insecure = Code(wrapped: .insecure)
    /// The port is in use, or the address is not one of this machine.
    public static let cannotListen = Code(wrapped: .cannotListen)
    /// The other side, or this one, found that the two do not fit: another vocabulary or protocol version.
    public static let refused = Code(wrapped: .refused)
  }

  public var code: Code
  /// One line that says what is wrong, where, and what to do.
  public var message: String

  public init(code: Code, message: String) {
    self.code = code
    self.message = message
  }

  public var description: String { message }
}

/// A peer sent something that the protocol does not allow. Nothing of that frame is used.
public struct FieldViolation: Error, Hashable, Sendable, CustomStringConvertible {
  /// Where: "expansions[0].tokens[3]".
  public var field: String
  /// What was found there and what would have been allowed.
  public var problem: String

  public init(field: String, problem: String) {
    self.field = field
    self.problem = problem
  }

  public var description: String { "protocol violation: \(field) \(problem)" }
}
