import SpeculationCore

/// Faults: how each begins, and how all end.
extension FaultRun {
  func begin(_ fault: FaultPlan.Fault) throws {
    let until = Timestamp(min(fault.at + fault.duration, plan.faultsEnd))
    if fault.kind == .shutdown { return try beginShutdown(fault, until: until) }
    let worker = workers[fault.subject]
    switch fault.kind {
    case .cut:
      guard let connection = worker.connection else { return }
      counts[fault.isSilent ? .silentCuts : .cuts] += 1
      let path: ReferenceWritableKeyPath<Connection, ByteStream> = fault.direction == .down ? \.down : \.up
      connection[keyPath: path].breaksAfter = (fault.amount, fault.isSilent)
    case .partition:
      counts[.partitions] += 1
      worker.partitionedUntil = max(worker.partitionedUntil, until)
      if fault.isSilent, let connection = worker.connection {
        queue.schedule(.partitionOver(connection), at: until)
      }
    case .delay:
      counts[.delays] += 1
      worker.delayedUntil = until
      worker.extraDelay = .microseconds(fault.amount)
    case .freeze:
      counts[.freezes] += 1
      worker.frozenUntil = max(worker.frozenUntil, until)
    case .slow:
      counts[.slowdowns] += 1
      worker.slowUntil = until
      worker.slowness = max(1, fault.amount)
    case .crash:
      try crash(worker, fault, until: until)
    case .duplicate, .truncate, .corrupt:
      guard let connection = worker.connection else { return }
      let path: ReferenceWritableKeyPath<Connection, ByteStream> = fault.direction == .down ? \.down : \.up
      connection[keyPath: path].spoilers.append(fault)
    case .exhausted: worker.failsNext = true
    case .drain:
      guard let connection = worker.connection, connection.id != nil else { return }
      queue.schedule(.draining(connection), at: now.advanced(by: .microseconds(worker.plan.delay)))
      queue.schedule(.drained(connection), at: until)
    case .shutdown: break
    }
  }

  /// A controller ends, at once or in order, and comes back.
  private func beginShutdown(_ fault: FaultPlan.Fault, until: Timestamp) throws {
    let controller = controllers[fault.subject]
    guard controller.isUp, !controller.isStopping else { return }
    let isRepeated = fault.amount == 1
    if fault.isSilent {
      try shutDown(fault.subject, isCrash: true, isRepeated: isRepeated)
    } else {
      // Sessions may go on for a while, nobody new may come.
      controller.isStopping = true
      try tell(controller, .stopAccepting)
      let grace = min(Duration.microseconds(fault.duration) / 2, .milliseconds(50))
      queue.schedule(
        .stop(controller, life: controller.life, isRepeated: isRepeated),
        at: min(until, now.advanced(by: grace)))
    }
    queue.schedule(.controllerUp(fault.subject), at: until)
  }

  /// A worker's process is gone, and comes back knowing nothing.
  private func crash(_ worker: Worker, _ fault: FaultPlan.Fault, until: Timestamp) throws {
    counts[fault.isSilent ? .powerLosses : .crashes] += 1
    worker.epoch += 1
    worker.machine = plan.machine(for: worker.plan)
    worker.hostile.forget()
    worker.pass = nil
    worker.reading = nil
    worker.read = [:]
    worker.held = [:]
    worker.frozenUntil = now
    worker.nextWait = .milliseconds(100)
    let controller = fault.amount % controllers.count
    if controller != worker.controller { counts[.relocations] += 1 }
    worker.controller = controller
    if let connection = worker.connection {
      try closeAtWorker(connection, isProcessGone: true, isSilent: fault.isSilent)
    }
    queue.schedule(.dial(fault.subject, epoch: worker.epoch), at: until)
  }

  /// From here on links are healthy and nobody crashes; delays and hostile workers stay what they are.
  func faultsEnded() {
    faultsAreOver = true
    for worker in workers {
      worker.failsNext = false
      if let connection = worker.connection {
        connection.down.breaksAfter = nil
        connection.up.breaksAfter = nil
        connection.down.spoilers = []
        connection.up.spoilers = []
      }
    }
    // All controllers are up; who asks again waits for a while; then passes alone take time.
    let last = plan.sessions.map(\.start).max() ?? 0
    let pauses = Duration.milliseconds(501) + Self.longestPause * Self.mostPatience
    queue.schedule(.allMustBeOver, at: max(now, Timestamp(last)).advanced(by: pauses + longestRest))
  }
}
