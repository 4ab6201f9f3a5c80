/// A peer broke a rule that no honest peer breaks, whatever the network does. The peer is disconnected; the
/// session goes on.
public struct ProtocolViolation: Error, Hashable, Sendable, CustomStringConvertible {
  public var description: String
  public init(_ description: String) { self.description = description }
}
