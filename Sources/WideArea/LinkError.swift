/// What keeps an emulator from starting, with a hint that says what to do about it.
public struct LinkError: Error, Sendable, CustomStringConvertible {
  public struct Code: Hashable, Sendable {
    private enum Raw: Hashable, Sendable { case invalidModel, portInUse, cannotListen }
    private var raw: Raw

    /// The link description or the configuration has a `problem`.
    public static let invalidModel = Code(raw: .invalidModel)
    /// Another process listens on the address.
    public static let portInUse = Code(raw: .portInUse)
    /// The address cannot be listened on: not of this machine, not permitted.
    public static let cannotListen = Code(raw: .cannotListen)
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
