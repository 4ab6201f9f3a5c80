import SpeculationCore

/// How many bytes a message takes on the wire, near enough for a rate limit: what protobuf, gRPC's prefix, an
/// HTTP/2 frame and a TLS record make of it (docs/protocol.md). A test compares it with the real codec.
package enum WireSize {
  /// gRPC's prefix 5, HTTP/2's frame header 9, the outer message 4.
  static let overhead = 18
  /// A token id takes up to three bytes, a probability two.
  static let candidate = 5
  /// The distance between the ids of two nodes given up, mostly below 128.
  static let forgotten = 1

  package static func bytes(_ message: WorkerMessage) -> Int {
    switch message {
    case .expansion(_, let expansion):
      overhead + 16 + candidate * expansion.distribution.candidates.count
        + (expansion.forgotten.isEmpty ? 0 : 2 + forgotten * expansion.forgotten.count)
    case .declined(_, let reason): overhead + 4 + reason.utf8.count
    }
  }

  package static func bytes(_ message: ControllerMessage) -> Int {
    switch message {
    case .open(_, let opening): overhead + 27 + 3 * opening.context.count
    case .commit(_, let commit): overhead + 8 + 3 * commit.tokens.count
    case .close: overhead + 4
    }
  }
}
