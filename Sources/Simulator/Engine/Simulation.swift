import Collections
import SpeculationCore
import WideArea

/// Runs the machines of `SpeculationCore` under virtual time: the same decisions as the runtime takes, with
/// models that are recordings and engines that are cost curves.
///
/// Deterministic: the clock is whole nanoseconds, equal times keep the order of scheduling, chance comes from
/// seeded generators, and nothing depends on the order of a hash table. It interprets actions as
/// `NodeRuntime` does: it decides nothing. Never copied: that would be the most expensive thing it does.
public struct Simulation: ~Copyable {
  enum Event {
    /// Somebody asks for a text.
    case arrive(RequestArrival)
    case targetDone(controller: Int)
    case localDone(controller: Int)
    case released(controller: Int, SessionID)
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

  /// One request, and what the engines know of it.
  struct Request {
    let text: Int
    let controller: Int
    /// Length of its prompt, and whether its answer is longer than the text and begins again.
    let promptCount: Int
    let repeats: Bool
    var record: RequestRecord
    /// Tokens of its text that the target has read, and whether that is all of it.
    var cached = 0
    var isRead = false
    /// Of those, the ones that it found when it began, until the controller knows.
    var reused = 0
    var hasBegun = false
    /// It was told to leave its cells to others.
    var makesRoom = false
    /// Whether the local draft model has read its prompt.
    var isReadLocally = false
    var isOver = false
  }

  /// A controller with its target and its local draft model.
  struct Controller {
    var machine: ServingMachine
    /// Prompts in the target's cache, which those that begin alike share.
    var prompts = SimulatedCache()
    /// The target pass under way, known when it starts.
    var pass: [(session: SessionID, set: SessionMachine.VerificationSet, isRead: Bool)] = []
    var passTokens = 0
    var passDuration: Duration = .zero
    var isTargetBusy = false
    /// Sessions to be freed when the pass under way is over: the engine does one thing after the other.
    var releases: [SessionID] = []
    /// What the local draft pass will say. `nil` while there is none.
    var localAnswer: [Distribution]?
    var localDuration: Duration = .zero
    /// Tokens of prompts that the local draft pass reads.
    var localUnread = 0
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
    /// Expansions that it has made.
    var expansions = 0
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
  let arrivals: RequestArrivals
  var now: Int64 = 0
  var queue = EventQueue<Event>()
  var result = SimulationResult()

  /// By the number of their session.
  var requests: [Request] = []
  /// Requests that have arrived and are not over.
  var underWay = 0
  /// Requests that are scheduled and have not arrived.
  var expected = 0
  var controllers: [Controller]
  let targetNanoseconds: CostTable
  let localNanoseconds: CostTable?
  var workers: [WorkerProcess]
  var noise = PassNoise(seed: 1)
  var nextWorkerID: UInt64 = 1

  private init(_ plan: SimulationPlan, _ source: TokenSource, _ arrivals: RequestArrivals) {
    precondition(plan.sessions > 0 && !source.texts.isEmpty, "a simulation needs a session and a text")
    self.plan = plan
    self.arrivals = arrivals
    // Machines take no more candidates than their limits say; cut once, they need not be cut each time.
    let candidates = plan.workers.map(\.limits.candidates) + [plan.settings.localLimits.candidates]
    self.source = source.limited(to: candidates.max()!)
    let limits = plan.limits
    let serving = ServingMachine(
      configuration: ServingMachine.Configuration(
        contextLength: limits.context ?? 1 << 30, vocabularySize: source.vocabularySize,
        cells: limits.cacheTokens ?? 1 << 40, branches: limits.branches ?? 1 << 30,
        sharesPrefixes: plan.sharesPrompts,
        maxSessions: plan.sharesTarget ? limits.maxSessions ?? 1 << 30 : 1,
        maxWaiting: limits.maxWaiting ?? 1 << 30, prefillChunk: limits.prefillChunk ?? 512,
        hasLocalDraft: plan.localCost != nil, pool: plan.pool),
      targetCost: plan.targetCost, localCost: plan.localCost ?? CostCurve())
    controllers = Array(
      repeating: Controller(machine: serving), count: plan.sharesTarget ? 1 : plan.sessions)
    targetNanoseconds = CostTable(plan.targetCost)
    localNanoseconds = plan.localCost.map(CostTable.init)
    workers = plan.workers.enumerated().map { index, worker in
      WorkerProcess(
        plan: worker, nanoseconds: CostTable(worker.cost),
        machine: WorkerMachine(
          configuration: WorkerMachine.Configuration(
            limits: worker.limits, maxSessions: max(worker.capacity, plan.sessions), contextLength: 1 << 30,
            readingCost: worker.prefillPerToken),
          cost: worker.cost),
        up: LinkSchedule(worker.link, .up, connection: UInt64(index)),
        down: LinkSchedule(worker.link, .down, connection: UInt64(index)))
    }
  }

  /// Runs every text of the source once, `plan.sessions` at a time.
  public static func run(_ plan: SimulationPlan, _ source: TokenSource) -> SimulationResult {
    let workload = Workload(arrivals: .closedLoop(users: plan.sessions), requests: source.texts.count)
    do {
      return try run(plan, source, workload, seed: 1)
    } catch {
      preconditionFailure("a closed loop reads no file: \(error)")
    }
  }

  /// Serves a workload. Its requests take the source's texts in turn.
  ///
  /// - Throws: `TraceError` where a trace cannot be read on
  public static func run(
    _ plan: SimulationPlan, _ source: TokenSource, _ workload: Workload, seed: UInt64
  ) throws(TraceError) -> SimulationResult {
    var workload = workload
    switch workload.arrivals {
    case .trace: break
    default: workload.requests = workload.requests ?? source.texts.count
    }
    var simulation = Simulation(plan, source, try RequestArrivals(workload, seed: seed))
    simulation.result.serving = ServingFigures(goodput: workload.goodput, warmUp: workload.warmUp)
    for worker in simulation.workers.indices where plan.settings.usesWorkers {
      simulation.schedule(.connect(worker: worker), at: plan.workers[worker].joinsAt.wholeNanoseconds)
    }
    for worker in simulation.workers.indices {
      simulation.scheduleResets(of: worker, after: -1)
      if let death = plan.workers[worker].diesAt {
        simulation.schedule(.die(worker: worker), at: death.wholeNanoseconds)
      }
    }
    try simulation.expectNext()
    while simulation.isGoingOn, let (time, event) = simulation.queue.next() {
      simulation.now = time.nanoseconds
      simulation.result.events += 1
      try simulation.handle(event)
    }
    simulation.result.elapsed = simulation.now
    return simulation.result
  }

  private var isGoingOn: Bool { underWay > 0 || expected > 0 }

  mutating func schedule(_ event: Event, at time: Int64) {
    queue.schedule(event, at: Timestamp(nanoseconds: time))
  }

  private mutating func handle(_ event: Event) throws(TraceError) {
    switch event {
    case .arrive(let arrival): try arrive(arrival)
    case .targetDone(let controller): targetDone(controller)
    case .localDone(let controller): localDone(controller)
    case .released(let controller, let id): tell(controller, .released(id))
    case .workerDone(let worker, let epoch): workerDone(worker, epoch: epoch)
    case .arriveUp(let worker, let epoch): arriveUp(worker, epoch: epoch)
    case .arriveDown(let worker, let epoch): arriveDown(worker, epoch: epoch)
    case .connect(let worker): connect(worker)
    case .reset(let worker): reset(worker)
    case .die(let worker): die(worker)
    case .lose(let worker, let epoch): lose(worker, epoch: epoch)
    }
  }

  /// The one way in to a controller's decisions, and what becomes of them.
  mutating func tell(_ controller: Int, _ event: ServingMachine.Event) {
    let actions = controllers[controller].machine.handle(event, at: Timestamp(nanoseconds: now))
    for action in actions {
      switch action {
      case .verify(let pass): verify(pass, controller)
      case .draftLocally(let tasks): draftLocally(tasks, controller)
      case .release(let id): release(id, controller)
      case .send(let message, let worker): send(message, to: worker)
      case .disconnect(let worker, _, _): expel(worker)
      case .refuse(let id, _): refused(id)
      case .admitted(let id, _): requests[Int(id.rawValue)].record.admit(at: now)
      case .emit(let id, let tokens, _): requests[Int(id.rawValue)].record.commit(tokens.count, at: now)
      case .note(let id, .preempted):
        requests[Int(id.rawValue)].record.preempt()
        requests[Int(id.rawValue)].makesRoom = true
      // No scenario asks for audits.
      case .note, .placed, .displaced, .audit: break
      case .finish(let id, let summary): finished(id, summary)
      }
    }
  }

  // MARK: Requests

  /// Schedules the arrivals whose time is known: the next one, or all users of a closed loop.
  private mutating func expectNext() throws(TraceError) {
    while let arrival = try arrivals.next() {
      expect(arrival)
      if !arrivals.isClosedLoop { break }
    }
  }

  private mutating func expect(_ arrival: RequestArrival) {
    expected += 1
    schedule(.arrive(arrival), at: arrival.time)
  }

  private mutating func arrive(_ arrival: RequestArrival) throws(TraceError) {
    expected -= 1
    if !arrivals.isClosedLoop { try expectNext() }
    let index = requests.count
    let text = index % source.texts.count
    let (prompt, answer) = source.request(index, prompt: arrival.prompt, answer: arrival.answer)
    // Where each stream has a target of its own, it takes the first that is free.
    let controller = controllers.count == 1 ? 0 : controllers.firstIndex { $0.machine.runningCount == 0 } ?? 0
    underWay += 1
    requests.append(
      Request(
        text: text, controller: controller, promptCount: prompt.count,
        repeats: answer > source.texts[text].answer.count, record: RequestRecord(arrival: now)))
    tell(
      controller,
      .request(
        ServingRequest(
          session: SessionID(UInt64(index)), prompt: prompt, speculation: plan.settings, maxTokens: answer,
          endTokens: [])))
  }

  private mutating func finished(_ id: SessionID, _ summary: SessionSummary) {
    let index = Int(id.rawValue)
    result.statistics += summary.statistics
    result.sessions.append(
      SimulationResult.Session(
        text: requests[index].text, statistics: summary.statistics,
        timeToFirstToken: requests[index].record.timeToFirstToken ?? now - requests[index].record.arrival,
        decodeTime: summary.decodeTime.wholeNanoseconds))
    over(index, .answered)
  }

  private mutating func refused(_ id: SessionID) { over(Int(id.rawValue), .refused) }

  private mutating func over(_ index: Int, _ outcome: RequestOutcome) {
    underWay -= 1
    requests[index].isOver = true
    result.serving.finish(requests[index].record, outcome, at: now)
    // What is left over is of no use, and there may be millions.
    requests[index].record = RequestRecord(arrival: requests[index].record.arrival)
    if let next = arrivals.next(afterAnswerAt: now) { expect(next) }
  }
}

/// Whole nanoseconds of a pass by its size, looked up instead of interpolated each time.
struct CostTable {
  private let curve: CostCurve
  private let table: [Int64]
  /// The largest pass that was measured.
  private let largest: Int

  init(_ curve: CostCurve) {
    precondition(curve.isKnown, "an engine's passes take time")
    self.curve = curve
    largest = max(1, curve.points.last?.size ?? 1)
    table = (0..<512).map { Self.nanoseconds(curve, max(1, $0)) }
  }

  private static func nanoseconds(_ curve: CostCurve, _ size: Int) -> Int64 {
    Duration(inSeconds: curve.seconds(for: size)!).wholeNanoseconds
  }

  /// A pass over so many tokens that reads others besides.
  ///
  /// What is read rides along: the pass costs as much as any other of its size, and beyond the sizes that were measured
  /// what each token of a long text costs. It never costs more than the two one after the other.
  ///
  /// - Parameter output: what of a pass's time is for what is said after one token; what is read is asked for nothing
  func time(_ tokens: Int, reading: Int, perToken: Int64, output: Int64 = 0) -> Int64 {
    guard reading > 0 else { return self[tokens] }
    let size = tokens + reading
    let beyond = max(0, size - largest)
    let together = self[min(size, largest)] - Int64(max(0, reading - beyond)) * output
    let alone = self[max(1, tokens)]
    return min(max(together, alone) + Int64(beyond) * perToken, alone + Int64(reading) * perToken)
  }

  subscript(size: Int) -> Int64 { size < table.count ? table[size] : Self.nanoseconds(curve, size) }
}
