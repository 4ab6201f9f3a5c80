import Failures

/// What keeps an emulator from starting, with a hint that says what to do about it.
public typealias LinkError = Failure<LinkErrorCode>

/// The kinds of `LinkError`.
public struct LinkErrorCode: Hashable, Sendable {
  private enum Raw: Hashable, Sendable { case invalidModel, portInUse, cannotListen }
  private var raw: Raw

  /// The link description or the configuration has a `problem`.
  public static let invalidModel = LinkErrorCode(raw: .invalidModel)
  /// Another process listens on the address.
  public static let portInUse = LinkErrorCode(raw: .portInUse)
  /// The address cannot be listened on: not of this machine, not permitted.
  public static let cannotListen = LinkErrorCode(raw: .cannotListen)
}
