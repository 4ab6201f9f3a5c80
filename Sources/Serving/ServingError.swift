import Failures

/// Why serving or drafting could not begin or go on, and what to do about it.
public typealias ServingError = Failure<ServingErrorCode>

/// The kinds of `ServingError`.
public struct ServingErrorCode: Hashable, Sendable {
  private enum Raw: Hashable, Sendable {
    case cannotListen, differentVocabularies, noWorker, promptTooLong, stopped, unsupportedEngine,
      invalidRecord, invalidChat
  }
  private var raw: Raw

  /// The address is taken, or none of this machine.
  public static let cannotListen = ServingErrorCode(raw: .cannotListen)
  /// Target and draft model do not speak of the same tokens.
  public static let differentVocabularies = ServingErrorCode(raw: .differentVocabularies)
  /// A worker that was started did not attach, or did not go.
  public static let noWorker = ServingErrorCode(raw: .noWorker)
  /// The context has no room for it and a token of the answer.
  public static let promptTooLong = ServingErrorCode(raw: .promptTooLong)
  /// A part that was to run ended.
  public static let stopped = ServingErrorCode(raw: .stopped)
  /// The file of audits cannot be written or read.
  public static let invalidRecord = ServingErrorCode(raw: .invalidRecord)
  /// The chat template or its variables cannot be read.
  public static let invalidChat = ServingErrorCode(raw: .invalidChat)
  /// The engine cannot do what it is needed for.
  public static let unsupportedEngine = ServingErrorCode(raw: .unsupportedEngine)
}
