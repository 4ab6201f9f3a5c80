import SpeculationCore

/// Connections: dialling, bytes on their way, signs of life, ends. What the product's exchange does, in short.
extension FaultRun {
  private var liveness: Duration { .microseconds(plan.liveness) }
  private var pingInterval: Duration { .microseconds(plan.liveness / 6) }
  /// Chunks on their way to a peer, or waiting for it.
  private static var maximumQueued: Int { 64 }
  /// From dialling to the welcome.
  private var handshakeTimeout: Duration { liveness * 3 }

  // MARK: Dialling

  func dial(_ index: Int, epoch: Int) {
    let worker = workers[index]
    guard worker.epoch == epoch, worker.connection == nil, !isOver else { return }
    if let thaw = frozen(worker) { return queue.schedule(.dial(index, epoch: epoch), at: thaw) }
    let connection = Connection(
      serial: nextConnection, worker: index, controller: worker.controller,
      name: plan.profile(of: index, connection: nextConnection).name, dialled: now)
    nextConnection += 1
    worker.connection = connection
    queue.schedule(.accept(connection), at: now.advanced(by: delay(of: worker)))
    queue.schedule(.handshakeOver(connection), at: now.advanced(by: handshakeTimeout))
  }

  func dialLater(_ worker: Worker, _ index: Int) {
    guard !isOver else { return }
    let wait = worker.nextWait * (0.5 + 0.5 * worker.random.uniform())
    worker.nextWait = min(worker.nextWait * 2, .seconds(5))
    queue.schedule(.dial(index, epoch: worker.epoch), at: now.advanced(by: wait))
  }

  func accept(_ connection: Connection) throws {
    let worker = workers[connection.worker]
    // Lost on its way: the dialler's timeout will tell.
    guard connection.isOpenAtWorker, now >= worker.partitionedUntil, !connection.up.isBroken else { return }
    let controller = controllers[connection.controller]
    guard controller.isUp else {
      counts[.refusedConnections] += 1
      return end(connection, .down)
    }
    guard !isOver else { return }
    connection.id = WorkerID(controller.nextWorker)
    controller.nextWorker += 1
    connection.isOpenAtController = true
    connection.heardAtController = now
    connection.heardAtWorker = now
    controller.attached.append(connection)
    counts[.connections] += 1
    note(UInt64(connection.serial))
    queue.schedule(.heartbeat(connection), at: now)
    queue.schedule(.silence(connection), at: now.advanced(by: liveness))
    let profile = plan.profile(of: connection.worker, connection: connection.serial)
    // Known from the handshake, as often as not.
    let roundTrip = random.chance(0.5) ? connection.dialled.duration(to: now) * 2 : nil
    try tell(controller, .workerAttached(connection.id!, profile, roundTrip: roundTrip))
  }

  func handshakeOver(_ connection: Connection) throws {
    guard connection.id == nil, connection.isOpenAtWorker else { return }
    let worker = workers[connection.worker]
    if let thaw = frozen(worker) { return queue.schedule(.handshakeOver(connection), at: thaw) }
    counts[.handshakeTimeouts] += 1
    try closeAtWorker(connection)
  }

  // MARK: Signs of life

  /// The controller pings, and gives up a worker that was silent for too long.
  func heartbeat(_ connection: Connection) throws {
    guard connection.isOpenAtController, !isOver else { return }
    if connection.heardAtController.duration(to: now) > liveness {
      counts[.controllerTimeouts] += 1
      return try closeAtController(connection)
    }
    connection.unanswered.insert(connection.nextPing)
    connection.pingTimes[connection.nextPing] = now
    try send([.ping(connection.nextPing)], on: connection)
    connection.nextPing += 1
    queue.schedule(.heartbeat(connection), at: now.advanced(by: pingInterval))
  }

  /// The worker looks whether it has heard anything lately.
  func silence(_ connection: Connection) throws {
    guard connection.isOpenAtWorker else { return }
    let worker = workers[connection.worker]
    if let thaw = frozen(worker) { return queue.schedule(.silence(connection), at: thaw) }
    // The pings have stopped with the last session; what is left over is for `conclude` to find.
    if isOver && connection.isOpenAtController { return }
    let deadline = connection.heardAtWorker.advanced(by: liveness)
    if now < deadline { return queue.schedule(.silence(connection), at: deadline) }
    counts[.workerTimeouts] += 1
    try closeAtWorker(connection)
  }

  // MARK: Sending

  func send(_ items: [ControllerFrameItem], on connection: Connection) throws {
    transmit(try codec.encode(items), on: connection, .down)
  }

  func send(_ items: [WorkerFrameItem], notes: [Note?], on connection: Connection) throws {
    connection.up.notes.append(contentsOf: notes)
    transmit(try codec.encode(items), on: connection, .up)
  }

  /// Puts frames on the wire, spoilt where a fault wants it.
  private func transmit(_ frames: [[UInt8]], on connection: Connection, _ direction: FaultPlan.Direction) {
    let path = Self.stream(direction)
    guard !connection[keyPath: path].isBroken else { return }
    var bytes: [UInt8] = []
    for contents in frames {
      counts[.frames] += 1
      guard !connection[keyPath: path].spoilers.isEmpty else {
        Framing.append(contents, to: &bytes)
        continue
      }
      var frame: [UInt8] = []
      Framing.append(contents, to: &frame)
      let spoiler = connection[keyPath: path].spoilers.removeFirst()
      connection[keyPath: path].isTampered = true
      switch spoiler.kind {
      case .duplicate:
        counts[.duplicatedFrames] += 1
        frame += frame
      case .truncate:
        counts[.truncatedFrames] += 1
        frame.removeLast(min(frame.count, spoiler.amount))
      default:
        counts[.corruptFrames] += 1
        frame[spoiler.amount % frame.count] ^= spoiler.mask
      }
      bytes += frame
    }
    put(bytes, on: connection, direction)
  }

  /// Bytes that are no frame.
  func sendGarbage(_ bytes: [UInt8], on connection: Connection) {
    counts[.hostileBytes] += bytes.count
    connection.up.isTampered = true
    put(bytes, on: connection, .up)
  }

  private func put(_ bytes: [UInt8], on connection: Connection, _ direction: FaultPlan.Direction) {
    let path = Self.stream(direction)
    let worker = workers[connection.worker]
    var bytes = bytes
    var breaks: Bool?
    if let (rest, isSilent) = connection[keyPath: path].breaksAfter {
      if bytes.count >= rest {
        bytes.removeLast(bytes.count - rest)
        breaks = isSilent
      } else {
        connection[keyPath: path].breaksAfter!.bytes -= bytes.count
      }
    }
    counts[.bytes] += bytes.count
    let delay = delay(of: worker)
    if bytes.count > 1, worker.random.chance(0.03) {
      // In two packets, the second one later.
      let cut = Int.random(in: 1..<bytes.count, using: &worker.random)
      push(Array(bytes[..<cut]), after: delay, on: connection, direction)
      push(Array(bytes[cut...]), after: delay + self.delay(of: worker), on: connection, direction)
    } else if !bytes.isEmpty {
      push(bytes, after: delay, on: connection, direction)
    }
    if connection[keyPath: path].chunks.count > Self.maximumQueued {
      queue.schedule(.overflow(connection, direction), at: now)
    }
    if let breaks { breakNow(connection, isSilent: breaks) }
  }

  /// A peer that takes in less than it is sent is too slow to be of use.
  func overflow(_ connection: Connection, _ direction: FaultPlan.Direction) throws {
    guard direction == .down ? connection.isOpenAtController : connection.isOpenAtWorker else { return }
    counts[.queueOverflows] += 1
    if direction == .down { try closeAtController(connection) } else { try closeAtWorker(connection) }
  }

  private func push(
    _ bytes: [UInt8], after delay: Duration, on connection: Connection, _ direction: FaultPlan.Direction,
    isLast: Bool = false
  ) {
    let path = Self.stream(direction)
    let arrival = max(connection[keyPath: path].lastArrival, now.advanced(by: delay))
    connection[keyPath: path].lastArrival = arrival
    connection[keyPath: path].chunks.append(Chunk(arrival: arrival, bytes: bytes, isLast: isLast))
    queue.schedule(.arrival(connection, direction), at: arrival)
  }

  private static func stream(
    _ direction: FaultPlan.Direction
  ) -> ReferenceWritableKeyPath<Connection, ByteStream> {
    direction == .down ? \.down : \.up
  }

  private func delay(of worker: Worker) -> Duration {
    var delay = Duration.microseconds(worker.plan.delay)
    if worker.plan.jitter > 0 { delay += .microseconds(worker.plan.jitter) * worker.random.uniform() }
    if now < worker.delayedUntil { delay += worker.extraDelay * worker.random.uniform() }
    return delay
  }

  /// When a frozen worker goes on; nil when it is not frozen.
  func frozen(_ worker: Worker) -> Timestamp? { now < worker.frozenUntil ? worker.frozenUntil : nil }

  // MARK: Ends

  /// The sender of this direction has closed: the receiver learns of it after everything sent before.
  private func end(_ connection: Connection, _ direction: FaultPlan.Direction) {
    let path = Self.stream(direction)
    guard !connection[keyPath: path].isBroken else { return }
    connection[keyPath: path].isBroken = true
    push([], after: delay(of: workers[connection.worker]), on: connection, direction, isLast: true)
  }

  /// The connection breaks in the middle; unless silently, both ends learn of it.
  func breakNow(_ connection: Connection, isSilent: Bool) {
    if isSilent {
      connection.down.isBroken = true
      connection.up.isBroken = true
    } else {
      end(connection, .down)
      end(connection, .up)
    }
  }

  /// - Parameter isKnown: the controller's machine need not be told
  func closeAtController(_ connection: Connection, isKnown: Bool = false) throws {
    guard connection.isOpenAtController else { return }
    connection.isOpenAtController = false
    let controller = controllers[connection.controller]
    controller.attached.removeAll { $0 === connection }
    end(connection, .down)
    for id in connection.told.keys.sorted() { forget(id, on: connection) }
    connection.told = [:]
    connection.said = [:]
    if !isKnown { try tell(controller, .workerDetached(connection.id!, reason: "the connection is over")) }
  }

  /// The worker says that it will leave.
  func draining(_ connection: Connection) throws {
    guard connection.isOpenAtController, !connection.isDraining else { return }
    connection.isDraining = true
    counts[.drains] += 1
    try tell(controllers[connection.controller], .workerDraining(connection.id!))
  }

  /// - Parameter isProcessGone: nobody is left to end sessions and to dial again
  func closeAtWorker(_ connection: Connection, isProcessGone: Bool = false, isSilent: Bool = false) throws {
    guard connection.isOpenAtWorker else { return }
    connection.isOpenAtWorker = false
    if isSilent { connection.up.isBroken = true }
    end(connection, .up)
    let worker = workers[connection.worker]
    worker.connection = nil
    guard !isProcessGone else { return }
    if connection.id != nil, connection.dialled.duration(to: now) > .seconds(10) {
      worker.nextWait = .milliseconds(100)
    }
    try lost(connection.worker)
    dialLater(worker, connection.worker)
  }

  // MARK: Arriving

  func arrival(_ connection: Connection, _ direction: FaultPlan.Direction) throws {
    let worker = workers[connection.worker]
    // TCP repeats what a partition swallows until it gets through.
    if now < worker.partitionedUntil {
      return queue.schedule(.arrival(connection, direction), at: worker.partitionedUntil)
    }
    if direction == .down, let thaw = frozen(worker) {
      return queue.schedule(.arrival(connection, direction), at: thaw)
    }
    let path = Self.stream(direction)
    let chunk = connection[keyPath: path].chunks.removeFirst()
    note(UInt64(chunk.bytes.count))
    func isOpen() -> Bool { direction == .down ? connection.isOpenAtWorker : connection.isOpenAtController }
    guard isOpen() else { return }
    if direction == .down { connection.heardAtWorker = now } else { connection.heardAtController = now }
    if chunk.isLast { return try close(connection, at: direction) }
    // The stream's buffer is almost always empty, and a chunk a whole frame.
    var received = chunk.bytes
    if !connection[keyPath: path].received.isEmpty {
      received = connection[keyPath: path].received + received
      connection[keyPath: path].received = []
    }
    var start = 0
    do {
      while isOpen(), let contents = try Framing.contents(of: received, at: start) {
        start = contents.endIndex
        if direction == .down {
          try read(try codec.decodeControllerFrame(contents), on: connection)
        } else {
          try read(try codec.decodeWorkerFrame(contents), on: connection)
        }
      }
    } catch let broken as BrokenRule {
      throw broken
    } catch {
      // Neither frames nor messages: the reader hangs up.
      counts[.undecodableFrames] += 1
      try Self.require(
        connection[keyPath: path].isTampered || direction == .up && worker.plan.isHostile, .protocolRule,
        "an honest frame cannot be read: \(error)")
      return try close(connection, at: direction)
    }
    if isOpen(), start < received.count { connection[keyPath: path].received = Array(received[start...]) }
  }

  private func close(_ connection: Connection, at direction: FaultPlan.Direction) throws {
    if direction == .down { try closeAtWorker(connection) } else { try closeAtController(connection) }
  }

  private func read(_ items: [ControllerFrameItem], on connection: Connection) throws {
    for item in items where connection.isOpenAtWorker {
      switch item {
      case .ping(let sequence): try send([.pong(sequence)], notes: [nil], on: connection)
      case .message(let message): try receive(message, at: connection.worker, on: connection)
      }
    }
  }

  private func read(_ items: [WorkerFrameItem], on connection: Connection) throws {
    for item in items {
      let note = connection.up.isTampered ? nil : connection.up.notes.popFirst()
      guard connection.isOpenAtController else { continue }
      switch item {
      case .pong(let sequence):
        if connection.unanswered.remove(sequence) == nil {
          counts[.controllerViolations] += 1
          try closeAtController(connection)
        } else if let sent = connection.pingTimes.removeValue(forKey: sequence) {
          try tell(controllers[connection.controller], .roundTrip(connection.id!, sent.duration(to: now)))
        }
      case .message(let message): try receive(message, note ?? nil, from: connection)
      }
    }
  }
}
