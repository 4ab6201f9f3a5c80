import Logging
import ModelBackend
import SpeculationCore

/// Runs generations beside the target model: interprets the actions of the controller machines.
///
/// All sessions share one target; whatever is ready when a pass ends goes into the next one together. Model
/// calls run on the engines' own threads; this actor only decides.
public actor ControllerNode {
  private let target: any TargetModel
  private let home: (any DraftModel)?
  private let transport: (any WorkerTransport)?
  private let log: Logger
  private let observer: (any NodeObserver)?

  private var targetCost: CostCurve
  private var homeCost: CostCurve
  private var match = MatchEstimator()
  private var nextSession: UInt64 = 1
  private var sessions: [SessionID: Running] = [:]
  /// Attached workers in the order in which they came.
  private var workers: [WorkerID] = []
  private var workerNames: [WorkerID: String] = [:]
  private var roundTrips: [WorkerID: RoundTripEstimator] = [:]
  /// Requests that wait for the target.
  private var waiting: [VerificationRequest] = []
  private var isTargetBusy = false
  private var attachmentWaiters: [CheckedContinuation<Void, Never>] = []

  private struct Running {
    var machine: ControllerMachine
    let output: AsyncThrowingStream<GenerationEvent, any Error>.Continuation
    let usesWorkers: Bool
    let grammar: Grammar?
    let logprobs: Int?
    let requested: Timestamp
    var firstToken: Timestamp?
    var lastToken: Timestamp?
    var passEnded: Timestamp?
    var stepOverheads: [Duration] = []
    /// Of the choices of the last pass, where they were asked for.
    var choiceLogprobs: [TokenLogprobs] = []
  }

  /// - Parameters:
  ///   - home: the controller's own draft model, if it has one
  ///   - targetCost: measured T(n)
  ///   - homeCost: measured d(b) of `home`
  ///   - transport: how to reach workers; nil when there can be none
  ///   - observer: hears of everything that happens
  public init(
    target: any TargetModel, home: (any DraftModel)? = nil, targetCost: CostCurve = CostCurve(),
    homeCost: CostCurve = CostCurve(), transport: (any WorkerTransport)? = nil,
    log: Logger = Logger(label: "wanspec.controller"), observer: (any NodeObserver)? = nil
  ) {
    self.target = target
    self.home = home
    self.targetCost = targetCost
    self.homeCost = homeCost
    self.transport = transport
    self.log = log
    self.observer = observer
  }

  // MARK: Generations

  /// Starts a generation. Ending the iteration early cancels it.
  public func generate(_ request: GenerationRequest) -> AsyncThrowingStream<GenerationEvent, any Error> {
    let requested = MonotonicClock.now()
    let id = SessionID(nextSession)
    nextSession += 1
    let (stream, output) = AsyncThrowingStream<GenerationEvent, any Error>.makeStream()
    if let problem = problem(with: request) {
      output.finish(throwing: problem)
      return stream
    }
    let speculation = request.speculation
    let machine = ControllerMachine(
      session: id, prompt: request.prompt, sampling: request.sampling,
      configuration: ControllerMachine.Configuration(
        speculation, vocabularySize: target.model.vocabulary.size, contextLength: target.model.contextLength,
        maxTokens: request.maxTokens, endTokens: target.model.endTokens),
      targetCost: targetCost, homeCost: home == nil ? nil : homeCost, match: match)
    sessions[id] = Running(
      machine: machine, output: output, usesWorkers: speculation.usesWorkers,
      grammar: request.grammar.map { Grammar(text: $0, promptLength: request.prompt.count) },
      logprobs: request.logprobs, requested: requested)
    output.onTermination = { [weak self] reason in
      guard case .cancelled = reason, let self else { return }
      Task { await self.cancel(id) }
    }
    var actions: [ControllerMachine.Action] = []
    sessions[id]!.machine.advance(to: requested)
    if speculation.usesWorkers {
      for worker in workers { actions += join(worker, id) }
    }
    actions += sessions[id]!.machine.start()
    perform(actions, for: id)
    return stream
  }

  private func problem(with request: GenerationRequest) -> GenerationError? {
    let context = target.model.contextLength
    if request.prompt.isEmpty { return GenerationError(.invalidRequest, "the prompt is empty") }
    if request.prompt.count >= context {
      return GenerationError(
        .invalidRequest,
        "the prompt has \(request.prompt.count) tokens, the context holds \(context): shorten the prompt or"
          + " raise the context size")
    }
    if let problem = request.sampling.problem { return GenerationError(.invalidRequest, problem) }
    // Here and not when the engine finds it: that fails a pass for all its sessions.
    if let problem = SamplingChecks.problem(with: request) { return GenerationError(.invalidRequest, problem) }
    if request.maxTokens < 1 {
      return GenerationError(.invalidRequest, "at least one token must be asked for")
    }
    let size = target.model.vocabulary.size
    if let bad = request.prompt.first(where: { $0 < 0 || $0 >= size }) {
      return GenerationError(
        .invalidRequest, "token \(bad) of the prompt is not in the target's vocabulary of \(size)")
    }
    return nil
  }

  /// Ends every generation as it stands.
  public func cancelAll() {
    for id in sessions.keys.sorted() { cancel(id) }
  }

  private func cancel(_ id: SessionID) {
    guard sessions[id] != nil else { return }
    perform(sessions[id]!.machine.cancel(), for: id)
  }

  // MARK: Workers

  /// Takes in what the transport reports. Call in the transport's order.
  public func handle(_ event: WorkerEvent) {
    switch event {
    case .attached(let worker, let name):
      workers.append(worker)
      workerNames[worker] = name
      roundTrips[worker] = RoundTripEstimator()
      resumeAttachmentWaiters()
      for (id, session) in sessions where session.usesWorkers {
        session.output.yield(.note("worker \(name) attached"))
        perform(join(worker, id), for: id)
      }
    case .message(let worker, .expansion(let id, let expansion)):
      guard sessions[id] != nil else { return }  // the session ended while it was under way
      sessions[id]!.machine.advance(to: MonotonicClock.now())
      perform(sessions[id]!.machine.receive(expansion, from: worker), for: id)
    case .message(let worker, .declined(let id, let reason)):
      // Said once for a session: a worker that repeats itself must not fill the notes.
      guard sessions[id]?.machine.hasWorker(worker) == true else { return }
      sessions[id]!.output.yield(.note("worker \(name(worker)) declined: \(reason)"))
      perform(sessions[id]!.machine.workerLeft(worker), for: id)
    case .roundTrip(let worker, let sample):
      roundTrips[worker]?.observe(sample)
    case .detached(let worker, let reason):
      detach(worker, reason: reason)
    }
  }

  private func join(_ worker: WorkerID, _ id: SessionID) -> [ControllerMachine.Action] {
    sessions[id]!.machine.advance(to: MonotonicClock.now())
    return sessions[id]!.machine.workerJoined(worker, roundTrip: roundTrips[worker]?.smoothed)
  }

  private func name(_ worker: WorkerID) -> String { workerNames[worker] ?? "\(worker)" }

  private func detach(_ worker: WorkerID, reason: String) {
    guard let index = workers.firstIndex(of: worker) else { return }
    workers.remove(at: index)
    for (id, session) in sessions where session.usesWorkers {
      session.output.yield(.note("worker \(name(worker)) is gone: \(reason)"))
      perform(sessions[id]!.machine.workerLeft(worker), for: id)
    }
    workerNames[worker] = nil
    roundTrips[worker] = nil
  }

  public var attachedWorkers: Int { workers.count }

  public func status() -> NodeStatus {
    var status = NodeStatus()
    status.running = sessions.count
    status.workers = workers.map { id in
      var worker = NodeStatus.WorkerStatus(id: id, name: name(id))
      worker.roundTrip = roundTrips[id]?.smoothed
      return worker
    }
    return status
  }

  /// Smoothed round-trip time to the worker that attached first.
  public var roundTrip: Duration? { workers.first.flatMap { roundTrips[$0]?.smoothed } }

  /// Returns as soon as a worker is attached, or after `timeout`: true when one is.
  public func waitForWorker(timeout: Duration) async -> Bool {
    let deadline = ContinuousClock.now + timeout
    while workers.isEmpty && ContinuousClock.now < deadline && !Task.isCancelled {
      let timer = Task { [weak self] in
        try? await Task.sleep(until: deadline, clock: .continuous)
        await self?.resumeAttachmentWaiters()
      }
      await withTaskCancellationHandler {
        await withCheckedContinuation { attachmentWaiters.append($0) }
      } onCancel: {
        Task { await self.resumeAttachmentWaiters() }
      }
      timer.cancel()
    }
    return !workers.isEmpty
  }

  private func resumeAttachmentWaiters() {
    for waiter in attachmentWaiters { waiter.resume() }
    attachmentWaiters = []
  }

  // MARK: Actions

  private func perform(_ actions: [ControllerMachine.Action], for id: SessionID) {
    perform([(id, actions)])
  }

  /// The one place where decisions become deeds. Target passes begin before anything else is done, one for all
  /// sessions that have something to verify.
  private func perform(_ decisions: [(session: SessionID, actions: [ControllerMachine.Action])]) {
    for (id, actions) in decisions {
      for case .verify(let prefix, let set) in actions {
        guard let session = sessions[id] else { continue }
        waiting.append(
          VerificationRequest(
            session: id, prefix: prefix, draft: DraftTree(tokens: set.tokens, parents: set.parents),
            sampling: session.machine.sampling, grammar: session.grammar, logprobs: session.logprobs))
      }
    }
    startTargetPass()
    for (id, actions) in decisions { carryOut(actions, for: id) }
  }

  private func carryOut(_ actions: [ControllerMachine.Action], for id: SessionID) {
    for action in actions {
      switch action {
      case .verify: break
      case .draftAtHome(let tasks):
        draftAtHome(tasks, for: id)
      case .send(let message, let worker):
        transport?.send(message, to: worker)
      case .emit(let tokens):
        emit(tokens, for: id)
      case .disconnect(let worker, let violation):
        log.warning(
          "worker broke the protocol", metadata: ["worker": "\(name(worker))", "why": "\(violation)"])
        transport?.disconnect(worker, reason: violation.description)
        detach(worker, reason: "broke the protocol: \(violation)")
      case .finish(let reason):
        finish(id, reason)
      }
    }
  }

  private func emit(_ tokens: [ControllerMachine.CommittedToken], for id: SessionID) {
    guard sessions[id] != nil else { return }
    let now = MonotonicClock.now()
    if sessions[id]!.firstToken == nil { sessions[id]!.firstToken = now }
    sessions[id]!.lastToken = now
    let logprobs = Array(sessions[id]!.choiceLogprobs.prefix(tokens.count))
    sessions[id]!.output.yield(.tokens(tokens, logprobs: logprobs))
  }

  private func finish(_ id: SessionID, _ reason: ControllerMachine.FinishReason) {
    guard let session = sessions.removeValue(forKey: id) else { return }
    waiting.removeAll { $0.session == id }
    (targetCost, homeCost, match) = session.machine.learned
    let summary = GenerationSummary(
      reason: reason, statistics: session.machine.statistics,
      promptTokens: session.machine.tokens.count - session.machine.statistics.tokens,
      timeInQueue: .zero,
      timeToFirstToken: session.firstToken.map { session.requested.duration(to: $0) },
      decodeTime: session.firstToken.map { $0.duration(to: session.lastToken!) } ?? .zero,
      stepOverheads: session.stepOverheads)
    Task { [target, home] in
      await target.release(id)
      await home?.release(id)
      // Only now: whoever starts the next generation on seeing the end finds the cells free.
      if case .failed(let why) = reason {
        session.output.finish(throwing: GenerationError(.engineFailed, why))
      } else {
        session.output.yield(.finished(summary))
        session.output.finish()
      }
    }
  }

  // MARK: Model passes

  private func startTargetPass() {
    guard !isTargetBusy, !waiting.isEmpty else { return }
    isTargetBusy = true
    let requests = waiting
    waiting = []
    // Where the system can, the task runs up to its first suspension at once: the engine gets its work without
    // a detour over another pool thread.
    if #available(macOS 26, *) {
      Task.immediate(priority: .high) { await verify(requests) }
    } else {
      Task(priority: .high) { await verify(requests) }
    }
  }

  private func verify(_ requests: [VerificationRequest]) async {
    do {
      targetPassEnded(requests, try await target.verify(requests))
    } catch {
      targetPassFailed(requests, error)
    }
  }

  private func targetPassEnded(_ requests: [VerificationRequest], _ pass: PassResult<VerificationResult>) {
    isTargetBusy = false
    let now = MonotonicClock.now()
    var decisions: [(session: SessionID, actions: [ControllerMachine.Action])] = []
    for (request, result) in zip(requests, pass.results) {
      // Not taken out into a constant: a copy beside the machine would make it copy its tree on the next change.
      guard sessions[result.session] != nil else { continue }
      if let before = sessions[result.session]!.passEnded {
        sessions[result.session]!.stepOverheads.append(before.duration(to: now) - pass.duration)
      }
      sessions[result.session]!.passEnded = now
      let verdicts = result.choices.map {
        ControllerMachine.Verdict(token: $0.token, margin: $0.margin)
      }
      if request.logprobs != nil {
        sessions[result.session]!.choiceLogprobs = CommittedLogprobs.along(result.choices, of: request.draft)
      }
      sessions[result.session]!.machine.advance(to: now)
      let actions = sessions[result.session]!.machine.verified(
        verdicts, duration: pass.duration, passTokens: pass.tokens)
      decisions.append((result.session, actions))
    }
    perform(decisions)
  }

  private func targetPassFailed(_ requests: [VerificationRequest], _ error: any Error) {
    isTargetBusy = false
    var decisions: [(session: SessionID, actions: [ControllerMachine.Action])] = []
    for request in requests where sessions[request.session] != nil {
      let actions = sessions[request.session]!.machine.verificationFailed(reason: "\(error)")
      decisions.append((request.session, actions))
    }
    perform(decisions)
  }

  private func draftAtHome(_ tasks: [DraftTask<ControllerMachine.NodeID>], for id: SessionID) {
    guard let home else { preconditionFailure("drafting at home without a draft model") }
    let nodes = tasks.map(\.node)
    let requests = tasks.map(ExpansionRequest.init)
    Task(priority: .high) {
      do {
        let pass = try await home.expand(requests)
        guard let session = sessions[id] else { return }
        // Where the step waited for the draft model, that time was not the controller's own.
        if !session.machine.isVerifying {
          sessions[id]!.passEnded = session.passEnded?.advanced(by: pass.duration)
        }
        sessions[id]!.machine.advance(to: MonotonicClock.now())
        perform(
          sessions[id]!.machine.homeDrafted(
            nodes, pass.results, duration: pass.duration, passTokens: pass.tokens), for: id)
      } catch {
        guard sessions[id] != nil else { return }
        log.warning("drafting at home failed; going on without", metadata: ["error": "\(error)"])
        sessions[id]!.output.yield(.note("drafting at home failed, going on without: \(error)"))
        sessions[id]!.machine.advance(to: MonotonicClock.now())
        perform(sessions[id]!.machine.homeDraftFailed(), for: id)
      }
    }
  }
}

extension ExpansionRequest {
  init<Node>(_ task: DraftTask<Node>) {
    self.init(
      session: task.session, prefix: task.prefix, path: task.path, sampling: task.sampling,
      candidates: task.candidates)
  }
}
