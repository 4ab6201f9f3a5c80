/// Workers that have been given sessions and say nothing, though pings are answered: each may hold a session that another
/// would speed up.
///
/// Silence is counted in time of target passes, since a session that does not run asks nobody, and only while the
/// session wants guesses.
extension WorkerPool {
  /// Since a worker was last heard for a session, or was given it.
  struct Silence: Hashable, Sendable {
    /// Of the target's passes.
    var seconds = 0.0
    /// Committed in that time, as far as they have not been held against the worker.
    var tokens = 0

    /// Silence after which sessions go elsewhere, and how many round trips are added.
    private static let patience = (seconds: 5.0, roundTrips: 4.0)
    /// Share of the patience after which a session that ended without an answer counts.
    private static let telling = 0.2

    /// Seconds.
    static func patience(with worker: Worker) -> Double {
      patience.seconds + patience.roundTrips * (worker.roundTrips.smoothed?.inSeconds ?? 0)
    }

    func isTelling(of worker: Worker) -> Bool { seconds > Self.telling * Self.patience(with: worker) }
  }

  /// Whether a worker says nothing at all to what it has been given.
  func isSilent(_ worker: WorkerID) -> Bool {
    workers[worker].map { $0.silence > Silence.patience(with: $0) } ?? false
  }

  /// Whether a session is to go elsewhere: its worker drains, or says nothing.
  func isToLeave(_ placement: Placement) -> Bool {
    guard let worker = workers[placement.worker] else { return false }
    return worker.isDraining
      || max(placement.silence.seconds, worker.silence) > Silence.patience(with: worker)
  }
}
