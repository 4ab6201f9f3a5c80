/// Who may run: a bounded queue before a budget of cache tokens.
///
/// A session claims what it holds and some room to grow, not the most it may ever need, so that many sessions with
/// generous limits fit side by side. Should they all grow, the one admitted last is put back in front of the queue:
/// its cache is freed and computed again later.
public struct Admission: Sendable {
  public struct Configuration: Hashable, Sendable {
    /// Sessions that run at once, at most.
    public var maxRunning: Int
    /// Sessions that wait, at most.
    public var maxWaiting: Int
    /// Tokens that the target's cache holds.
    public var cacheTokens: Int
    /// Tokens beyond its present ones that a session claims: guesses under verification, and room to grow.
    public var headroom: Int

    public init(maxRunning: Int = .max, maxWaiting: Int = .max, cacheTokens: Int = .max, headroom: Int = 64) {
      self.maxRunning = maxRunning
      self.maxWaiting = maxWaiting
      self.cacheTokens = cacheTokens
      self.headroom = headroom
    }
  }

  public enum Decision: Hashable, Sendable {
    case admitted
    case queued
    /// The queue is full.
    case refused(retryAfter: Duration)
  }

  public let configuration: Configuration
  /// In the order of admission, with what each claims.
  private var running: [(session: SessionID, claim: Int, since: Timestamp)] = []
  /// First come, first served; preempted sessions before all others.
  private var queue: [(session: SessionID, tokens: Int)] = []
  public private(set) var claimed = 0
  /// Smoothed time that a session runs, in seconds.
  private var serviceSeconds = 5.0

  public init(configuration: Configuration) {
    self.configuration = configuration
  }

  public var runningCount: Int { running.count }
  public var waitingCount: Int { queue.count }

  /// A session wants to run.
  ///
  /// - Parameter tokens: of its prompt
  public mutating func request(_ session: SessionID, tokens: Int, at now: Timestamp) -> Decision {
    if queue.isEmpty, fits(tokens) {
      admit(session, tokens, at: now)
      return .admitted
    }
    guard queue.count < configuration.maxWaiting else { return .refused(retryAfter: retryAfter) }
    queue.append((session, tokens))
    return .queued
  }

  /// A running session holds so many tokens now.
  ///
  /// - Returns: sessions that have to stop running for the time being; they are in the queue again
  public mutating func grew(_ session: SessionID, to tokens: Int) -> [SessionID] {
    guard let index = running.firstIndex(where: { $0.session == session }) else { return [] }
    let claim = self.claim(tokens)
    // Claims grow in strides, not with every token.
    guard claim - configuration.headroom / 2 > running[index].claim else { return [] }
    claimed += claim - running[index].claim
    running[index].claim = claim
    var preempted: [SessionID] = []
    while claimed > configuration.cacheTokens, running.count > 1 {
      let last = running.removeLast()
      claimed -= last.claim
      queue.insert((last.session, last.claim - configuration.headroom), at: 0)
      preempted.append(last.session)
    }
    return preempted
  }

  /// A session is over, whether it ran or waited.
  public mutating func ended(_ session: SessionID, at now: Timestamp) {
    if let index = running.firstIndex(where: { $0.session == session }) {
      let ended = running.remove(at: index)
      claimed -= ended.claim
      serviceSeconds += 0.1 * (ended.since.duration(to: now).inSeconds - serviceSeconds)
    } else {
      queue.removeAll { $0.session == session }
    }
  }

  /// Takes from the queue whoever can run now.
  public mutating func admitWaiting(at now: Timestamp) -> [SessionID] {
    var admitted: [SessionID] = []
    while let first = queue.first, fits(first.tokens) {
      queue.removeFirst()
      admit(first.session, first.tokens, at: now)
      admitted.append(first.session)
    }
    return admitted
  }

  /// How long until a place in the queue can be hoped for, in whole seconds.
  public var retryAfter: Duration {
    let perSession = serviceSeconds / Double(max(1, running.count))
    return .seconds(min(max(1, Int((perSession * Double(queue.count / 2 + 1)).rounded(.up))), 120))
  }

  private func claim(_ tokens: Int) -> Int { tokens + configuration.headroom }

  /// One session alone always fits: its length is bounded by the context, and the cache holds that.
  private func fits(_ tokens: Int) -> Bool {
    running.isEmpty
      || running.count < configuration.maxRunning && claimed + claim(tokens) <= configuration.cacheTokens
  }

  private mutating func admit(_ session: SessionID, _ tokens: Int, at now: Timestamp) {
    running.append((session, claim(tokens), now))
    claimed += claim(tokens)
  }
}
