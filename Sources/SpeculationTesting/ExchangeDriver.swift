import SpeculationCore

/// Something that must never happen did.
public struct CheckFailure: Error, CustomStringConvertible {
  public var description: String
  public init(_ description: String) { self.description = description }
}

/// What became of one session of a run.
public struct SessionReport: Sendable {
  public var text: [TokenID]
  public var finish: ControllerMachine.FinishReason
  public var statistics: SessionStatistics
  public var elapsed: Duration
}

/// Drives controller and worker machines over a virtual clock, a faulty network and scripted models, and
/// checks after every event what must always hold.
///
/// It exists to find bugs of the machines. It models no engine and no network in detail, and shares nothing
/// with the product's drivers, so that their bugs are not its own.
public struct ExchangeDriver {
  enum Event {
    case start(Int)
    case targetDone(Int, Duration)
    case homeDone(Int, Duration)
    /// `truth` is every token down to the node that an honest worker's expansion is about.
    case toController(WorkerID, WorkerMessage, truth: [TokenID]?, isViolation: Bool)
    case toWorker(WorkerID, ControllerMessage)
    case connect(Int)
    case linkLost(WorkerID)
    case rejoin(WorkerID, Int)
    case passDone(Int, epoch: Int, Duration)
  }

  struct Session {
    let id: SessionID
    let plan: ExchangePlan.Session
    let plain: [TokenID]
    var machine: ControllerMachine
    var emitted: [TokenID] = []
    var underWay: ControllerMachine.VerificationSet?
    var homeUnderWay: [DraftTask<ControllerMachine.NodeID>]?
    var targetPasses = 0
    var homePasses = 0
    var homeExpansions = 0
    var started = Timestamp.zero
    var finish: ControllerMachine.FinishReason?
    var ended = Timestamp.zero
  }

  /// One connection; `opened` is the last position that each open session's worker was told.
  struct Link {
    let process: Int
    var isUp = true
    var lastDown = Timestamp.zero
    var lastUp = Timestamp.zero
    var opened: [SessionID: Int] = [:]
  }

  struct Process {
    let plan: ExchangePlan.Worker
    var machine: WorkerMachine
    var hostile: HostileWorker
    var link: WorkerID?
    var pass: [DraftTask<WorkerMachine.NodeID>]?
    var epoch = 0
    var connections = 0
    var held: Set<SessionID> = []
  }

  let plan: ExchangePlan
  var random: SplitMix64
  var now = Timestamp.zero
  var queue = EventQueue<Event>()
  var sessions: [Session] = []
  var processes: [Process] = []
  /// Connections that the controller believes in.
  var links: [WorkerID: Link] = [:]
  /// The same in the order of joining.
  var attached: [WorkerID] = []
  var nextWorker: UInt64 = 1

  private init(_ plan: ExchangePlan) {
    self.plan = plan
    random = plan.random
    for (index, session) in plan.sessions.enumerated() {
      let known = session.hasMeasuredCosts
      let machine = ControllerMachine(
        session: SessionID(UInt64(index + 1)), prompt: session.prompt, sampling: session.sampling,
        configuration: session.configuration,
        targetCost: known ? Self.curve(plan.target.pass, plan.target.perToken) : CostCurve(),
        homeCost: session.hasHomeDraft
          ? known ? Self.curve(plan.home.pass, plan.home.perNode) : CostCurve() : nil)
      sessions.append(
        Session(
          id: machine.session, plan: session,
          plain: plan.script.plain(
            session.prompt, sampling: session.sampling, maxTokens: session.configuration.maxTokens,
            contextLength: session.configuration.contextLength),
          machine: machine))
      queue.schedule(.start(index), at: now.advanced(by: random.duration(.zero...(.milliseconds(20)))))
    }
    for (index, worker) in plan.workers.enumerated() {
      processes.append(
        Process(
          plan: worker, machine: WorkerMachine(configuration: worker.configuration),
          hostile: HostileWorker(
            vocabularySize: plan.script.vocabularySize,
            maxCandidates: plan.sessions[0].configuration.maxCandidates)))
      queue.schedule(.connect(index), at: now.advanced(by: random.duration(.zero...(.milliseconds(100)))))
    }
  }

  private static func curve(_ fixed: Duration, _ each: Duration) -> CostCurve {
    CostCurve(
      measured: Dictionary(uniqueKeysWithValues: [1, 4, 16, 32].map { ($0, fixed + each * $0) }))
  }

  /// Runs a plan to its end.
  ///
  /// - Throws: `CheckFailure` with what went wrong and when.
  public static func run(_ plan: ExchangePlan) throws -> [SessionReport] {
    var driver = ExchangeDriver(plan)
    var events = 0
    do {
      while let (time, event) = driver.queue.next() {
        driver.now = time
        events += 1
        try require(events < 200_000, "the run does not end")
        try driver.handle(event)
        try driver.checkBounds()
        if events % plan.inspectEvery == 0 { try driver.inspect() }
      }
      return try driver.conclude()
    } catch let failure as CheckFailure {
      throw CheckFailure("at \(driver.now), event \(events): \(failure.description)")
    }
  }

  static func require(_ condition: Bool, _ message: @autoclosure () -> String) throws {
    if !condition { throw CheckFailure(message()) }
  }

  // MARK: Events

  private mutating func handle(_ event: Event) throws {
    switch event {
    case .start(let index):
      sessions[index].started = now
      try perform(sessions[index].machine.start(), of: index)
      if sessions[index].plan.cancelAfter == 0 { try perform(sessions[index].machine.cancel(), of: index) }
    case .targetDone(let index, let duration): try targetDone(index, duration)
    case .homeDone(let index, let duration): try homeDone(index, duration)
    case .toController(let worker, let message, let truth, let isViolation):
      try deliver(message, from: worker, truth: truth, isViolation: isViolation)
    case .toWorker(let worker, let message): try deliver(message, to: worker)
    case .connect(let process): try connect(process)
    case .linkLost(let worker): try detach(worker)
    case .rejoin(let worker, let index):
      if links[worker] != nil { try perform(sessions[index].machine.workerJoined(worker), of: index) }
    case .passDone(let process, let epoch, let duration): try passDone(process, epoch, duration)
    }
  }

  private mutating func targetDone(_ index: Int, _ duration: Duration) throws {
    guard let set = sessions[index].underWay else { throw CheckFailure("no target pass is under way") }
    sessions[index].underWay = nil
    let passes = sessions[index].targetPasses
    sessions[index].targetPasses += 1
    if sessions[index].finish != nil {
      try Self.require(
        sessions[index].machine.verified([], duration: duration, passTokens: 0).isEmpty,
        "a verification after the end has consequences")
      return
    }
    if sessions[index].plan.targetFailsAt == passes {
      try perform(sessions[index].machine.verificationFailed(reason: "planned"), of: index)
      return
    }
    let verdicts = plan.script.verdicts(
      prefix: sessions[index].machine.tokens, tokens: set.tokens, parents: set.parents,
      sampling: sessions[index].plan.sampling)
    let expected = expectedCommit(index, set, verdicts.map(\.token))
    let actions = sessions[index].machine.verified(
      verdicts.map { ControllerMachine.Verdict(token: $0.token, margin: $0.margin) }, duration: duration,
      passTokens: set.tokens.count + 1)
    try checkCommit(actions, expected)
    try perform(actions, of: index)
    if sessions[index].finish == nil {
      var isDraftingFirst = false
      if case .beforeVerification = sessions[index].plan.configuration.homeSchedule {
        isDraftingFirst = sessions[index].homeUnderWay != nil
      }
      try Self.require(
        sessions[index].underWay != nil || isDraftingFirst, "session \(index) waits for the network")
    }
    if sessions[index].plan.cancelAfter == passes + 1 {
      try perform(sessions[index].machine.cancel(), of: index)
    }
  }

  private mutating func homeDone(_ index: Int, _ duration: Duration) throws {
    guard let tasks = sessions[index].homeUnderWay else { throw CheckFailure("no home pass is under way") }
    sessions[index].homeUnderWay = nil
    let passes = sessions[index].homePasses
    sessions[index].homePasses += 1
    if sessions[index].plan.homeFailsAt == passes {
      try perform(sessions[index].machine.homeDraftFailed(), of: index)
    } else {
      if sessions[index].finish == nil { sessions[index].homeExpansions += tasks.count }
      let distributions = tasks.map {
        plan.script.distribution(
          prefix: $0.prefix, path: $0.path, sampling: $0.sampling, candidates: $0.candidates)
      }
      try perform(
        sessions[index].machine.homeDrafted(tasks.map(\.node), distributions, duration: duration), of: index)
    }
    try Self.require(
      sessions[index].finish != nil || sessions[index].underWay != nil || sessions[index].homeUnderWay != nil,
      "session \(index) stands still after a home draft pass")
  }

  private mutating func deliver(
    _ message: WorkerMessage, from worker: WorkerID, truth: [TokenID]?, isViolation: Bool
  ) throws {
    guard links[worker] != nil else { return }
    switch message {
    case .declined(let id, _):
      let index = Int(id.rawValue) - 1
      links[worker]!.opened[id] = nil
      try perform(sessions[index].machine.workerLeft(worker), of: index)
      if random.chance(0.7) {
        queue.schedule(
          .rejoin(worker, index), at: now.advanced(by: random.duration(.zero...(.milliseconds(100)))))
      }
    case .expansion(let id, let expansion):
      let index = Int(id.rawValue) - 1
      let isListening = sessions[index].machine.mirrored(from: worker) != nil
      let actions = sessions[index].machine.receive(expansion, from: worker)
      let isDisconnected = actions.contains { if case .disconnect = $0 { true } else { false } }
      if isViolation && isListening {
        try Self.require(isDisconnected, "a breach of the protocol passed: \(expansion)")
      }
      try perform(actions, of: index)
      if let truth, isListening { try checkUse(expansion, of: truth, from: worker, in: index) }
    }
  }

  private mutating func deliver(_ message: ControllerMessage, to worker: WorkerID) throws {
    guard let process = processes.firstIndex(where: { $0.link == worker }) else { return }
    if random.chance(processes[process].plan.breakage) { return breakLink(worker, of: process) }
    if processes[process].plan.isHostile {
      for (answer, isViolation) in processes[process].hostile.receive(message, random: &random) {
        send(answer, from: process, truth: nil, isViolation: isViolation)
      }
      return
    }
    do {
      switch message {
      case .open(let id, let context, let sampling):
        let actions = try processes[process].machine.open(id, context: context, sampling: sampling)
        if processes[process].machine.nodeCount(of: id) != nil { processes[process].held.insert(id) }
        try perform(actions, at: process)
      case .commit(let id, let position, let tokens, let pause):
        try perform(
          try processes[process].machine.commit(id, position: position, tokens: tokens, pause: pause),
          at: process)
      case .close(let id): try perform(processes[process].machine.close(id), at: process)
      }
    } catch let violation as ProtocolViolation {
      throw CheckFailure("an honest controller broke the protocol: \(violation)")
    }
  }

  private mutating func passDone(_ process: Int, _ epoch: Int, _ duration: Duration) throws {
    guard processes[process].epoch == epoch, let tasks = processes[process].pass else { return }
    processes[process].pass = nil
    if random.chance(processes[process].plan.passFailure) {
      try perform(processes[process].machine.passFailed(reason: "planned"), at: process)
      return
    }
    let distributions = tasks.map {
      plan.script.distribution(
        prefix: $0.prefix, path: $0.path, sampling: $0.sampling, candidates: $0.candidates)
    }
    try perform(
      processes[process].machine.passFinished(distributions, duration: duration), at: process)
  }

  // MARK: Connections

  private mutating func connect(_ process: Int) throws {
    guard sessions.contains(where: { $0.finish == nil }), processes[process].connections < 6 else { return }
    let worker = WorkerID(nextWorker)
    nextWorker += 1
    links[worker] = Link(process: process)
    attached.append(worker)
    processes[process].link = worker
    processes[process].connections += 1
    for index in sessions.indices {
      try perform(sessions[index].machine.workerJoined(worker), of: index)
    }
  }

  /// The connection breaks at the worker's end. The controller finds out later; the worker may be back first.
  private mutating func breakLink(_ worker: WorkerID, of process: Int) {
    links[worker]?.isUp = false
    processes[process].link = nil
    processes[process].held = []
    if processes[process].plan.crashes {
      processes[process].machine = WorkerMachine(configuration: processes[process].plan.configuration)
      processes[process].pass = nil
      processes[process].epoch += 1
    } else {
      _ = processes[process].machine.closeAll()
    }
    let noticed = max(now, links[worker]?.lastUp ?? now)
    queue.schedule(
      .linkLost(worker), at: noticed.advanced(by: random.duration(.zero...(.milliseconds(200)))))
    queue.schedule(
      .connect(process), at: now.advanced(by: random.duration(.zero...(.milliseconds(200)))))
  }

  private mutating func detach(_ worker: WorkerID) throws {
    guard links.removeValue(forKey: worker) != nil else { return }
    attached.removeAll { $0 == worker }
    for index in sessions.indices {
      try perform(sessions[index].machine.workerLeft(worker), of: index)
    }
  }

  /// Puts a worker's message on the wire: in order, with a delay of its own.
  private mutating func send(
    _ message: WorkerMessage, from process: Int, truth: [TokenID]?, isViolation: Bool = false
  ) {
    guard let worker = processes[process].link, links[worker] != nil else { return }
    let arrival = max(
      links[worker]!.lastUp, now.advanced(by: random.duration(processes[process].plan.delay)))
    links[worker]!.lastUp = arrival
    queue.schedule(.toController(worker, message, truth: truth, isViolation: isViolation), at: arrival)
  }

  // MARK: Actions

  private mutating func perform(_ actions: [ControllerMachine.Action], of index: Int) throws {
    for action in actions {
      try Self.require(sessions[index].finish == nil, "session \(index) acts after its end: \(action)")
      switch action {
      case .verify(let prefix, let set):
        try checkSet(index, prefix: prefix, set)
        sessions[index].underWay = set
        let duration = jittered(plan.target.pass + plan.target.perToken * (set.tokens.count + 1))
        queue.schedule(.targetDone(index, duration), at: now.advanced(by: duration))
      case .draftAtHome(let tasks):
        try checkHome(index, tasks)
        sessions[index].homeUnderWay = tasks
        let duration = jittered(plan.home.pass + plan.home.perNode * tasks.count)
        queue.schedule(.homeDone(index, duration), at: now.advanced(by: duration))
      case .send(let message, let worker):
        try checkMessage(index, message, to: worker)
        let process = links[worker]!.process
        let arrival = max(
          links[worker]!.lastDown, now.advanced(by: random.duration(processes[process].plan.delay)))
        links[worker]!.lastDown = arrival
        if links[worker]!.isUp { queue.schedule(.toWorker(worker, message), at: arrival) }
      case .emit(let tokens): try checkText(index, tokens)
      case .disconnect(let worker, let violation):
        guard let process = links[worker]?.process else {
          throw CheckFailure("disconnects \(worker), which is not attached")
        }
        try Self.require(
          processes[process].plan.isHostile, "an honest worker is disconnected: \(violation)")
        processes[process].link = nil
        try detach(worker)
        queue.schedule(
          .connect(process), at: now.advanced(by: random.duration(.zero...(.milliseconds(100)))))
      case .finish(let reason):
        sessions[index].finish = reason
        sessions[index].ended = now
      }
    }
  }

  private mutating func perform(_ actions: [WorkerMachine.Action], at process: Int) throws {
    for action in actions {
      switch action {
      case .expand(let tasks):
        try checkPass(process, tasks)
        processes[process].pass = tasks
        let plan = processes[process].plan
        let duration = jittered(plan.pass + plan.perNode * tasks.count)
        queue.schedule(
          .passDone(process, epoch: processes[process].epoch, duration), at: now.advanced(by: duration))
      case .send(let message): send(message, from: process, truth: truth(of: message, at: process))
      case .release(let id):
        try Self.require(
          processes[process].held.remove(id) != nil, "\(id) is released without having been opened")
      }
    }
  }

  private mutating func jittered(_ duration: Duration) -> Duration {
    max(.microseconds(1), duration * (0.8 + 0.4 * random.uniform()))
  }
}
