import SpeculationCore
import WideArea

/// One simulated deployment: a controller with its models, its workers and their links, and how it speculates.
/// What is written is in a `TokenSource`.
public struct SimulationPlan: Sendable {
  public struct Worker: Sendable {
    public var limits: DraftLimits
    /// d(b), and what each token of a new context costs.
    public var cost: CostCurve
    public var prefillPerToken: Duration
    public var link: LinkModel
    /// Sessions that it drafts for at once.
    public var capacity = 64
    /// When it first dials.
    public var joinsAt = Duration.zero
    /// When the process stops, without a word; nil: never.
    public var diesAt: Duration?
    /// How it lies; nil for an honest one.
    public var deceit: Deceit?

    public init(
      limits: DraftLimits = DraftLimits(), cost: CostCurve, prefillPerToken: Duration = .zero,
      link: LinkModel = LinkModel(), diesAt: Duration? = nil
    ) {
      self.limits = limits
      self.cost = cost
      self.prefillPerToken = prefillPerToken
      self.link = link
      self.diesAt = diesAt
    }
  }

  public var settings: SpeculationSettings
  /// T(n), and what each token of a prompt costs.
  public var targetCost: CostCurve
  public var targetPrefillPerToken: Duration = .zero
  /// d(b) of the controller's own draft model; nil when there is none.
  public var localCost: CostCurve?
  /// What each token of a prompt costs the controller's own draft model.
  public var localPrefillPerToken: Duration = .zero
  public var workers: [Worker]
  /// Generations at the same time, where the workload says nothing else.
  public var sessions: Int
  /// What a controller can hold, and how it chooses workers.
  public var limits = ServingLimits()
  public var pool = WorkerPool.Configuration()
  /// Whether one target serves all sessions, batched, or each has one of its own.
  public var sharesTarget: Bool
  /// A target pass takes this many times as long while a draft model computes: 1 for hardware of its own, more
  /// where both share a memory bus.
  public var contention: Double
  /// The same for a draft pass while a target pass is under way.
  public var draftContention: Double = 1
  /// What longer texts add to passes of the target, and of draft models.
  public var targetAttention = AttentionCost.none
  public var draftAttention = AttentionCost.none
  /// See `CostProfile.Engine.output`, the target's.
  public var targetOutput = Duration.zero
  /// What chance adds to passes, drawn anew for each.
  public var variation = PassVariation.steady
  /// Time between a target pass and the next that the controller itself needs.
  public var stepOverhead: Duration
  /// Whether prompts that begin alike are read once, as long as the target's cache has them.
  public var sharesPrompts = true
  /// A worker that is silent for so long counts as gone.
  public var livenessTimeout: Duration
  public var recordsTimeline: Bool

  public init(
    settings: SpeculationSettings, targetCost: CostCurve, localCost: CostCurve? = nil, workers: [Worker] = [],
    sessions: Int = 1, sharesTarget: Bool = true, contention: Double = 1, stepOverhead: Duration = .zero,
    livenessTimeout: Duration = .seconds(3), recordsTimeline: Bool = false
  ) {
    self.settings = settings
    self.targetCost = targetCost
    self.localCost = localCost
    self.workers = workers
    self.sessions = sessions
    self.sharesTarget = sharesTarget
    self.contention = contention
    self.stepOverhead = stepOverhead
    self.livenessTimeout = livenessTimeout
    self.recordsTimeline = recordsTimeline
  }
}
