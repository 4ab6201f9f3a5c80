import SpeculationCore
import SplitMix

/// Runs a fault plan: controller and worker machines over a virtual clock, a faulty network of bytes and
/// scripted models, with checks after every event of what must always hold.
///
/// It exists to find bugs of the machines. It shares nothing with the product's drivers, so that their bugs are
/// not its own, and its checks know the rules but not how the machines keep them.
///
/// Not one run of it depends on hashing, on time or on another run: equal plans give equal digests.
final class FaultRun {
  enum Event {
    case submit(Int)
    case engineDone(Controller, life: Int)
    case released(Controller, life: Int, SessionID)
    case localDone(Controller, life: Int)
    case mustBeOver(Session)
    case dial(Int, epoch: Int)
    case accept(Connection)
    case handshakeOver(Connection)
    case arrival(Connection, FaultPlan.Direction)
    case heartbeat(Connection)
    case silence(Connection)
    case passDone(Int, epoch: Int, Duration)
    case fault(Int)
    case partitionOver(Connection)
    case overflow(Connection, FaultPlan.Direction)
    case draining(Connection)
    case drained(Connection)
    case stop(Controller, life: Int, isRepeated: Bool)
    case controllerUp(Int)
    case faultsEnd
    case allMustBeOver
  }

  /// One attempt at one session of the plan.
  final class Session {
    let id: SessionID
    let index: Int
    let controller: Int
    let plan: FaultPlan.Session
    let sampling: SamplingSettings
    /// Tokens that it may hold at this controller.
    let contextLength: Int
    /// What the target alone writes.
    let plain: [TokenID]
    /// How long it may take, and how many passes had failed before it came.
    var limit = Duration.zero
    var failuresBefore = 0
    /// The prompt and what was emitted.
    var text: [TokenID]
    /// Hash of the first n tokens of the prompt and the plain text, at n.
    let hashes: [SequenceHash]
    /// Has been admitted.
    var isAdmitted = false
    /// Is one of those whose cells the target has.
    var isRunning = false
    var preemptions = 0
    /// A pass of it and others failed: it is tried alone first.
    var isRetried = false
    /// A pass of it alone failed.
    var mayFail = false
    var reused = 0
    /// Steps that were done.
    var targetPasses = 0
    var localPasses = 0
    var localExpansions = 0
    var isLocalBroken = false
    var events = 0
    /// Most drafters at the same time, the local one included.
    var drafters = 1
    /// Something was heard of a draft since the gate had to forget.
    var hasAnswer = false
    /// A worker that lies, or whose words were damaged, has been heard.
    var hasHeardLies = false
    /// Who has guessed what, by the hash of the text down to the guess.
    var guessed: [SequenceHash: UInt8] = [:]
    var started = Timestamp.zero
    var firstToken: Timestamp?
    var ended = Timestamp.zero
    var finish: SessionMachine.FinishReason?
    var refusal: Refusal?
    var statistics = SessionStatistics()
    /// The controller crashed: no more events.
    var isLost = false
    var isCancelledByPlan = false

    var emitted: Int { text.count - plan.prompt.count }
    var isOver: Bool { finish != nil || isLost || refusal != nil }
    /// Every target pass that it is in fails, as the plan wants it.
    var breaksTheEngine: Bool { !isOver && plan.targetFailsAt.map { $0 <= targetPasses } ?? false }
    /// It can never be served here.
    var isImpossible: Bool { plan.prompt.count >= contextLength || plan.maxTokens < 1 }

    init(plan: FaultPlan, index: Int, id: SessionID, controller: Int) {
      let session = plan.sessions[index]
      let server = plan.server(controller)
      self.plan = session
      self.index = index
      self.id = id
      self.controller = controller
      sampling = session.samplingSettings
      contextLength = min(session.contextLength, server.contextLength, server.cells)
      text = session.prompt
      plain = plan.script.plain(
        session.prompt, sampling: sampling, maxTokens: session.maxTokens, contextLength: contextLength)
      var hash = plan.script.hash([], sampling: sampling)
      var hashes = [hash]
      for token in session.prompt + plain {
        hash.append(token)
        hashes.append(hash)
      }
      self.hashes = hashes
    }
  }

  /// What a worker holds of a session.
  struct Held {
    /// Tells this opening from every other.
    var serial: Int
    var position: Int
    /// Nodes that the controller allows.
    var maxNodes: Int
    var isPaused = false
    var session: Session?
    var announced = AnnouncedNodes()
  }

  final class Worker {
    let plan: FaultPlan.Worker
    var machine: WorkerMachine
    var hostile: HostileWorker
    var controller: Int
    /// Counts lives of the process.
    var epoch = 0
    var connection: Connection?
    /// Waits before it dials again.
    var nextWait = Duration.milliseconds(100)
    var pass: (tasks: [DraftTask<WorkerMachine.NodeID>], serials: [Int])?
    /// What the pass reads; nil for one that guesses.
    var reading: ReadingTask?
    /// Tokens that passes have read of each sequence, those of guessing passes apart.
    var read: [SessionID: Int] = [:]
    /// What the draft model said in the last pass, by the hash of everything down to the node.
    var drafted: [SequenceHash: Distribution] = [:]
    var held: [SessionID: Held] = [:]
    var failsNext = false
    var slowness = 1
    var slowUntil = Timestamp.zero
    var frozenUntil = Timestamp.zero
    var partitionedUntil = Timestamp.zero
    var delayedUntil = Timestamp.zero
    var extraDelay = Duration.zero
    var random: SplitMix64

    init(plan: FaultPlan.Worker, machine: WorkerMachine, hostile: HostileWorker, random: SplitMix64) {
      self.plan = plan
      self.machine = machine
      self.hostile = hostile
      self.random = random
      controller = plan.controller
    }
  }

  let plan: FaultPlan
  let codec: any FrameCodec
  var random: SplitMix64
  var now = Timestamp.zero
  var queue = EventQueue<Event>()
  var controllers: [Controller] = []
  var workers: [Worker] = []
  /// Every attempt that was begun.
  var attempts: [Session] = []
  /// Sessions of the plan that will be begun, or begun again.
  var pending = 0
  /// Attempts that are under way.
  var running = 0
  /// How often each session of the plan was refused because too many waited.
  var refusals: [Int: Int] = [:]
  var nextConnection = 0
  var nextOpening = 0
  var faultsAreOver = false
  var events = 0
  var counts = FaultCounts()
  var digest = SequenceHash(seed: 0)

  private init(_ plan: FaultPlan, codec: any FrameCodec) {
    self.plan = plan
    self.codec = codec
    random = SplitMix64(seed: plan.seed)
    for index in 0..<plan.controllers {
      controllers.append(Controller(index: index, plan: plan, random: random.split()))
    }
    for (index, session) in plan.sessions.enumerated() {
      pending += 1
      queue.schedule(.submit(index), at: Timestamp(session.start))
    }
    for (index, worker) in plan.workers.enumerated() {
      workers.append(
        Worker(
          plan: worker, machine: plan.machine(for: worker),
          hostile: HostileWorker(
            vocabularySize: plan.script.vocabularySize, maxCandidates: plan.sessions.first?.maxCandidates ?? 8
          ),
          random: random.split()))
      queue.schedule(.dial(index, epoch: 0), at: Timestamp(worker.start))
    }
    for (index, fault) in plan.faults.enumerated() where fault.at <= plan.faultsEnd {
      queue.schedule(.fault(index), at: Timestamp(fault.at))
    }
    queue.schedule(.faultsEnd, at: Timestamp(plan.faultsEnd))
  }

  /// Runs a plan to its end.
  ///
  /// - Throws: `BrokenRule` with what went wrong and when
  static func run(_ plan: FaultPlan, codec: any FrameCodec) throws(BrokenRule) -> FaultOutcome {
    if let problem = plan.problem { throw BrokenRule(.ending, "the plan makes no sense: \(problem)") }
    let run = FaultRun(plan, codec: codec)
    do {
      while let (time, event) = run.queue.next() {
        run.now = time
        run.events += 1
        try require(run.events < 2_000_000, .ending, "the run does not end")
        run.note(UInt64(bitPattern: time.nanoseconds))
        try run.handle(event)
        if run.events % plan.inspectEvery == 0 { try run.inspect() }
      }
      try run.conclude()
    } catch let broken as BrokenRule {
      throw BrokenRule(broken.kind, "at \(run.now), event \(run.events): \(broken.description)")
    } catch {
      throw BrokenRule(.ending, "at \(run.now), event \(run.events): \(error)")
    }
    run.counts[.events] = run.events
    return FaultOutcome(
      counts: run.counts, digest: run.digest.value,
      sessions: run.attempts.map { session in
        FaultOutcome.Session(
          index: session.index, text: Array(session.text.dropFirst(session.plan.prompt.count)),
          finish: session.finish, refusal: session.refusal, statistics: session.statistics,
          elapsed: session.started.duration(to: session.ended))
      })
  }

  static func require(
    _ condition: Bool, _ kind: BrokenRule.Kind, _ message: @autoclosure () -> String
  ) throws {
    if !condition { throw BrokenRule(kind, message()) }
  }

  /// Takes something that happened into the digest.
  func note(_ word: UInt64) { digest.append(word) }

  /// Every session is over, and none will begin.
  var isOver: Bool { pending == 0 && running == 0 }

  private func handle(_ event: Event) throws {
    switch event {
    case .submit(let index): try submit(index)
    case .engineDone(let controller, let life): if controller.life == life { try engineDone(controller) }
    case .released(let controller, let life, let id):
      if controller.life == life { try released(id, at: controller) }
    case .localDone(let controller, let life): if controller.life == life { try localDone(controller) }
    case .mustBeOver(let session): try mustBeOver(session)
    case .dial(let index, let epoch): dial(index, epoch: epoch)
    case .accept(let connection): try accept(connection)
    case .handshakeOver(let connection): try handshakeOver(connection)
    case .arrival(let connection, let direction): try arrival(connection, direction)
    case .heartbeat(let connection): try heartbeat(connection)
    case .silence(let connection): try silence(connection)
    case .passDone(let index, let epoch, let duration): try passDone(index, epoch: epoch, duration)
    case .fault(let index): try begin(plan.faults[index])
    case .partitionOver(let connection): breakNow(connection, isSilent: false)
    case .overflow(let connection, let direction): try overflow(connection, direction)
    case .draining(let connection): try draining(connection)
    case .drained(let connection): try closeAtWorker(connection)
    case .stop(let controller, let life, let isRepeated):
      if controller.life == life, controller.isUp {
        try shutDown(controller.index, isCrash: false, isRepeated: isRepeated)
      }
    case .controllerUp(let index): try controllerUp(index)
    case .faultsEnd: faultsEnded()
    case .allMustBeOver:
      try Self.require(isOver, .ending, "faults are long over, and \(running + pending) sessions are not")
    }
  }

  /// A duration that varies by a fifth, as passes do.
  func jittered(_ duration: Duration, _ random: inout SplitMix64) -> Duration {
    max(.microseconds(1), duration * (0.8 + 0.4 * random.uniform()))
  }
}

/// What came of a run in which no rule was broken.
public struct FaultOutcome: Sendable {
  public struct Session: Sendable {
    /// Of the plan's session; a session that was asked for again is there more than once.
    public var index: Int
    public var text: [TokenID]
    /// nil: its controller crashed, or refused it.
    public var finish: SessionMachine.FinishReason?
    public var refusal: Refusal?
    public var statistics: SessionStatistics
    public var elapsed: Duration
  }

  public var counts: FaultCounts
  /// Of all events and what came of them.
  public var digest: UInt64
  public var sessions: [Session]
}

extension FaultPlan {
  /// Runs the plan to its end.
  ///
  /// - Throws: `BrokenRule`, with what went wrong and when
  public func run(codec: any FrameCodec = PlainFrameCodec()) throws(BrokenRule) -> FaultOutcome {
    try FaultRun.run(self, codec: codec)
  }
}

extension Timestamp {
  init(_ time: Microseconds) { self.init(nanoseconds: time * 1000) }
}

extension SequenceHash {
  mutating func append(_ token: TokenID) { append(UInt64(UInt32(bitPattern: token))) }
}
