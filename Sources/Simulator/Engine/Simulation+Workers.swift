import SpeculationCore
import WideArea

/// Workers and the links to them.
extension Simulation {
  // MARK: Connections

  /// A worker dials in. Pings have measured the way before any session begins.
  mutating func connect(_ worker: Int) {
    guard !workers[worker].isDead, !workers[worker].isConnected else { return }
    workers[worker].isConnected = true
    workers[worker].id = WorkerID(nextWorkerID)
    nextWorkerID += 1
    let profile = WorkerPool.Profile(
      name: "worker-\(worker)", model: "draft", capacity: workers[worker].plan.capacity,
      draftCost: workers[worker].plan.cost)
    let roundTrip = Duration.nanoseconds(workers[worker].plan.link.roundTripNanoseconds)
    for controller in controllers.indices {
      tell(controller, .workerAttached(workers[worker].id, profile, roundTrip: roundTrip))
    }

  }

  /// The connection is gone at both ends, with everything under way.
  private mutating func drop(_ worker: Int) {
    guard workers[worker].isConnected else { return }
    forgetConnection(of: worker)
    for controller in controllers.indices {
      tell(controller, .workerDetached(workers[worker].id, reason: "connection lost"))
    }
  }

  private mutating func forgetConnection(of worker: Int) {
    workers[worker].isConnected = false
    workers[worker].epoch += 1
    workers[worker].upQueue.removeAll()
    workers[worker].downQueue.removeAll()
    for case .release(let id) in workers[worker].machine.closeAll() { workers[worker].cache.release(id) }
  }

  /// A controller is done with a worker: it was of no use. It stays away.
  mutating func expel(_ id: WorkerID) {
    guard let worker = workers.firstIndex(where: { $0.isConnected && $0.id == id }) else { return }
    result.expelledWorkers += 1
    drop(worker)
    workers[worker].isDead = true
  }

  mutating func scheduleResets(of worker: Int, after time: Int64) {
    let starts = workers[worker].plan.link.outages.compactMap { $0.resets ? $0.nextStart(after: time) : nil }
    if let start = starts.min() { schedule(.reset(worker: worker), at: start) }
  }

  /// An outage that resets connections begins: the worker dials again when it is over, which takes a round trip
  /// and a half until the controller knows.
  mutating func reset(_ worker: Int) {
    scheduleResets(of: worker, after: now)
    drop(worker)
    let link = workers[worker].plan.link
    let end = link.outages.compactMap { $0.resets ? $0.end(overlapping: now, now) : nil }.max() ?? now
    schedule(.connect(worker: worker), at: end + link.roundTripNanoseconds * 3 / 2)
  }

  /// The process stops without a word: nobody hears from it, and the controller notices after a while.
  mutating func die(_ worker: Int) {
    workers[worker].isDead = true
    schedule(
      .lose(worker: worker, epoch: workers[worker].epoch),
      at: now + plan.livenessTimeout.wholeNanoseconds)
  }

  mutating func lose(_ worker: Int, epoch: Int) {
    if workers[worker].epoch == epoch { drop(worker) }
  }

  // MARK: Messages

  mutating func send(_ message: ControllerMessage, to id: WorkerID) {
    guard let worker = workers.firstIndex(where: { $0.isConnected && $0.id == id }) else { return }
    let bytes = WireSize.bytes(message)
    result.downBytes += bytes
    let arrival = workers[worker].down.deliveryTime(of: bytes, at: now)
    workers[worker].downQueue.append(message)
    if plan.recordsTimeline, case .commit(_, let commit) = message {
      result.timeline.append(
        TimelineSpan(kind: .commit, worker: worker, start: now, end: arrival, count: commit.tokens.count))
    }
    schedule(.arriveDown(worker: worker, epoch: workers[worker].epoch), at: arrival)
  }

  mutating func arriveDown(_ worker: Int, epoch: Int) {
    guard workers[worker].epoch == epoch, let message = workers[worker].downQueue.popFirst() else { return }
    guard !workers[worker].isDead else { return }
    do {
      switch message {
      case .open(let id, let opening):
        workers[worker].cache.open(id, opening.context)
        perform(try workers[worker].machine.open(id, opening), worker: worker)
      case .commit(let id, let commit):
        perform(try workers[worker].machine.commit(id, commit), worker: worker)
      case .close(let id): perform(workers[worker].machine.close(id), worker: worker)
      }
    } catch {
      preconditionFailure("an honest controller broke the protocol: \(error)")
    }
  }

  private mutating func perform(_ actions: consuming [WorkerMachine.Action], worker: Int) {
    // What is to be sent travels in the same array.
    var bytes = 0
    var others = 0
    for index in actions.indices {
      switch actions[index] {
      case .send(let message): bytes += WireSize.bytes(message)
      case .expand(let tasks):
        expand(tasks, worker: worker)
        others += 1
      case .read(let task):
        read(task, worker: worker)
        others += 1
      case .release(let id):
        workers[worker].cache.release(id)
        others += 1
      case .discard(let sequence):
        workers[worker].cache.discard(sequence)
        others += 1
      }
    }
    if others > 0 {
      actions.removeAll { if case .send = $0 { false } else { true } }
    }
    if !actions.isEmpty { send(actions, bytes, from: worker) }
  }

  private mutating func expand(_ tasks: [DraftTask<WorkerMachine.NodeID>], worker: Int) {
    var unread = 0
    var attention: Int64 = 0
    var last: SessionID?
    for task in tasks {
      attention += plan.draftAttention.nanoseconds(tokens: 1, context: task.prefix.count)
      if task.sequence == last { continue }
      last = task.sequence
      unread += workers[worker].cache.guess(
        from: task.sequence, count: task.prefix.count, depth: task.path.count)
    }
    let time =
      noise.vary(
        besideTarget(
          max(
            1,
            workers[worker].nanoseconds.time(
              tasks.count, reading: unread,
              perToken: workers[worker].plan.prefillPerToken.wholeNanoseconds) + attention)),
        by: plan.variation.draft)
    workers[worker].passSessions.removeAll(keepingCapacity: true)
    let deceit = workers[worker].plan.deceit
    for task in tasks {
      var distribution = draft(task)
      if let deceit {
        distribution = deceit.spoil(
          distribution, expansion: workers[worker].expansions, vocabularySize: source.vocabularySize)
      }
      workers[worker].expansions += 1
      workers[worker].pass.append(distribution)
      workers[worker].passSessions.append(task.session)
    }
    workers[worker].passDuration = .nanoseconds(time)
    workers[worker].isBusy = true
    result.workerBusy += time
    result.workerPasses += 1
    result.workerExpansions += tasks.count
    if plan.recordsTimeline {
      result.timeline.append(
        TimelineSpan(kind: .workerDraft, worker: worker, start: now, end: now + time, count: tasks.count))
    }
    schedule(.workerDone(worker: worker, epoch: workers[worker].epoch), at: now + time)
  }

  /// A pass takes no less than one over a single token, unless there is nothing to evaluate.
  private mutating func read(_ task: ReadingTask, worker: Int) {
    let reading = workers[worker].cache.read(task)
    let time =
      reading.evaluated == 0
      ? 0
      : besideTarget(
        workers[worker].nanoseconds.time(
          0, reading: reading.evaluated, perToken: workers[worker].plan.prefillPerToken.wholeNanoseconds))
    workers[worker].reading = reading
    workers[worker].passDuration = .nanoseconds(time)
    workers[worker].isBusy = true
    result.workerBusy += time
    schedule(.workerDone(worker: worker, epoch: workers[worker].epoch), at: now + time)
  }

  private func draft(_ task: DraftTask<WorkerMachine.NodeID>) -> Distribution {
    // Field by field: a request is too large to be copied for each node.
    let index = Int(task.session.rawValue)
    guard !requests[index].isOver else { return Self.nothing }
    let committed = task.skipped + task.prefix.count - requests[index].promptCount
    if task.skipped == 0 {
      return source.draft(
        text: requests[index].text, committed: committed, path: task.path, repeats: requests[index].repeats)
    }
    return source.draft(
      text: requests[index].text, committed: committed, path: task.path,
      tail: requests[index].promptCount - task.skipped - ReadingTask.head, repeats: requests[index].repeats)
  }

  /// For a session that has ended.
  private static var nothing: Distribution { Distribution(entropy: 0, candidates: []) }

  mutating func workerDone(_ worker: Int, epoch: Int) {
    guard !workers[worker].isDead else { return }
    workers[worker].isBusy = false
    if let reading = workers[worker].reading {
      workers[worker].reading = nil
      perform(
        workers[worker].machine.readingFinished(
          cached: reading.cached, passTokens: reading.evaluated, duration: workers[worker].passDuration),
        worker: worker)
      return
    }
    for index in workers[worker].pass.indices
    where requests[Int(workers[worker].passSessions[index].rawValue)].isOver {
      // It ended meanwhile; the machine throws the answer away.
      workers[worker].pass[index] = Self.nothing
    }
    let actions = workers[worker].machine.passFinished(
      workers[worker].pass, duration: workers[worker].passDuration)
    workers[worker].pass.removeAll(keepingCapacity: true)
    perform(actions, worker: worker)
  }

  private mutating func send(_ messages: [WorkerMachine.Action], _ bytes: Int, from worker: Int) {
    guard workers[worker].isConnected else { return }
    let deceit = workers[worker].plan.deceit
    if case .silence(let after) = deceit, workers[worker].expansions >= after { return }
    result.upBytes += bytes
    var arrival = workers[worker].up.deliveryTime(of: bytes, at: now)
    if case .lateAnswers(let delay) = deceit { arrival += delay.wholeNanoseconds }
    workers[worker].upQueue.append(messages)
    if plan.recordsTimeline {
      result.timeline.append(
        TimelineSpan(kind: .guesses, worker: worker, start: now, end: arrival, count: messages.count))
    }
    schedule(.arriveUp(worker: worker, epoch: workers[worker].epoch), at: arrival)
  }

  mutating func arriveUp(_ worker: Int, epoch: Int) {
    guard workers[worker].epoch == epoch, let messages = workers[worker].upQueue.popFirst() else { return }
    for message in messages {
      switch message {
      case .send(let message):
        tell(requests[Int(message.session.rawValue)].controller, .workerSaid(workers[worker].id, message))
      case .expand, .read, .release, .discard: preconditionFailure("what a worker does by itself is not sent")
      }
    }
  }
}
