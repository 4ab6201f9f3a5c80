/// What happens in a run, for people and scripts.
public enum StudyEvent: Sendable {
  /// - Parameters:
  ///   - slots: that the source's part covers
  ///   - stored: probes that are there already
  case began(slots: Range<Int>, stored: Int, sent: Int, usd: Double)
  /// A probe is on the disk.
  case stored(ProbeRecord)
  /// Probes that nobody sent are on the disk as such.
  case missed(count: Int, reason: String)
  /// A target that will not be asked again in this run.
  case stopped(target: String, reason: String)
  /// A target that asked for a pause, seconds.
  case paused(target: String, seconds: Double)
  /// Somebody set the clock, forward by so many seconds.
  case clockStepped(seconds: Double)
  /// The run ends when these have ended, which may take so long.
  case draining(probes: Int, within: Duration)
}

/// Why a run ended.
public enum StudyEnding: Sendable, Equatable {
  /// Every slot is stored.
  case complete
  /// A limit was reached; the text names it.
  case limit(String)
  /// Every target was stopped.
  case allTargetsStopped
  /// Somebody asked; `resume` goes on.
  case interrupted
}
