/// A grammar or a schema that cannot be used.
public struct ConstraintError: Error, Hashable, Sendable, CustomStringConvertible {
  /// What is wrong, and where.
  public var description: String

  package init(_ description: String) { self.description = description }
}
