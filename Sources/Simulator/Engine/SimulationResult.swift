import SpeculationCore

/// What a simulated run came to. Times are virtual, in nanoseconds.
public struct SimulationResult: Sendable, Hashable {
  public struct Session: Sendable, Hashable {
    /// Index of the text in the source.
    public var text: Int
    public var statistics: SessionStatistics
    /// From the request to the first token.
    public var timeToFirstToken: Int64
    /// From the first token to the last.
    public var decodeTime: Int64
  }

  /// In the order in which they ended.
  public var sessions: [Session] = []
  /// Sums over the sessions.
  public var statistics = SessionStatistics()
  /// The most streams that the target carries, where that was asked for.
  public var streams: Int?
  /// What users of the server saw.
  public var serving = ServingFigures()
  public var upBytes = 0
  public var downBytes = 0
  /// Time that each engine computed.
  public var targetBusy: Int64 = 0
  public var localBusy: Int64 = 0
  public var workerBusy: Int64 = 0
  /// Nodes that workers expanded, whether or not anybody heard of them.
  public var workerExpansions = 0
  public var workerPasses = 0
  public var targetPasses = 0
  /// Workers that a controller did without, since hardly anything of theirs helped.
  public var expelledWorkers = 0
  public var localPasses = 0
  public var elapsed: Int64 = 0
  public var events = 0
  public var timeline: [TimelineSpan] = []

  /// Decode time over all tokens after each session's first.
  public var millisecondsPerToken: Double {
    let tokens = sessions.reduce(0) { $0 + max(0, $1.statistics.tokens - 1) }
    return tokens == 0 ? 0 : Double(sessions.reduce(0) { $0 + $1.decodeTime }) / 1e6 / Double(tokens)
  }

  public var meanTimeToFirstToken: Double {
    sessions.isEmpty
      ? 0 : Double(sessions.reduce(0) { $0 + $1.timeToFirstToken }) / 1e6 / Double(sessions.count)
  }

  public var tokensPerStep: Double { statistics.tokensPerStep }
  /// Controller draft passes for each token.
  public var localExpansionsPerToken: Double { statistics.localExpansionsPerToken }
  public var workerExpansionsPerToken: Double {
    statistics.tokens == 0 ? 0 : Double(workerExpansions) / Double(statistics.tokens)
  }
  public var bytesPerToken: Double {
    statistics.tokens == 0 ? 0 : Double(upBytes + downBytes) / Double(statistics.tokens)
  }
}

/// Something that took time, for a timeline chart.
public struct TimelineSpan: Sendable, Hashable {
  public enum Kind: String, Sendable, Hashable, CaseIterable {
    case verify, bubble, localDraft, workerDraft, guesses, commit
  }
  public var kind: Kind
  /// Worker's index; -1 at the controller.
  public var worker: Int
  /// Nanoseconds since the start of the run.
  public var start: Int64
  public var end: Int64
  /// Nodes of the pass, tokens of a commit, expansions of a message.
  public var count: Int
  /// For a verification: tokens that it committed.
  public var committed = 0
}
