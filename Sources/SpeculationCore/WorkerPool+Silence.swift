/// Workers that have been given sessions and say nothing, though pings are answered: each may hold a session that another
/// would speed up.
///
/// Silence is counted in time of target passes, since a session that does not run asks nobody, and only while the
/// session wants guesses.
extension WorkerPool {
  /// Silence of a worker, in all it has, or in one session, after which its sessions go elsewhere; and how many round
  /// trips are added.
  private static let patience = (seconds: 5.0, roundTrips: 4.0)

  /// A step of a session is over.
  ///
  /// - Parameters:
  ///   - answered: workers of which something has arrived since the last one
  ///   - wantsGuesses: whether its workers were to draft
  ///   - tokens: committed by it
  mutating func stepped(
    _ id: SessionID, answered: some Collection<WorkerID>, wantsGuesses: Bool, tokens: Int, duration: Duration
  ) {
    guard let placements = sessions[id]?.placements else { return }
    for index in placements.indices {
      let worker = placements[index].worker
      if answered.contains(worker) {
        sessions[id]!.placements[index].silence = Silence()
        workers[worker]?.silence = 0
      } else if wantsGuesses {
        sessions[id]!.placements[index].silence.seconds += duration.inSeconds
        sessions[id]!.placements[index].silence.tokens += tokens
        // A pass over several of its sessions is heard once.
        workers[worker]!.silence += duration.inSeconds / Double(workers[worker]!.sessions.count)
        if isSilent(worker) { notice(silentSince: index, of: id) }
      }
    }
  }

  /// Whether a worker says nothing at all to what it has been given.
  func isSilent(_ worker: WorkerID) -> Bool {
    workers[worker].map { $0.silence > patience(with: $0) } ?? false
  }

  /// Whether a session is to go elsewhere, as it would where its worker drains.
  func isToLeave(_ placement: Placement) -> Bool {
    guard let worker = workers[placement.worker] else { return false }
    return worker.isDraining || max(placement.silence.seconds, worker.silence) > patience(with: worker)
  }

  /// What a session that ends without an answer says of its worker.
  mutating func endSilence(_ placement: Placement) {
    guard !placement.hasAnswered, let worker = workers[placement.worker],
      placement.silence.seconds > 0.2 * patience(with: worker)
    else { return }
    workers[placement.worker]!.guesses.observe(foreseen: 0, tokens: placement.silence.tokens)
  }

  private mutating func notice(silentSince index: Int, of id: SessionID) {
    let placement = sessions[id]!.placements[index]
    workers[placement.worker]!.guesses.observe(foreseen: 0, tokens: placement.silence.tokens)
    sessions[id]!.placements[index].silence.tokens = 0
  }

  private func patience(with worker: Worker) -> Double {
    Self.patience.seconds + Self.patience.roundTrips * (worker.roundTrips.smoothed?.inSeconds ?? 0)
  }

  /// Since a worker was last heard for a session, or was given it.
  struct Silence: Hashable, Sendable {
    /// Of the target's passes.
    var seconds = 0.0
    /// Committed in that time, as far as they have not been held against the worker.
    var tokens = 0
  }
}
