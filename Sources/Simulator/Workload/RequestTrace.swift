import SpeculationCore

/// A file of requests, and which of them to take, how fast.
///
/// Either CSV with a header line: `arrival,prompt,answer` (seconds, or durations such as `1.5s`; tokens) or
/// `TIMESTAMP,ContextTokens,GeneratedTokens` (as Azure publishes them), columns in any order. Or JSON Lines with
/// `timestamp` (milliseconds), `input_length` and `output_length` (as Mooncake's). A clock's times count from the
/// first request; others are taken as they are. gzip is recognised.
public struct RequestTrace: Hashable, Sendable {
  public var path: String
  /// How many times as fast as recorded.
  public var scale: Double
  /// Requests at most.
  public var limit: Int?
  /// Part of the trace to take, in its own time. Virtual time begins at `start`.
  public var start: Duration
  public var end: Duration?

  public init(
    path: String, scale: Double = 1, limit: Int? = nil, start: Duration = .zero, end: Duration? = nil
  ) {
    self.path = path
    self.scale = scale
    self.limit = limit
    self.start = start
    self.end = end
  }

  /// What a whole reading found.
  public struct Summary: Hashable, Sendable {
    public var requests = 0
    public var promptTokens = 0
    public var answerTokens = 0
    public var longestPrompt = 0
    public var longestAnswer = 0
    /// From the start to the last request.
    public var duration: Duration = .zero
  }

  /// Reads all that would be taken and keeps nothing of it: an error is found before a run begins, not hours into
  /// it, and a server's limits can be held against the longest request.
  public func summary() throws(TraceError) -> Summary {
    let reader = try RequestTraceReader(self)
    var summary = Summary()
    while let request = try reader.next() {
      let (prompt, answer) = (request.prompt ?? 0, request.answer ?? 0)
      summary.requests += 1
      summary.promptTokens += prompt
      summary.answerTokens += answer
      summary.longestPrompt = max(summary.longestPrompt, prompt)
      summary.longestAnswer = max(summary.longestAnswer, answer)
      summary.duration = .nanoseconds(request.time)
    }
    return summary
  }
}
