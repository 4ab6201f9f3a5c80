/// Who may run: a bounded queue before a budget of cache cells and of sessions at once.
///
/// A session claims cells for what it holds and some room to grow, not for the most it may ever need, so that many
/// sessions with generous limits fit side by side. Should they all grow, the one admitted last is preempted: it goes
/// back to the front of the queue, its cells are freed and computed again later. The session admitted first is never
/// preempted, so everybody's turn comes.
///
/// What a session gives up stays claimed until the engine has said that it is free (`released`): nobody is admitted
/// into cells that are still in use. A full cache means waiting; only what can never fit is refused.
///
/// ```
/// request --> queued --admit--> running --ended--> releasing --released--> gone
///               ^                  '--preempted--> releasing, and queued again
///               '------------------------------------'
/// ```
public struct Admission: Sendable {
  public struct Configuration: Hashable, Sendable {
    /// Sessions that run at once, at most.
    public var maxRunning: Int
    /// Sessions that wait, at most.
    public var maxWaiting: Int
    /// Cells of the target's cache: tokens, guesses included.
    public var cells: Int
    /// Cells beyond its present tokens that a session claims where there are enough: guesses, and room to grow.
    public var headroom: Int

    public init(maxRunning: Int = .max, maxWaiting: Int = .max, cells: Int = .max, headroom: Int = 64) {
      self.maxRunning = maxRunning
      self.maxWaiting = maxWaiting
      self.cells = cells
      self.headroom = headroom
    }
  }

  public enum Decision: Hashable, Sendable {
    case queued
    /// The queue is full.
    case refused(retryAfter: Duration)
    /// It would not fit into an empty cache.
    case impossible
  }

  private struct Running: Sendable {
    let session: SessionID
    var claim: Int
    let since: Timestamp
  }

  private struct Waiting: Sendable {
    let session: SessionID
    /// Tokens that it holds.
    let tokens: Int
    let isPreempted: Bool
  }

  public let configuration: Configuration
  /// In the order of admission.
  private var running: [Running] = []
  /// First come, first served; preempted sessions before all others.
  private var queue: [Waiting] = []
  /// Claims of sessions whose cells the engine has been told to free, and has not yet.
  private var releasing: [SessionID: Int] = [:]
  /// Cells that running sessions wait for to grow. Nobody is admitted into them: whoever has just made room would
  /// take it back, and make room again, for ever.
  private var wanted: [SessionID: Int] = [:]
  /// Cells that running and releasing sessions have claimed.
  public private(set) var claimed = 0
  /// Sessions that were preempted so far.
  public private(set) var preemptions = 0
  /// Smoothed time that a session runs, in seconds.
  private var serviceSeconds = 5.0

  public init(configuration: Configuration) {
    self.configuration = configuration
  }

  public var runningCount: Int { running.count }
  public var waitingCount: Int { queue.count }
  /// Sessions that run, in the order of their admission.
  public var runningSessions: [SessionID] { running.map(\.session) }
  func isRunning(_ session: SessionID) -> Bool { running.contains { $0.session == session } }
  /// Sessions that the engine holds something of.
  var heldCount: Int { running.count + releasing.count }
  /// Whether the engine still has to free something.
  var isReleasing: Bool { !releasing.isEmpty }
  func runningSession(_ index: Int) -> SessionID { running[index].session }

  private var free: Int { configuration.cells - claimed }

  // MARK: Coming

  /// A session wants to run. Whether it does is for `admitNext` to say.
  ///
  /// - Parameter tokens: of its prompt
  public mutating func request(_ session: SessionID, tokens: Int) -> Decision {
    guard tokens <= configuration.cells else { return .impossible }
    // A place among the running that is free needs no place in the queue.
    guard queue.count < configuration.maxWaiting || queue.isEmpty && fits(tokens) else {
      return .refused(retryAfter: retryAfter)
    }
    queue.append(Waiting(session: session, tokens: tokens, isPreempted: false))
    return .queued
  }

  /// Takes from the queue whoever can run now, one at a call.
  public mutating func admitNext(at now: Timestamp) -> SessionID? {
    guard let first = queue.first, fits(first.tokens), releasing[first.session] == nil else { return nil }
    queue.removeFirst()
    let claim = min(first.tokens + configuration.headroom, free)
    running.append(Running(session: first.session, claim: claim, since: now))
    claimed += claim
    return first.session
  }

  /// Headroom is asked for where others run; one session alone takes what there is.
  private func fits(_ tokens: Int) -> Bool {
    guard running.count + releasing.count < configuration.maxRunning else { return false }
    return tokens + (claimed == 0 ? 0 : configuration.headroom) <= unclaimed
  }

  // MARK: Growing

  public enum Growth: Hashable, Sendable {
    case granted
    /// Cells have to be freed first: of these sessions, which are in the queue again, perhaps its own among them, or
    /// of earlier ones.
    case waits(preempted: [SessionID])
  }

  /// A running session is about to hold so many tokens.
  public mutating func grow(_ session: SessionID, to tokens: Int, holding: (SessionID) -> Int) -> Growth {
    guard let index = running.firstIndex(where: { $0.session == session }) else {
      preconditionFailure("\(session) grows and does not run")
    }
    wanted[session] = nil
    let missing = tokens - running[index].claim
    if missing <= 0 { return .granted }
    if missing <= free {
      // Claims grow in strides, not with every token.
      let taken = min(missing + configuration.headroom / 2, free)
      running[index].claim += taken
      claimed += taken
      return .granted
    }
    var preempted: [SessionID] = []
    while free + releasing.values.reduce(0, +) < missing, running.count > 1 {
      let last = running[running.count - 1].session
      preempt(last, tokens: holding(last))
      preempted.append(last)
      if last == session { break }
    }
    if isRunning(session) { wanted[session] = missing }
    return .waits(preempted: preempted)
  }

  /// Puts a running session back in front of the queue; its cells are to be released.
  mutating func preempt(_ session: SessionID, tokens: Int) {
    guard let index = running.firstIndex(where: { $0.session == session }) else {
      preconditionFailure("\(session) is preempted and does not run")
    }
    releasing[session] = running.remove(at: index).claim
    wanted[session] = nil
    queue.insert(Waiting(session: session, tokens: tokens, isPreempted: true), at: 0)
    preemptions += 1
  }

  /// Cells for guesses of a running session that holds so many tokens, without taking any from others.
  func slack(of session: SessionID, holding tokens: Int) -> Int {
    running.first { $0.session == session }.map { max(0, $0.claim - tokens) } ?? 0
  }

  /// Cells that nobody has claimed or waits for.
  var unclaimed: Int { max(0, free - wanted.values.reduce(0, +)) }

  /// A running session takes free cells for guesses beyond its claim.
  mutating func take(_ cells: Int, for session: SessionID) {
    guard cells > 0, let index = running.firstIndex(where: { $0.session == session }) else { return }
    precondition(cells <= free, "cells that are not free")
    running[index].claim += cells
    claimed += cells
  }

  // MARK: Going

  /// A session is over, whether it ran or waited.
  ///
  /// - Returns: whether the engine has cells of it that are to be released
  public mutating func ended(_ session: SessionID, at now: Timestamp) -> Bool {
    wanted[session] = nil
    if let index = running.firstIndex(where: { $0.session == session }) {
      let ended = running.remove(at: index)
      releasing[session] = ended.claim
      serviceSeconds += 0.1 * (ended.since.duration(to: now).inSeconds - serviceSeconds)
      return true
    }
    queue.removeAll { $0.session == session }
    return false
  }

  /// The engine has freed what a session held.
  public mutating func released(_ session: SessionID) {
    if let claim = releasing.removeValue(forKey: session) { claimed -= claim }
  }

  /// Whether somebody waits for cells that are being freed: a pass that began now would make them wait for all of it.
  var isWaitingForRelease: Bool {
    guard !releasing.isEmpty, let first = queue.first else { return false }
    return releasing[first.session] != nil || running.count < configuration.maxRunning && !fits(first.tokens)
  }

  /// How long until a place in the queue can be hoped for, in whole seconds.
  public var retryAfter: Duration {
    let perSession = serviceSeconds / Double(max(1, running.count))
    return .seconds(min(max(1, Int((perSession * Double(queue.count / 2 + 1)).rounded(.up))), 120))
  }
}

extension Admission {
  /// Everything that must hold between events; the first breach as a sentence. For tests.
  package var brokenInvariant: String? {
    let sum = running.reduce(0) { $0 + $1.claim } + releasing.values.reduce(0, +)
    if sum != claimed { return "\(claimed) cells are claimed, of which \(sum) are known" }
    if claimed > configuration.cells { return "\(claimed) of \(configuration.cells) cells are claimed" }
    if running.count > configuration.maxRunning { return "\(running.count) sessions run" }
    if running.contains(where: { $0.claim > configuration.cells }) { return "a claim exceeds the cache" }
    let ids = running.map(\.session) + queue.map(\.session)
    if Set(ids).count != ids.count { return "a session is there twice" }
    if running.contains(where: { releasing[$0.session] != nil }) { return "runs and is being released" }
    if let late = queue.lastIndex(where: \.isPreempted), queue[..<late].contains(where: { !$0.isPreempted }) {
      return "a preempted session waits behind one that has not run"
    }
    return nil
  }

  /// What a running session has claimed. For tests.
  package func claim(of session: SessionID) -> Int? { running.first { $0.session == session }?.claim }
}
