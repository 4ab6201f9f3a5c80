import SpeculationCore

/// Whole microseconds of virtual time.
public typealias Microseconds = Int64

/// Everything that decides a fault run: topology, workload, settings, faults. A value that can be written down,
/// shrunk and replayed; equal plans give equal runs, on every machine.
public struct FaultPlan: Hashable, Codable, Sendable {
  /// How long a pass takes: a fixed part, and a part for each token or node.
  public struct PassTime: Hashable, Codable, Sendable {
    public var fixed: Microseconds
    public var each: Microseconds

    public init(fixed: Microseconds, each: Microseconds) {
      self.fixed = fixed
      self.each = each
    }
  }

  /// `DraftLimits`, so that plans outlive changes of it.
  public struct Limits: Hashable, Codable, Sendable {
    public var passWidth = 8
    public var candidates = 4
    public var minProbability = 0.01
    public var minPathProbability = 0.05
    public var maxDepth = 24
    public var maxNodes = 1024

    public init() {}
  }

  /// What a user asks for, and how the controller serves it.
  public struct Session: Hashable, Codable, Sendable {
    public var controller = 0
    public var start: Microseconds = 0
    public var prompt: [TokenID] = [1]
    public var maxTokens = 64
    public var contextLength = 4096
    /// 0 is greedy.
    public var temperature = 0.0
    public var samplingSeed: UInt64 = 0
    /// `VerificationPolicy`.
    public var isCostAware = true
    public var maxVerified = 16
    public var minPathProbability = 0.02
    public var hasLocalDraft = false
    public var localPolicy = LocalDraftPolicy.never
    /// The sequential schedule and its length; nil is the overlapped one.
    public var draftsBefore: Int?
    public var localLimits = Limits()
    public var lookupLength = 0
    public var minGain = 0.0
    public var maxTreeNodes = 2048
    public var maxCandidates = 64
    /// Whether workers draft for it.
    public var usesWorkers = true
    /// Cancel after this many events of the session, its start included.
    public var cancelAfter: Int?
    /// From its step of that number on, counted from 0, every target pass breaks the engine that it is in.
    public var targetFailsAt: Int?
    /// Local draft pass with nodes of it that fails, counted from 0.
    public var localFailsAt: Int?

    public init() {}
  }

  public struct Worker: Hashable, Codable, Sendable {
    /// The controller that it dials; a restart may send it to another one.
    public var controller = 0
    public var start: Microseconds = 0
    public var limits = Limits()
    public var maxSessions = 64
    public var contextLength = 4096
    /// One way, for each message: at least this, and up to `jitter` more.
    public var delay: Microseconds = 15_000
    public var jitter: Microseconds = 0
    public var pass = PassTime(fixed: 5_000, each: 100)
    /// How likely each pass is to fail while faults last; its sessions are declined then.
    public var passFailure = 0.0
    /// Tells lies instead of drafting.
    public var isHostile = false
    /// Sessions that it says it takes, where that is not what it takes.
    public var capacity: Int?
    /// Comes under a new name with each connection.
    public var renames = false
    /// Whether it says how long its passes take.
    public var tellsCosts = true

    public init() {}
  }

  /// Which way bytes go.
  public enum Direction: String, Hashable, Codable, Sendable {
    /// From a controller to a worker.
    case down
    /// From a worker to a controller.
    case up
  }

  /// One thing that goes wrong. What the fields mean depends on the kind; those not named there mean nothing.
  public struct Fault: Hashable, Codable, Sendable {
    public enum Kind: String, Hashable, Codable, Sendable, CaseIterable {
      /// The connection breaks after `amount` more bytes in `direction`, in the middle of a frame as likely as
      /// not. With `isSilent` nobody is told: a NAT that forgot the connection. Layer: TCP.
      case cut
      /// For `duration` nothing passes either way and nobody can dial; then what TCP kept repeating arrives, or,
      /// with `isSilent`, everything was in vain and the connection is reset. Layer: IP.
      case partition
      /// For `duration` everything sent takes up to `amount` microseconds more. Layer: IP (a full queue).
      case delay
      /// The worker process stops for `duration` (SIGSTOP, a machine that swaps) and then goes on.
      case freeze
      /// For `duration` the worker's passes take `amount` times as long.
      case slow
      /// The worker's process dies and starts again after `duration`, knowing nothing, and dials controller
      /// `amount`. With `isSilent` the machine lost power and nobody closed the connection.
      case crash
      /// The next frame in `direction` arrives twice. TCP never does that; a proxy with a bug does.
      case duplicate
      /// The next frame in `direction` lacks `amount` bytes at its end, so that what follows is read askew. TCP
      /// never does that; a sender with a bug does.
      case truncate
      /// Byte `amount` of the next frame in `direction` is changed by the mask `mask`. TCP's checksum misses one
      /// in some billions, TLS detects all; a peer with a bug sends such bytes by itself.
      case corrupt
      /// The worker's next draft pass fails: no KV cells left, or the engine broke.
      case exhausted
      /// The controller `subject` stops for `duration`: with `isSilent` it crashes, else it refuses requests, some
      /// time later ends its sessions, and closes. Its sessions are asked for again if `amount` is 1.
      case shutdown
      /// The worker wants no more sessions, and after `duration` closes its connection.
      case drain
    }

    public var kind: Kind
    /// Index of a worker; of a controller for `shutdown`.
    public var subject: Int
    public var at: Microseconds
    public var duration: Microseconds = 0
    public var amount = 0
    public var direction = Direction.down
    public var mask: UInt8 = 1
    public var isSilent = false

    public init(_ kind: Kind, subject: Int, at: Microseconds) {
      self.kind = kind
      self.subject = subject
      self.at = at
    }
  }

  /// Plans drawn from a seed have no larger vocabulary.
  public static let largestVocabulary = 50

  /// Draws what happens by chance during the run: jitter, and what hostile workers say.
  public var seed: UInt64
  public var script: ScriptedModel
  public var controllers = 1
  public var target = PassTime(fixed: 30_000, each: 100)
  public var local = PassTime(fixed: 5_000, each: 100)
  /// A peer that said nothing for so long counts as gone; six pings are sent in that time.
  public var liveness: Microseconds = 3_000_000
  /// Of the controllers, in their order; those that are not here are as usual.
  public var servers: [Server] = []
  public var sessions: [Session]
  public var workers: [Worker]
  public var faults: [Fault]
  /// From here on nothing goes wrong any more, and what is broken is repaired.
  public var faultsEnd: Microseconds = 0
  /// Compare the whole trees after every so many events.
  public var inspectEvery = 1
  /// Whether the machines are asked for their own opinion of themselves, too.
  public var asksMachines = true

  /// One session on models that agree most of the time; no worker, no local draft model, no fault.
  public init(script: ScriptedModel, seed: UInt64) {
    self.seed = seed
    self.script = script
    sessions = [Session()]
    workers = []
    faults = []
  }

  /// The first thing in the plan that makes no sense; nil when it can be run. A plan from a file may be anything.
  public var problem: String? {
    if script.vocabularySize < 2 { return "the vocabulary needs two tokens" }
    if controllers < 1 { return "there is no controller" }
    if inspectEvery < 1 { return "inspectEvery must be 1 or more" }
    if liveness < 6 { return "liveness must be 6 or more" }
    for (index, server) in servers.enumerated() {
      if let problem = server.problem { return "controller \(index): \(problem)" }
    }
    for (index, session) in sessions.enumerated() {
      if !(0..<controllers).contains(session.controller) {
        return "session \(index) names controller \(session.controller)"
      }
      if session.prompt.isEmpty { return "session \(index) has no prompt" }
      if let problem = session.samplingSettings.problem { return "session \(index): \(problem)" }
      if let problem = session.localLimits.draftLimits.problem { return "session \(index): \(problem)" }
    }
    for (index, worker) in workers.enumerated() {
      if !(0..<controllers).contains(worker.controller) {
        return "worker \(index) names controller \(worker.controller)"
      }
      if worker.capacity.map({ $0 < 0 }) == true { return "worker \(index) takes fewer than no sessions" }
      if worker.delay < 0 || worker.jitter < 0 { return "worker \(index) has a negative delay" }
      if let problem = worker.limits.draftLimits.problem { return "worker \(index): \(problem)" }
    }
    for (index, fault) in faults.enumerated() {
      let subjects = fault.kind == .shutdown ? controllers : workers.count
      if !(0..<subjects).contains(fault.subject) { return "fault \(index) names subject \(fault.subject)" }
      if fault.amount < 0 || fault.duration < 0 { return "fault \(index) has a negative amount" }
    }
    return nil
  }
}
