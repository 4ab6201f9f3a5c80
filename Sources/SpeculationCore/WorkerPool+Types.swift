extension WorkerPool {
  public struct Configuration: Hashable, Sendable {
    /// Workers that draft for one session at the same time, where there are enough. More than one hedges against
    /// the delays of each: their guesses are merged.
    public var workersPerSession: Int
    /// A session is moved for a time per token below this share of the present one.
    public var moveBelow: Double
    /// Least time between two moves of one session.
    public var moveInterval: Duration
    /// How long the old worker goes on beside the new one that has not answered yet.
    public var handover: Duration
    /// How long an excluded worker is kept out.
    public var exclusion: Duration
    /// Breaches of the protocol within `exclusion` that exclude a worker.
    public var strikes: Int

    public init(
      workersPerSession: Int = 1, moveBelow: Double = 0.85, moveInterval: Duration = .seconds(2),
      handover: Duration = .seconds(5), exclusion: Duration = .seconds(600), strikes: Int = 3
    ) {
      self.workersPerSession = workersPerSession
      self.moveBelow = moveBelow
      self.moveInterval = moveInterval
      self.handover = handover
      self.exclusion = exclusion
      self.strikes = strikes
    }
  }

  /// What a worker says of itself.
  public struct Profile: Hashable, Sendable {
    public var name: String
    public var site: String
    /// The draft model.
    public var model: String
    /// Sessions that it drafts for at once.
    public var capacity: Int
    /// Measured d(b); empty when it does not say. Its far end tells what reading costs.
    public var draftCost: CostCurve

    public init(
      name: String, site: String = "", model: String = "", capacity: Int = 64,
      draftCost: CostCurve = CostCurve()
    ) {
      self.name = name
      self.site = site
      self.model = model
      self.capacity = capacity
      self.draftCost = draftCost
    }
  }

  public enum Action: Hashable, Sendable {
    /// The worker is to draft for the session.
    case place(SessionID, on: WorkerID)
    /// It is not to any more; others do, or will.
    case displace(SessionID, from: WorkerID)
    /// End its attachment. The pool has forgotten it.
    case exclude(WorkerID, name: String, reason: String)
  }

  struct Worker: Sendable {
    var profile: Profile
    var roundTrips = RoundTripEstimator()
    var isDraining = false
    /// Sessions placed on it, those that are leaving it included.
    var sessions: Set<SessionID> = []
    var score = WorkerScore()
    var guesses = GuessRecord()
    var texts = CachedTexts()
    /// Seconds of target passes over its sessions since it was last heard.
    var silence = 0.0
  }

  struct Session: Sendable {
    /// In the order of placement.
    var placements: [Placement] = []
    /// Workers that would not draft for it, or have done so before.
    var declined: Set<WorkerID> = []
    var lastMove: Timestamp?
    /// What it began with; empty when that is not known.
    var text = PrefixHashes([])
  }

  struct Placement: Hashable, Sendable {
    var worker: WorkerID
    /// It has sent an expansion.
    var hasAnswered = false
    var silence = Silence()
    /// To end when another one has answered, or then.
    var leavesBy: Timestamp?
  }

  struct Exclusion: Sendable {
    var until: Timestamp
    var reason: String
  }
}
