extension WorkerMachine {
  public struct Configuration: Hashable, Sendable {
    public var limits: DraftLimits
    /// Sessions at once.
    public var maxSessions: Int
    /// Tokens a session may hold, guesses included: the draft model's context.
    public var contextLength: Int
    /// What each token of a long text costs; nil when it has not been measured.
    public var readingCost: Duration?
    /// Tokens that the excerpts of one session may hold; 0 reads every text before the first guess.
    public var excerptTokens: Int

    public init(
      limits: DraftLimits = DraftLimits(), maxSessions: Int = 64, contextLength: Int,
      readingCost: Duration? = nil, excerptTokens: Int = Self.defaultExcerptTokens
    ) {
      self.limits = limits
      self.maxSessions = maxSessions
      self.contextLength = contextLength
      self.readingCost = readingCost
      self.excerptTokens = excerptTokens
    }

    public static let defaultExcerptTokens = 512
  }

  public enum Action: Sendable {
    /// Run the draft model once over these nodes; answer with `passFinished` or `passFailed`.
    case expand([DraftTask<NodeID>])
    /// Read a piece of a text; answer with `readingFinished` or `passFailed`.
    case read(ReadingTask)
    case send(WorkerMessage)
    /// The session is over: free what the model keeps for it.
    case release(SessionID)
    /// An excerpt is of no more use: forget this sequence, which no later text will begin with.
    case discard(SessionID)
  }

  /// What the worker keeps for each node.
  public struct Note: Sendable {
    /// 0 for a root that was never announced as a child.
    var remoteID: RemoteNodeID
    /// What the draft said of the node, before correction: the match estimator learns from it.
    var confidence: Float
    /// How likely, after the node, the likeliest child is that the tree had no room for; 0: it has all.
    var lost: Float = 0
  }
  public typealias NodeID = TokenTree<Note>.NodeID

  struct Session: Sendable {
    var tree: TokenTree<Note>
    var open = OpenNodes()
    var committed: [TokenID]
    var sampling: SamplingSettings
    var nextRemoteID: RemoteNodeID = 1
    /// Tells this session from an earlier one of the same id, whose pass may still be under way.
    var incarnation: Int64
    /// Nodes that the tree may hold.
    let maxNodes: Int
    /// The controller understands what `Expansion.forgotten` says, so that a full tree may give up nodes.
    let mayForget: Bool
    /// Path probability of the likeliest node that was given up since the root moved; 0: none was.
    var floor = 0.0
    /// Ids of nodes that were given up and the controller has not been told of.
    var forgotten: [RemoteNodeID] = []
    /// The controller wants no drafts at present.
    var isPaused = false
    var reading: ContextReading
  }
}
