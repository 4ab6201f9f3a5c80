import SpeculationCore

/// Worker processes: every call of a worker machine.
extension FaultRun {
  func receive(_ message: ControllerMessage, at index: Int, on connection: Connection) throws {
    let worker = workers[index]
    if worker.plan.isHostile {
      for lie in worker.hostile.receive(message, random: &worker.random) {
        switch lie {
        case .items(let items):
          counts[.hostileMessages] += items.count
          if !items.isEmpty {
            try send(items, notes: items.map { _ in nil }, on: connection)
          }
        case .bytes(let bytes): sendGarbage(bytes, on: connection)
        }
      }
      return
    }
    let breach = breach(of: message, at: worker)
    let actions: [WorkerMachine.Action]
    do {
      switch message {
      case .open(let id, let opening):
        actions = try worker.machine.open(id, opening)
        try checkOpening(worker, id, opening.context, actions)
        if worker.machine.nodeCount(of: id) != nil, breach == nil {
          nextOpening += 1
          worker.held[id] = Held(
            serial: nextOpening, position: opening.context.count - 1, maxNodes: opening.maxNodes ?? .max,
            session: connection.down.isTampered ? nil : connection.opened[id])
        }
      case .commit(let id, let commit):
        if worker.held[id] != nil, breach == nil {
          worker.held[id]!.position = commit.position
          worker.held[id]!.isPaused = commit.pause
        }
        if commit.pause { counts[.pausedCommits] += 1 }
        actions = try worker.machine.commit(id, commit)
      case .close(let id):
        actions = worker.machine.close(id)
        try Self.require(
          worker.machine.nodeCount(of: id) == nil, .ending, "a session goes on after its close")
      }
    } catch {
      counts[.workerViolations] += 1
      try Self.require(
        connection.down.isTampered, .protocolRule, "an honest controller broke the protocol: \(error)")
      try Self.require(breach != nil, .protocolRule, "no breach of the protocol, but a worker says: \(error)")
      return try closeAtWorker(connection)
    }
    try Self.require(breach == nil, .protocolRule, "a breach of the protocol passed at a worker: \(breach!)")
    try perform(actions, at: index)
    try checkBounds(index)
  }

  /// The connection is gone, and every session of it.
  func lost(_ index: Int) throws {
    let worker = workers[index]
    worker.hostile.forget()
    try perform(worker.machine.closeAll(), at: index)
    try Self.require(
      worker.machine.sessionCount == 0 && worker.held.isEmpty, .ending,
      "worker \(index) keeps a session of a connection that is gone")
  }

  func passDone(_ index: Int, epoch: Int, _ duration: Duration) throws {
    let worker = workers[index]
    guard worker.epoch == epoch, let (tasks, serials) = worker.pass else { return }
    if let thaw = frozen(worker) {
      return queue.schedule(.passDone(index, epoch: epoch, duration), at: thaw)
    }
    worker.pass = nil
    let reading = worker.reading
    worker.reading = nil
    let failure = faultsAreOver ? 0 : worker.plan.passFailure
    if worker.failsNext || failure > 0 && worker.random.chance(failure) {
      worker.failsNext = false
      counts[.draftFailures] += 1
      try perform(worker.machine.passFailed(reason: "planned"), at: index)
      return try checkBounds(index)
    }
    if let task = reading {
      try perform(
        worker.machine.readingFinished(
          cached: worker.finishReading(task), passTokens: task.limit, duration: duration), at: index)
      return try checkBounds(index)
    }
    worker.drafted.removeAll(keepingCapacity: true)
    let distributions = zip(tasks, serials).map { task, serial in
      var hash: SequenceHash
      // The prefix was checked to be the text when the pass began, unless the worker was told lies.
      if let held = worker.held[task.session], held.serial == serial, let session = held.session,
        !isMisled(worker)
      {
        hash = session.hashes[task.skipped + task.prefix.count]
      } else {
        hash = plan.script.hash(task.prefix, sampling: task.sampling)
      }
      for token in task.path { hash.append(token) }
      let distribution = plan.script.distribution(hash, candidates: task.candidates)
      worker.drafted[hash] = distribution
      return distribution
    }
    let openings = Dictionary(
      zip(tasks.map(\.session), serials).map { ($0, $1) }, uniquingKeysWith: { first, _ in first })
    try perform(
      worker.machine.passFinished(distributions, duration: duration), at: index, answering: openings)
    try checkBounds(index)
  }

  /// Whether what the worker knows may not be what its controller said.
  func isMisled(_ worker: Worker) -> Bool { worker.connection?.down.isTampered ?? false }

  /// - Parameter openings: which opening of each session the pass was about whose results these actions follow
  func perform(
    _ actions: [WorkerMachine.Action], at index: Int, answering openings: [SessionID: Int] = [:]
  ) throws {
    let worker = workers[index]
    var items: [WorkerFrameItem] = []
    var notes: [Note?] = []
    for action in actions {
      switch action {
      case .expand(let tasks):
        try checkPass(index, tasks)
        worker.pass = (tasks, tasks.map { worker.held[$0.session]?.serial ?? 0 })
        var time = worker.plan.pass.duration(tasks.count)
        if now < worker.slowUntil { time = time * worker.slowness }
        let duration = jittered(time, &worker.random)
        queue.schedule(
          .passDone(index, epoch: worker.epoch, duration), at: now.advanced(by: duration))
      case .read(let task):
        try checkReading(index, task)
        worker.reading = task
        worker.pass = ([], [])
        let duration = jittered(worker.plan.pass.duration(task.limit), &worker.random)
        queue.schedule(
          .passDone(index, epoch: worker.epoch, duration), at: now.advanced(by: duration))
      case .send(let message):
        items.append(.message(message))
        notes.append(try checkMessage(message, from: worker, answering: openings))
      case .release(let id):
        try Self.require(
          worker.held.removeValue(forKey: id) != nil, .ending, "\(id) is released without having been opened")
        worker.read[id] = nil
      case .discard(let sequence): worker.read[sequence] = nil
      }
    }
    if !items.isEmpty, let connection = worker.connection, connection.isOpenAtWorker {
      try send(items, notes: notes, on: connection)
    }
    try checkWork(index)
  }
}

extension FaultRun.Worker {
  /// The draft model has read what it was told to.
  ///
  /// - Returns: tokens that it has read of the sequence
  fileprivate func finishReading(_ task: ReadingTask) -> Int {
    let count = min(read[task.sequence, default: 0] + task.limit, task.tokens.count - 1)
    // What a session left behind that was closed meanwhile is nobody's.
    if held[task.session] != nil { read[task.sequence] = count }
    return count
  }
}
