/// Keys that cannot be had, for people.
public struct CredentialError: Error, Equatable, CustomStringConvertible {
  public var description: String
  public var hint: String?

  init(_ description: String, hint: String? = nil) {
    self.description = description
    self.hint = hint
  }
}
