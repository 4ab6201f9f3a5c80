import SpeculationCore

/// One point of a scenario, ready to run: what is written, by whom, and how.
public struct Setup: Sendable {
  public var texts: TextSource
  public var plan: SimulationPlan
  public var seed: UInt64
  /// What is asked of the server; nil: each text once, `plan.sessions` at a time.
  public var workload: Workload?
}

extension Setup {
  /// Runs the point: each text once; a workload; or, where a capacity is asked for, as many runs as tell how many
  /// streams the target carries. The result is then that of the most streams that held, or of one stream.
  ///
  /// - Throws: `TraceError` where a trace cannot be read on
  public func run(_ source: TokenSource) throws(TraceError) -> SimulationResult {
    guard let workload else { return Simulation.run(plan, source) }
    guard let goal = workload.capacity else { return try run(source, workload, streams: plan.sessions) }
    let search = CapacitySearch(streams: goal.streams)
    let found = try search.result {
      goal.holds($0.serving)
    } run: { (streams) throws(TraceError) in
      var loop = workload
      loop.arrivals = .closedLoop(users: streams)
      loop.requests = workload.requests ?? streams * goal.requestsPerStream
      return try run(source, loop, streams: streams)
    }
    var result = found.figures ?? found.runs[0].figures
    result.streams = found.streams
    return result
  }

  private func run(
    _ source: TokenSource, _ workload: Workload, streams: Int
  ) throws(TraceError) -> SimulationResult {
    var plan = plan
    plan.limits = workload.limits
    plan.sessions = streams
    return try Simulation.run(plan, source, workload, seed: seed)
  }
}

/// Where a scenario's texts come from.
public enum TextSource: Hashable, Sendable {
  /// A recording: its path, tasks to take (empty: all), texts at most (0: all), whether to join them into one.
  case recording(path: String, tasks: [String], limit: Int, joined: Bool)
  /// Drawn from a chain of matches. `fitting` is the recording whose match rates it has.
  case chain(afterHit: Double, afterMiss: Double, spread: Double, texts: Int, length: Int)
  case fitted(path: String, texts: Int, length: Int)

  /// Reads or draws the texts.
  public func load(seed: UInt64) throws(RecordingError) -> TokenSource {
    switch self {
    case .recording(let path, let tasks, let limit, let joined):
      var recording = try Recording.read(path)
      recording.texts = recording.texts.filter { tasks.isEmpty || tasks.contains($0.task) }
      if limit > 0 { recording.texts = Array(recording.texts.prefix(limit)) }
      guard !recording.texts.isEmpty else {
        throw RecordingError(path, "has no text of the tasks \(tasks.joined(separator: ", "))")
      }
      return TokenSource(recording, joined: joined, seed: seed)
    case .chain(let afterHit, let afterMiss, let spread, let texts, let length):
      return TokenSource(
        MatchChain(afterHit: afterHit, afterMiss: afterMiss, spread: spread), texts: texts, length: length,
        seed: seed)
    case .fitted(let path, let texts, let length):
      return TokenSource(
        MatchChain(fitting: try Recording.read(path)), texts: texts, length: length, seed: seed)
    }
  }
}
