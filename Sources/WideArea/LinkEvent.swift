/// What an emulator has to say to people.
public enum LinkEvent: Hashable, Sendable, CustomStringConvertible {
  /// The far end does not take connections. Said once, and again only after one that was taken.
  case upstreamRefused(address: String, reason: String)
  /// The far end takes connections again.
  case upstreamAccepted(address: String)
  /// An outage that resets has begun, and killed this many connections.
  case outageReset(connections: Int)
  /// Connections cannot be accepted, or can be again.
  case accepting(String)

  public var description: String {
    switch self {
    case .upstreamRefused(let address, let reason):
      "\(address) refuses connections: \(reason) (is it running? connections are reset until it is)"
    case .upstreamAccepted(let address): "\(address) takes connections again"
    case .accepting(let notice): notice
    case .outageReset(let connections): "outage: \(connections) connections reset"
    }
  }
}
