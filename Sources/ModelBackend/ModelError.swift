/// An error of a model engine, with a hint that says what to do about it.
public struct ModelError: Error, Sendable, CustomStringConvertible {
  public struct Code: Hashable, Sendable {
    private enum Raw: Hashable, Sendable {
      case fileUnreadable, notAModel, unsupportedModel, contextFull, invalidRequest, engineFailed, cancelled
    }
    private var raw: Raw

    /// The model file is missing or cannot be read.
    public static let fileUnreadable = Code(raw: .fileUnreadable)
    /// The file is not a model, or is truncated or damaged.
    public static let notAModel = Code(raw: .notAModel)
    /// A model that cannot be used here: unknown architecture, or no way to roll back (recurrent).
    public static let unsupportedModel = Code(raw: .unsupportedModel)
    /// The context has no room for the pass.
    public static let contextFull = Code(raw: .contextFull)
    /// The request cannot be served: token out of range, empty prefix, too many branches.
    public static let invalidRequest = Code(raw: .invalidRequest)
    /// The engine reported a failure of its own.
    public static let engineFailed = Code(raw: .engineFailed)
    /// The engine was shut down.
    public static let cancelled = Code(raw: .cancelled)
  }

  public var code: Code
  public var message: String
  public var hint: String?

  public init(_ code: Code, _ message: String, hint: String? = nil) {
    self.code = code
    self.message = message
    self.hint = hint
  }

  public var description: String { hint.map { "\(message) (\($0))" } ?? message }
}
