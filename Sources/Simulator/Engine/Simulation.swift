import Collections
import SpeculationCore
import WideArea

/// Runs the machines of `SpeculationCore` under virtual time: the same decisions as the runtime takes, with
/// models that are recordings and engines that are cost curves.
///
/// Deterministic: the clock is whole nanoseconds, equal times keep the order of scheduling, chance comes from
/// seeded generators, and nothing depends on the order of a hash table. It interprets actions as
/// `NodeRuntime` does: one target pass for all sessions that are ready, home passes one after the other, one
/// pass at a time for each worker.
public struct Simulation {
  enum Event {
    /// A slot begins its next session.
    case begin(slot: Int)
    /// The controller is ready to start what waits.
    case targetReady(engine: Int)
    case targetDone(engine: Int)
    case homeDone
    case workerDone(worker: Int, epoch: Int)
    /// The next batch of messages arrives at the controller, at the worker.
    case arriveUp(worker: Int, epoch: Int)
    case arriveDown(worker: Int, epoch: Int)
    case connect(worker: Int)
    case reset(worker: Int)
    case die(worker: Int)
    /// The controller notices that a worker is silent.
    case lose(worker: Int, epoch: Int)
  }

  /// A generation under way.
  struct Session {
    let text: Int
    var machine: ControllerMachine
    let requested: Int64
    var firstToken: Int64?
    var lastToken: Int64 = 0
  }

  struct TargetEngine {
    /// Slots whose verification waits, and those of the pass under way.
    var waiting: [(slot: Int, set: ControllerMachine.VerificationSet)] = []
    var underWay: [(slot: Int, id: SessionID, set: ControllerMachine.VerificationSet)] = []
    var duration: Duration = .zero
    var tokens = 0
    var isBusy = false
  }

  /// What a draft model at home says is known when it is asked: engines are pure. So tasks need not be kept, nor
  /// the text they hold, which the machine could then not extend in place.
  struct HomeTask {
    /// Tokens of the prompt that the pass reads.
    var unread: Int
    var slot: Int
    var id: SessionID
    var nodes: [ControllerMachine.NodeID]
    var distributions: [Distribution]
  }

  struct WorkerProcess {
    let plan: SimulationPlan.Worker
    let nanoseconds: CostTable
    var machine: WorkerMachine
    var up: LinkSchedule
    var down: LinkSchedule
    /// Batches of what a decision of the machine sends.
    var upQueue = Deque<[WorkerMachine.Action]>()
    var downQueue = Deque<ControllerMessage>()
    /// What the pass under way will say, known when it starts, and for which sessions.
    var pass: [Distribution] = []
    var passSessions: [SessionID] = []
    var passDuration: Duration = .zero
    var isBusy = false
    var isConnected = false
    var isDead = false
    /// Counts connections, so that what is left of an earlier one is recognised.
    var epoch = 0
    var id = WorkerID(0)
    var cache = SimulatedCache()
    /// What the pass under way reads; nil for one that guesses.
    var reading: (evaluated: Int, cached: Int)?
  }

  let plan: SimulationPlan
  let source: TokenSource
  var now: Int64 = 0
  var queue = EventQueue<Event>()
  var result = SimulationResult()

  var slots: [Session?]
  /// Slot of each session, by its number; -1 when it is over.
  var slotOf: [Int] = []
  var nextText = 0
  var sessionsUnderWay = 0
  var targets: [TargetEngine]
  let targetNanoseconds: CostTable
  let homeNanoseconds: CostTable?
  var homeQueue = Deque<HomeTask>()
  var homeUnderWay: HomeTask?
  var homeDuration: Duration = .zero
  /// Sessions under way whose prompts the draft model at home has read.
  var homeHasRead: Set<SessionID> = []
  var workers: [WorkerProcess]
  var nextWorkerID: UInt64 = 1
  /// What finished sessions learned.
  var learned: (targetCost: CostCurve, homeCost: CostCurve, match: MatchEstimator)

  private init(_ plan: SimulationPlan, _ source: TokenSource) {
    precondition(plan.sessions > 0 && !source.texts.isEmpty, "a simulation needs a session and a text")
    self.plan = plan
    // Machines take no more candidates than their limits say; cut once, they need not be cut each time.
    let candidates = plan.workers.map(\.limits.candidates) + [plan.settings.homeLimits.candidates]
    self.source = source.limited(to: candidates.max()!)
    slots = Array(repeating: nil, count: plan.sessions)
    targets = Array(repeating: TargetEngine(), count: plan.sharesTarget ? 1 : plan.sessions)
    targetNanoseconds = CostTable(plan.targetCost)
    homeNanoseconds = plan.homeCost.map(CostTable.init)
    learned = (plan.targetCost, plan.homeCost ?? CostCurve(), MatchEstimator())
    workers = plan.workers.enumerated().map { index, worker in
      WorkerProcess(
        plan: worker, nanoseconds: CostTable(worker.cost),
        machine: WorkerMachine(
          configuration: WorkerMachine.Configuration(
            limits: worker.limits, maxSessions: max(64, plan.sessions), contextLength: 1 << 30,
            readingCost: worker.prefillPerToken),
          cost: worker.cost),
        up: LinkSchedule(worker.link, .up, connection: UInt64(index)),
        down: LinkSchedule(worker.link, .down, connection: UInt64(index)))
    }
  }

  /// Runs every text of the source once.
  public static func run(_ plan: SimulationPlan, _ source: TokenSource) -> SimulationResult {
    var simulation = Simulation(plan, source)
    for worker in simulation.workers.indices where plan.settings.usesWorkers { simulation.connect(worker) }
    for worker in simulation.workers.indices {
      simulation.scheduleResets(of: worker, after: -1)
      if let death = simulation.workers[worker].plan.diesAt {
        simulation.schedule(.die(worker: worker), at: death.wholeNanoseconds)
      }
    }
    for slot in simulation.slots.indices { simulation.begin(slot: slot) }
    while simulation.isGoingOn, let (time, event) = simulation.queue.next() {
      simulation.now = time.nanoseconds
      simulation.result.events += 1
      simulation.handle(event)
    }
    simulation.result.elapsed = simulation.now
    return simulation.result
  }

  private var isGoingOn: Bool {
    sessionsUnderWay > 0 || nextText < source.texts.count
  }

  mutating func schedule(_ event: Event, at time: Int64) {
    queue.schedule(event, at: Timestamp(nanoseconds: time))
  }

  private mutating func handle(_ event: Event) {
    switch event {
    case .begin(let slot): begin(slot: slot)
    case .targetReady(let engine): startTargetPass(engine)
    case .targetDone(let engine): targetDone(engine)
    case .homeDone: homeDone()
    case .workerDone(let worker, let epoch): workerDone(worker, epoch: epoch)
    case .arriveUp(let worker, let epoch): arriveUp(worker, epoch: epoch)
    case .arriveDown(let worker, let epoch): arriveDown(worker, epoch: epoch)
    case .connect(let worker): connect(worker)
    case .reset(let worker): reset(worker)
    case .die(let worker): die(worker)
    case .lose(let worker, let epoch): lose(worker, epoch: epoch)
    }
  }

  // MARK: Sessions

  private mutating func begin(slot: Int) {
    guard nextText < source.texts.count else { return }
    let text = nextText
    nextText += 1
    let id = SessionID(UInt64(slotOf.count))
    slotOf.append(slot)
    let machine = ControllerMachine(
      session: id, prompt: source.texts[text].prompt, sampling: .greedy,
      configuration: ControllerMachine.Configuration(
        plan.settings, vocabularySize: source.vocabularySize, contextLength: 1 << 30,
        maxTokens: source.texts[text].answer.count, endTokens: []),
      targetCost: learned.targetCost, homeCost: plan.homeCost == nil ? nil : learned.homeCost,
      match: learned.match)
    sessionsUnderWay += 1
    slots[slot] = Session(text: text, machine: machine, requested: now)
    slots[slot]!.machine.advance(to: Timestamp(nanoseconds: now))
    if plan.settings.usesWorkers {
      for worker in workers.indices where workers[worker].isConnected {
        join(worker, slot: slot)
      }
    }
    perform(slots[slot]!.machine.start(), slot: slot)
  }

  /// The one place where the controller's decisions become events. As in the runtime, a verification goes
  /// ahead of what else a decision asks for.
  mutating func perform(_ actions: [ControllerMachine.Action], slot: Int) {
    if actions.isEmpty { return }
    for case .verify(_, let set) in actions { verify(set, slot: slot) }
    for action in actions {
      switch action {
      case .verify: break
      case .draftAtHome(let tasks): draftAtHome(tasks, slot: slot)
      case .send(let message, let id): send(message, to: id)
      case .emit:
        if slots[slot]!.firstToken == nil { slots[slot]!.firstToken = now }
        slots[slot]!.lastToken = now
      case .disconnect(let worker, let violation):
        preconditionFailure("an honest \(worker) is disconnected: \(violation)")
      case .finish: finish(slot: slot)
      }
    }
  }

  /// Whether a session still is the one under way in its slot.
  func isUnderWay(_ id: SessionID, slot: Int) -> Bool { slotOf[Int(id.rawValue)] == slot }

  private mutating func finish(slot: Int) {
    let session = slots[slot]!
    slots[slot] = nil
    sessionsUnderWay -= 1
    slotOf[Int(session.machine.session.rawValue)] = -1
    homeHasRead.remove(session.machine.session)
    learned = session.machine.learned
    let statistics = session.machine.statistics
    result.statistics += statistics
    result.sessions.append(
      SimulationResult.Session(
        text: session.text, statistics: statistics,
        timeToFirstToken: (session.firstToken ?? now) - session.requested,
        decodeTime: session.firstToken.map { session.lastToken - $0 } ?? 0))
    schedule(.begin(slot: slot), at: now)
  }
}

/// Whole nanoseconds of a pass by its size, looked up instead of interpolated each time.
struct CostTable {
  private let curve: CostCurve
  private let table: [Int64]

  init(_ curve: CostCurve) {
    precondition(curve.isKnown, "an engine's passes take time")
    self.curve = curve
    table = (0..<512).map { Self.nanoseconds(curve, max(1, $0)) }
  }

  private static func nanoseconds(_ curve: CostCurve, _ size: Int) -> Int64 {
    Duration(inSeconds: curve.seconds(for: size)!).wholeNanoseconds
  }

  subscript(size: Int) -> Int64 { size < table.count ? table[size] : Self.nanoseconds(curve, size) }
}
