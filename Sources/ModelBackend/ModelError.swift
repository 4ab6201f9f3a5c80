import Failures

/// An error of a model engine, with a hint that says what to do about it.
public typealias ModelError = Failure<ModelErrorCode>

/// The kinds of `ModelError`.
public struct ModelErrorCode: Hashable, Sendable {
  private enum Raw: Hashable, Sendable {
    case fileUnreadable, notAModel, unsupportedModel, contextFull, invalidRequest, engineFailed, cancelled
  }
  private var raw: Raw

  /// The model file is missing or cannot be read.
  public static let fileUnreadable = ModelErrorCode(raw: .fileUnreadable)
  /// The file is not a model, or is truncated or damaged.
  public static let notAModel = ModelErrorCode(raw: .notAModel)
  /// A model that cannot be used here: unknown architecture, or no way to roll back (recurrent).
  public static let unsupportedModel = ModelErrorCode(raw: .unsupportedModel)
  /// The context has no room for the pass.
  public static let contextFull = ModelErrorCode(raw: .contextFull)
  /// The request cannot be served: token out of range, empty prefix, too many branches.
  public static let invalidRequest = ModelErrorCode(raw: .invalidRequest)
  /// The engine reported a failure of its own.
  public static let engineFailed = ModelErrorCode(raw: .engineFailed)
  /// The engine was shut down.
  public static let cancelled = ModelErrorCode(raw: .cancelled)
}
