import Logging
import SpeculationCore

/// Workers: who is attached, and who drafts for whom.
extension ControllerNode {
  /// Takes in what the transport reports. Call in the transport's order.
  public func handle(_ event: WorkerEvent) {
    let now = MonotonicClock.now()
    switch event {
    case .attached(let worker, let profile):
      workers.append(worker)
      workerNames[worker] = profile.name
      roundTrips[worker] = RoundTripEstimator()
      observer?.observe(.workerAttached(worker, at: now, name: profile.name))
      pool.join(worker, profile, at: now)
      resumeAttachmentWaiters()
      placeSessions(at: now)
    case .message(let worker, .expansion(let id, let expansion)):
      guard sessions[id] != nil else { return }  // the session ended while it was under way
      observer?.observe(.expansion(id, from: worker, at: now))
      sessions[id]!.machine.advance(to: now)
      perform(sessions[id]!.machine.receive(expansion, from: worker), for: id)
    case .message(let worker, .declined(let id, let reason)):
      // Said once for a session: a worker that repeats itself must not fill the notes.
      guard sessions[id]?.machine.hasWorker(worker) == true else { return }
      sessions[id]!.output.yield(.note("worker \(name(worker)) declined: \(reason)"))
      perform(sessions[id]!.machine.workerLeft(worker), for: id)
      pool.decline(id, by: worker)
      placeSessions(at: now)
    case .roundTrip(let worker, let sample):
      roundTrips[worker]?.observe(sample)
      observer?.observe(.roundTrip(worker, at: now, sample))
      if let smoothed = roundTrips[worker]?.smoothed { pool.measured(worker, roundTrip: smoothed) }
    case .draining(let worker):
      log.info("worker is about to leave", metadata: ["worker": "\(name(worker))"])
      pool.drain(worker)
      placeSessions(at: now)
    case .detached(let worker, let reason):
      detach(worker, reason: reason)
      placeSessions(at: MonotonicClock.now())
    }
  }

  func name(_ worker: WorkerID) -> String { workerNames[worker] ?? "\(worker)" }

  private func detach(_ worker: WorkerID, reason: String) {
    guard let index = workers.firstIndex(of: worker) else { return }
    workers.remove(at: index)
    for id in sessions.keys.sorted() where sessions[id]!.machine.hasWorker(worker) {
      sessions[id]!.output.yield(.note("worker \(name(worker)) is gone: \(reason)"))
      perform(sessions[id]!.machine.workerLeft(worker), for: id)
    }
    observer?.observe(.workerDetached(worker, at: MonotonicClock.now(), name: name(worker), reason: reason))
    pool.leave(worker)
    workerNames[worker] = nil
    roundTrips[worker] = nil
  }

  /// A worker broke the protocol.
  func expel(_ worker: WorkerID, _ violation: ProtocolViolation) {
    log.warning("worker broke the protocol", metadata: ["worker": "\(name(worker))", "why": "\(violation)"])
    let now = MonotonicClock.now()
    pool.violated(worker, violation.description, at: now)
    transport?.disconnect(worker, reason: violation.description)
    detach(worker, reason: "broke the protocol: \(violation)")
    placeSessions(at: now)
  }

  // MARK: Placement

  /// Gives sessions to workers, and takes them away.
  func placeSessions(at now: Timestamp) {
    lastRebalance = now
    for action in pool.decide(at: now, targetSeconds: targetCost.seconds(for: 1)) {
      switch action {
      case .place(let id, let worker):
        guard sessions[id] != nil else { continue }
        observer?.observe(.placed(id, on: worker, at: now))
        sessions[id]!.output.yield(.note("worker \(name(worker)) drafts"))
        sessions[id]!.machine.advance(to: now)
        perform(
          sessions[id]!.machine.workerJoined(worker, roundTrip: roundTrips[worker]?.smoothed), for: id)
      case .displace(let id, let worker):
        observer?.observe(.displaced(id, from: worker, at: now))
        transport?.send(.close(id), to: worker)
        guard sessions[id] != nil else { continue }
        perform(sessions[id]!.machine.workerLeft(worker), for: id)
      case .exclude(let worker, let reason):
        log.warning("worker excluded", metadata: ["worker": "\(name(worker))", "why": "\(reason)"])
        transport?.disconnect(worker, reason: reason)
        detach(worker, reason: reason)
      }
    }
  }

  /// Looks for better places once in a while.
  func rebalanceWorkers(at now: Timestamp) {
    guard !workers.isEmpty, lastRebalance.duration(to: now) >= .seconds(1) else { return }
    placeSessions(at: now)
  }

  /// Tells the pool what workers did for a session.
  func reportTallies(of id: SessionID, tokens: Int) {
    for (worker, tally) in sessions[id]!.machine.takeTallies() {
      pool.observe(worker, id, tally, tokens: tokens)
    }
  }

  // MARK: Status

  public var attachedWorkers: Int { workers.count }

  /// Smoothed round-trip time to the worker that attached first.
  public var roundTrip: Duration? { workers.first.flatMap { roundTrips[$0]?.smoothed } }

  func describe(_ id: WorkerID) -> NodeStatus.WorkerStatus {
    var status = NodeStatus.WorkerStatus(id: id, name: name(id))
    status.roundTrip = roundTrips[id]?.smoothed
    if let known = pool.describe(id) {
      status.site = known.profile.site
      status.model = known.profile.model
      status.capacity = known.profile.capacity
      status.sessions = known.sessions
      status.standing = known.standing
      status.isDraining = known.isDraining
      status.expansions = known.tally.expansions
      status.lateExpansions = known.tally.late
      status.foreseenTokens = known.tally.foreseen
    }
    if let bytes = transport?.traffic(of: id) {
      status.bytesReceived = bytes.received
      status.bytesSent = bytes.sent
    }
    return status
  }

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
}
