/// A token of the vocabulary that target and draft share.
public typealias TokenID = Int32

/// One generation: one sequence of tokens.
public struct SessionID: Hashable, Comparable, Sendable, CustomStringConvertible {
  public var rawValue: UInt64
  public init(_ rawValue: UInt64) { self.rawValue = rawValue }
  public static func < (a: Self, b: Self) -> Bool { a.rawValue < b.rawValue }
  public var description: String { "session \(rawValue)" }
}

/// One attached worker, as the controller names it. Never reused within a controller's life, so an event
/// that arrives late from a worker that has left is recognised as such.
public struct WorkerID: Hashable, Comparable, Sendable, CustomStringConvertible {
  public var rawValue: UInt64
  public init(_ rawValue: UInt64) { self.rawValue = rawValue }
  public static func < (a: Self, b: Self) -> Bool { a.rawValue < b.rawValue }
  public var description: String { "worker \(rawValue)" }
}
