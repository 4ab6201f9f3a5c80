import Logging
import SpeculationCore

/// Workers, as the transport reports them.
extension ControllerNode {
  /// Takes in what the transport reports. Call in the transport's order.
  public func handle(_ event: WorkerEvent) {
    let now = MonotonicClock.now()
    switch event {
    case .attached(let worker, let profile):
      observer?.observe(.workerAttached(worker, at: now, name: profile.name))
      tell(.workerAttached(worker, profile))
      resumeAttachmentWaiters()
    case .message(let worker, let message):
      if case .expansion(let id, _) = message, outputs[id] != nil {
        observer?.observe(.expansion(id, from: worker, at: now))
      }
      tell(.workerSaid(worker, message))
    case .roundTrip(let worker, let sample):
      observer?.observe(.roundTrip(worker, at: now, sample))
      tell(.roundTrip(worker, sample))
    case .draining(let worker):
      log.info("worker is about to leave", metadata: ["worker": "\(name(worker))"])
      tell(.workerDraining(worker))
    case .detached(let worker, let reason):
      if machine.describe(worker) != nil {
        observer?.observe(.workerDetached(worker, at: now, name: name(worker), reason: reason))
      }
      tell(.workerDetached(worker, reason: reason))
    }
  }

  private func name(_ worker: WorkerID) -> String {
    machine.describe(worker)?.profile.name ?? "\(worker)"
  }

  /// The machine wants nothing more of a worker.
  func disconnect(_ worker: WorkerID, name: String, reason: String) {
    log.warning("worker disconnected", metadata: ["worker": "\(name)", "why": "\(reason)"])
    transport?.disconnect(worker, reason: reason)
    observer?.observe(.workerDetached(worker, at: MonotonicClock.now(), name: name, reason: reason))
  }

  // MARK: Status

  public var attachedWorkers: Int { machine.attachedWorkers.count }

  /// Smoothed round-trip time to the worker that attached first.
  public var roundTrip: Duration? {
    machine.attachedWorkers.first.flatMap { machine.describe($0)?.roundTrip }
  }

  func describe(_ id: WorkerID) -> NodeStatus.WorkerStatus? {
    guard let known = machine.describe(id) else { return nil }
    let bytes = transport?.traffic(of: id) ?? (received: 0, sent: 0)
    return NodeStatus.WorkerStatus(
      id: id, known: known, bytesReceived: bytes.received, bytesSent: bytes.sent)
  }

  /// Returns as soon as a worker is attached, or after `timeout`: true when one is.
  public func waitForWorker(timeout: Duration) async -> Bool {
    let deadline = ContinuousClock.now + timeout
    while attachedWorkers == 0 && ContinuousClock.now < deadline && !Task.isCancelled {
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
    return attachedWorkers > 0
  }

  private func resumeAttachmentWaiters() {
    for waiter in attachmentWaiters { waiter.resume() }
    attachmentWaiters = []
  }
}
