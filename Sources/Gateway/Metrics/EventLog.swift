import NodeRuntime
import Synchronization

/// The last events of a node, for looking at what it just did.
public final class EventLog: Sendable {
  private struct State {
    var events: [NodeEvent] = []
    /// Where the oldest stands once the ring is full.
    var oldest = 0
    var total: UInt64 = 0
  }

  public let capacity: Int
  private let state = Mutex(State())

  /// - Parameter capacity: events to keep; 0 keeps none
  public init(capacity: Int = 8_192) {
    precondition(capacity >= 0)
    self.capacity = capacity
  }

  func append(_ event: NodeEvent) {
    state.withLock { state in
      state.total += 1
      if state.events.count < capacity {
        state.events.append(event)
      } else if capacity > 0 {
        state.events[state.oldest] = event
        state.oldest = (state.oldest + 1) % capacity
      }
    }
  }

  /// Events since the start.
  public var total: UInt64 { state.withLock { $0.total } }

  /// What is kept, oldest first.
  public var events: [NodeEvent] {
    state.withLock { Array($0.events[$0.oldest...] + $0.events[..<$0.oldest]) }
  }
}
