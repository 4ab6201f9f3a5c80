import SpeculationCore

/// What a controller is doing at this moment.
public struct NodeStatus: Sendable {
  /// Sessions that have been admitted.
  public var running = 0
  /// Sessions in the queue.
  public var waiting = 0
  /// Tokens of the target's cache that admitted sessions have claimed, and all there are.
  public var cacheTokens = 0
  public var cacheCapacity = 0
  /// Times that a session had to make room for others, since the start.
  public var preemptions = 0
  /// False once the node is about to end.
  public var isAccepting = true
  /// Why the engine no longer works; nil while it does.
  public var engineFailure: String?
  public var workers: [WorkerStatus] = []

  public init() {}

  public struct WorkerStatus: Sendable {
    public var id: WorkerID
    /// As the pool sees it.
    public var known: WorkerPool.Description
    /// TCP payload.
    public var bytesReceived: Int
    public var bytesSent: Int
  }
}
