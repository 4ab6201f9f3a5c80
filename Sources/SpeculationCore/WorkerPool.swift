/// Which workers draft for which sessions, at one controller.
///
/// A value without clock, I/O or threads. Events change the state; `decide` then says what to do about it. Sessions
/// go where the time per token is predicted to be shortest, are moved when that changes, and are handed over when a
/// worker leaves, drains or is excluded. Nothing here can change a text or hold up a session: one without a worker
/// is decoded plainly.
public struct WorkerPool: Sendable {
  public let configuration: Configuration
  private(set) var workers: [WorkerID: Worker] = [:]
  /// In the order in which they came.
  public private(set) var attached: [WorkerID] = []
  private(set) var sessions: [SessionID: Session] = [:]
  private var excluded: [String: Exclusion] = [:]
  private var strikes: [String: [Timestamp]] = [:]
  /// What is known of the draft models, for workers that have not shown anything yet.
  private var models: [String: GuessRecord] = [:]
  private var pending: [Action] = []

  /// Names that are remembered for exclusion and strikes, at most.
  private static let maxRemembered = 4096

  public init(configuration: Configuration = Configuration()) {
    self.configuration = configuration
  }

  // MARK: Workers

  /// A worker has attached.
  public mutating func join(_ worker: WorkerID, _ profile: Profile, at now: Timestamp) {
    if let exclusion = excluded[profile.name] {
      if exclusion.until > now {
        let left = now.duration(to: exclusion.until).inSeconds.rounded(.up)
        pending.append(
          .exclude(
            worker, name: profile.name,
            reason: "excluded for another \(Int(left)) s: \(exclusion.reason)"))
        return
      }
      excluded[profile.name] = nil
    }
    workers[worker] = Worker(profile: profile)
    attached.append(worker)
  }

  /// A worker is gone.
  public mutating func leave(_ worker: WorkerID) {
    guard let gone = workers.removeValue(forKey: worker) else { return }
    attached.removeAll { $0 == worker }
    for id in gone.sessions { sessions[id]?.placements.removeAll { $0.worker == worker } }
    for id in sessions.keys { sessions[id]?.declined.remove(worker) }
  }

  /// A worker is about to leave: it takes no new sessions, and those that it has go elsewhere.
  public mutating func drain(_ worker: WorkerID) {
    workers[worker]?.isDraining = true
  }

  /// A round trip to the worker has been measured.
  public mutating func measured(_ worker: WorkerID, roundTrip sample: Duration) {
    workers[worker]?.roundTrips.observe(sample)
  }

  /// Smoothed; nil before the first measurement.
  public func roundTrip(to worker: WorkerID) -> Duration? { workers[worker]?.roundTrips.smoothed }

  public func isAttached(_ worker: WorkerID) -> Bool { workers[worker] != nil }
  var hasWorkers: Bool { !workers.isEmpty }

  /// What the worker calls itself.
  func name(of worker: WorkerID) -> String { workers[worker]?.profile.name ?? "\(worker)" }

  /// Sessions placed on a worker, ascending.
  func sessions(of worker: WorkerID) -> [SessionID] { (workers[worker]?.sessions ?? []).sorted() }

  /// A worker broke the protocol. It is to be detached by the caller; repeated, it is excluded.
  public mutating func violated(_ worker: WorkerID, _ reason: String, at now: Timestamp) {
    guard let name = workers[worker]?.profile.name else { return }
    let since = Timestamp(nanoseconds: now.nanoseconds - configuration.exclusion.wholeNanoseconds)
    var recent = (strikes[name] ?? []).filter { $0 > since }
    recent.append(now)
    strikes[name] = recent
    if strikes.count > Self.maxRemembered { strikes.removeAll() }
    if recent.count >= configuration.strikes {
      remember(name, "broke the protocol \(recent.count) times, last: \(reason)", at: now)
    }
  }

  // MARK: Sessions

  /// - Parameter text: every token so far: workers that have read it, or its beginning, are preferred
  public mutating func begin(_ session: SessionID, text: [TokenID] = []) {
    sessions[session] = Session(text: PrefixHashes(text))
  }

  public mutating func end(_ session: SessionID) {
    guard let ended = sessions.removeValue(forKey: session) else { return }
    for placement in ended.placements {
      workers[placement.worker]?.sessions.remove(session)
      if !placement.hasAnswered, let worker = workers[placement.worker],
        placement.silence.isTelling(of: worker)
      {
        holdAgainst(placement.worker, placement.silence)
      }
    }
  }

  /// The worker will not draft for the session.
  public mutating func decline(_ session: SessionID, by worker: WorkerID) {
    remove(session, from: worker)
    sessions[session]?.declined.insert(worker)
  }

  /// What a worker did for a session lately.
  ///
  /// - Parameter tokens: committed by the session in that time
  public mutating func observe(_ worker: WorkerID, _ session: SessionID, _ tally: WorkerTally, tokens: Int) {
    guard workers[worker] != nil else { return }
    workers[worker]!.score.observe(tally, tokens: tokens)
    if tally.expansions > 0,
      let index = sessions[session]?.placements.firstIndex(where: { $0.worker == worker })
    {
      sessions[session]!.placements[index].hasAnswered = true
    }
    guard sessions[session]?.placements.contains(where: { $0.worker == worker && $0.hasAnswered }) == true
    else { return }
    workers[worker]!.guesses.observe(foreseen: tally.useful, tokens: tokens)
    let model = workers[worker]!.profile.model
    if models.count < Self.maxRemembered || models[model] != nil {
      models[model, default: GuessRecord()].observe(foreseen: tally.useful, tokens: tokens)
    }
  }

  /// A step of a session is over.
  ///
  /// - Parameters:
  ///   - answered: workers of which something has arrived since the last one
  ///   - wantsGuesses: whether its workers were to draft
  ///   - tokens: committed by it
  ///   - duration: of the target's pass
  mutating func stepped(
    _ id: SessionID, answered: some Collection<WorkerID>, wantsGuesses: Bool, tokens: Int, duration: Duration
  ) {
    guard let placements = sessions[id]?.placements else { return }
    for (index, placement) in placements.enumerated() {
      let worker = placement.worker
      if answered.contains(worker) {
        sessions[id]!.placements[index].silence = Silence()
        workers[worker]!.silence = 0
      } else if wantsGuesses {
        sessions[id]!.placements[index].silence.seconds += duration.inSeconds
        sessions[id]!.placements[index].silence.tokens += tokens
        // A pass over several of its sessions counts once.
        workers[worker]!.silence += duration.inSeconds / Double(workers[worker]!.sessions.count)
        guard isSilent(worker) else { continue }
        holdAgainst(worker, sessions[id]!.placements[index].silence)
        sessions[id]!.placements[index].silence.tokens = 0
      }
    }
  }

  private mutating func holdAgainst(_ worker: WorkerID, _ silence: Silence) {
    workers[worker]!.guesses.observe(foreseen: 0, tokens: silence.tokens)
  }

  // MARK: Deciding

  /// What to do now. Call after events, and every second or so while sessions run.
  ///
  /// - Parameter targetSeconds: T(1); nil while unknown
  public mutating func decide(at now: Timestamp, targetSeconds: Double?) -> [Action] {
    var actions = pending
    pending = []
    excludeUseless(&actions, at: now)
    let model = PlacementModel(targetSeconds: targetSeconds ?? 0.05)
    for id in sessions.keys.sorted() {
      finishHandover(of: id, &actions, at: now)
      leaveWhoDoesNotServe(id, model, &actions, at: now)
      while stayingCount(id) < configuration.workersPerSession,
        let best = bestWorker(for: id, model)
      {
        place(id, on: best.worker, &actions)
      }
      move(id, model, &actions, at: now)
    }
    return actions
  }

  /// A worker as operators see it.
  public struct Description: Hashable, Sendable {
    public var profile: Profile
    /// Sessions placed on it.
    public var sessions: Int
    /// 1 for a worker whose expansions help, towards 0 where they never do.
    public var score: Double
    /// Since it attached.
    public var tally: WorkerTally
    /// Smoothed; nil before the first measurement.
    public var roundTrip: Duration?
    public var isDraining: Bool
  }

  /// nil for a worker that is not attached.
  public func describe(_ worker: WorkerID) -> Description? {
    workers[worker].map {
      Description(
        profile: $0.profile, sessions: $0.sessions.count, score: $0.score.value,
        tally: $0.score.total,
        roundTrip: $0.roundTrips.smoothed, isDraining: $0.isDraining)
    }
  }

  /// The time per token predicted for one more session on a worker, in seconds; nil for one that takes none.
  public func predictedSecondsPerToken(on worker: WorkerID, targetSeconds: Double) -> Double? {
    guard let candidate = workers[worker], candidate.sessions.count < candidate.profile.capacity else {
      return nil
    }
    return predict(
      candidate, sessions: candidate.sessions.count + 1, PlacementModel(targetSeconds: targetSeconds))
  }
}

extension WorkerPool {
  private func stayingCount(_ id: SessionID) -> Int {
    sessions[id]!.placements.count { $0.leavesBy == nil }
  }

  /// - Parameter text: what the worker would have to read, as far as it has not done so before
  private func predict(
    _ worker: Worker, sessions count: Int, _ model: PlacementModel, text: PrefixHashes = PrefixHashes([])
  ) -> Double {
    let single = worker.profile.draftCost.seconds(for: max(1, count)) ?? 0.02
    let news = (worker.roundTrips.smoothed?.inSeconds ?? 0.1) + single
    let prior = models[worker.profile.model].map { $0.runLength(news: news, model, prior: nil) }
    let run = worker.guesses.runLength(news: news, model, prior: prior)
    let unread = text.count - worker.texts.cached(text)
    return model.secondsPerToken(
      roundTrip: news - single, draftSeconds: single, runLength: run,
      readingSeconds: Double(unread) * worker.profile.readingSecondsPerToken)
  }

  /// The worker with the shortest predicted time per token among those that can take a session.
  private func bestWorker(for id: SessionID, _ model: PlacementModel) -> (worker: WorkerID, seconds: Double)?
  {
    let session = sessions[id]!
    var best: (worker: WorkerID, seconds: Double)?
    for (worker, candidate) in workers {
      guard !candidate.isDraining, candidate.sessions.count < candidate.profile.capacity,
        !session.declined.contains(worker), !session.placements.contains(where: { $0.worker == worker })
      else { continue }
      var seconds = predict(candidate, sessions: candidate.sessions.count + 1, model, text: session.text)
      // Only where nobody else is there.
      if isSilent(worker) { seconds = .infinity }
      if best.map({ seconds < $0.seconds || (seconds == $0.seconds && worker < $0.worker) }) ?? true {
        best = (worker, seconds)
      }
    }
    return best
  }

  private mutating func place(_ id: SessionID, on worker: WorkerID, _ actions: inout [Action]) {
    sessions[id]!.placements.append(Placement(worker: worker))
    workers[worker]!.sessions.insert(id)
    workers[worker]!.texts.read(sessions[id]!.text)
    actions.append(.place(id, on: worker))
  }

  private mutating func remove(_ id: SessionID, from worker: WorkerID) {
    sessions[id]?.placements.removeAll { $0.worker == worker }
    workers[worker]?.sessions.remove(id)
  }

  private mutating func finishHandover(of id: SessionID, _ actions: inout [Action], at now: Timestamp) {
    let placements = sessions[id]!.placements
    let isServed = placements.contains { $0.leavesBy == nil && $0.hasAnswered }
    for placement in placements {
      guard let deadline = placement.leavesBy, isServed || now >= deadline else { continue }
      remove(id, from: placement.worker)
      // What it sent before it heard of this may still be under way, and would be taken for part of a new beginning.
      sessions[id]!.declined.insert(placement.worker)
      actions.append(.displace(id, from: placement.worker))
    }
  }

  /// A worker that drains, or says nothing, goes on until another one has answered. Without another it goes on until it
  /// leaves.
  private mutating func leaveWhoDoesNotServe(
    _ id: SessionID, _ model: PlacementModel, _ actions: inout [Action], at now: Timestamp
  ) {
    for placement in sessions[id]!.placements
    where placement.leavesBy == nil && isToLeave(placement) {
      guard let best = bestWorker(for: id, model), best.seconds.isFinite else { return }
      leave(placement.worker, id, at: now)
      place(id, on: best.worker, &actions)
    }
  }

  private mutating func leave(_ worker: WorkerID, _ id: SessionID, at now: Timestamp) {
    guard let index = sessions[id]!.placements.firstIndex(where: { $0.worker == worker }) else { return }
    sessions[id]!.placements[index].leavesBy = now.advanced(by: configuration.handover)
  }

  private mutating func move(
    _ id: SessionID, _ model: PlacementModel, _ actions: inout [Action], at now: Timestamp
  ) {
    let session = sessions[id]!
    guard session.placements.allSatisfy({ $0.leavesBy == nil && $0.hasAnswered }),
      session.lastMove.map({ $0.duration(to: now) >= configuration.moveInterval }) ?? true
    else { return }
    var worst: (worker: WorkerID, seconds: Double)?
    for placement in session.placements {
      let worker = workers[placement.worker]!
      let seconds = predict(worker, sessions: worker.sessions.count, model)
      if worst.map({ seconds > $0.seconds }) ?? true { worst = (placement.worker, seconds) }
    }
    guard let worst, let best = bestWorker(for: id, model),
      best.seconds < configuration.moveBelow * worst.seconds
    else { return }
    sessions[id]!.lastMove = now
    leave(worst.worker, id, at: now)
    place(id, on: best.worker, &actions)
  }

  private mutating func excludeUseless(_ actions: inout [Action], at now: Timestamp) {
    for id in workers.keys.sorted() {
      guard let reason = workers[id]!.score.reasonToExclude else { continue }
      let name = name(of: id)
      remember(name, reason, at: now)
      leave(id)
      actions.append(.exclude(id, name: name, reason: reason))
    }
  }

  private mutating func remember(_ name: String, _ reason: String, at now: Timestamp) {
    if excluded.count >= Self.maxRemembered { excluded = excluded.filter { $0.value.until > now } }
    if excluded.count >= Self.maxRemembered { excluded.removeAll() }
    excluded[name] = Exclusion(until: now.advanced(by: configuration.exclusion), reason: reason)
  }
}

extension WorkerPool {
  /// Everything that must hold between events; the first breach as a sentence. For tests.
  package var brokenInvariant: String? {
    for (id, session) in sessions {
      if Set(session.placements.map(\.worker)).count != session.placements.count {
        return "\(id) is twice on a worker"
      }
      for placement in session.placements where workers[placement.worker]?.sessions.contains(id) != true {
        return "\(id) is on \(placement.worker), which does not know"
      }
    }
    for (id, worker) in workers {
      if worker.sessions.count > worker.profile.capacity {
        return "\(id) has \(worker.sessions.count) sessions"
      }
      for session in worker.sessions
      where sessions[session]?.placements.contains(where: { $0.worker == id }) != true {
        return "\(id) has \(session), which does not know"
      }
    }
    return nil
  }

  /// The workers that draft for a session. For tests.
  package func placements(of session: SessionID) -> [WorkerID] {
    sessions[session]?.placements.map(\.worker) ?? []
  }
}
