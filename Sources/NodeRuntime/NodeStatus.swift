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
    public var name: String
    public var site = ""
    public var model = ""
    /// Smoothed; nil before the first measurement.
    public var roundTrip: Duration?
    /// Sessions placed on it, and how many it takes.
    public var sessions = 0
    public var capacity = 0
    /// 1 for a worker whose expansions help, towards 0 where they never do.
    public var standing = 1.0
    /// Expansions received, those that came too late, and committed tokens that it had named before.
    public var expansions = 0
    public var lateExpansions = 0
    public var foreseenTokens = 0
    /// TCP payload, both directions.
    public var bytesReceived = 0
    public var bytesSent = 0
    public var isDraining = false

    public init(id: WorkerID, name: String) {
      self.id = id
      self.name = name
    }
  }
}
