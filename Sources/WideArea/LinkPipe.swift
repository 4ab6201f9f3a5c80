import NIOCore

/// One direction of one connection: what is under way, each part with the time at which it arrives.
///
/// Confined to the event loop. The source is read only while there is room, the sink is written when the
/// schedule says, by one timer for the head of the queue.
final class LinkPipe {
  private enum Part {
    case bytes(ByteBuffer)
    /// The source has closed its sending half.
    case end
    /// The source has reset the connection.
    case reset
  }

  /// What a queued part costs besides its bytes, so that many small parts are bounded as well.
  private static let overhead = 256
  /// Parts that arrive within this many nanoseconds of each other are written as one.
  private static let coalescing: Int64 = 5_000

  /// With the limit of a read, bounds what one turn of the event loop adds to a direction: 256 KiB.
  static let readsPerTurn: UInt = 4
  static let readAllocator = AdaptiveRecvByteBufferAllocator(minimum: 1024, initial: 4096, maximum: 65_536)

  /// The kernel's receive buffer in bytes (Linux doubles it). At the end of a stream NIO reads all of it, so
  /// it must not grow to megabytes as it would by itself.
  static let receiveBuffer: Int = 256 << 10

  private let side: LinkSide
  private let core: LinkCore
  private var schedule: LinkSchedule
  var source: (any Channel)?
  var sink: (any Channel)?
  /// Called when the source's channel is closed altogether.
  var onSourceClosed: (() -> Void)?
  private(set) var sourceEnded = false
  /// The source's socket reported an error, such as a reset by the peer.
  var sourceFailed = false
  private(set) var endDelivered = false

  private var queue = CircularBuffer<(time: Int64, part: Part)>()
  private var timer: Scheduled<Void>?
  /// When the current turn of reading began; all that it reads enters the link at that instant.
  private var turn: Int64?
  private var reading = false
  /// Reading was put off because of the limit.
  private var paused = false
  /// The sink is closed: what arrives is dropped.
  private var sinkGone = false
  private var discarded = false
  /// Bytes in `queue` and bytes that the sink's socket has not taken.
  private var held = 0
  /// Bytes given to the sink that its socket has not taken.
  private var unwritten = 0
  /// `held` with the overhead of parts.
  private var cost = 0

  init(_ side: LinkSide, _ schedule: LinkSchedule, _ core: LinkCore) {
    self.side = side
    self.schedule = schedule
    self.core = core
  }

  // MARK: Handshake

  /// When a segment without payload that leaves now arrives. Counts as a segment of the stream.
  func arrivalOfEmptySegment() -> Int64 {
    var arrival: Int64 = 0
    let now = core.now
    core.withBottleneck(side) { schedule.send(0, at: now, through: &$0) { _, time in arrival = time } }
    return arrival
  }

  func startReading() {
    reading = true
    source?.read()
  }

  // MARK: Source

  func received(_ buffer: ByteBuffer) {
    let now = turn ?? core.now
    turn = now
    let total = buffer.readableBytes
    core.count(side) { $0.bytesSent += total }
    guard !sinkGone && !discarded else { return }
    var bytes = compact(buffer)
    core.withBottleneck(side) {
      var pending = 0
      var first: Int64 = 0
      var last: Int64 = 0
      func flush() {
        if pending > 0, let slice = bytes.readSlice(length: pending) { enqueue(.bytes(slice), at: last) }
        pending = 0
      }
      schedule.send(total, at: now, through: &$0) { count, time in
        if pending > 0 && time - first > Self.coalescing { flush() }
        if pending == 0 { first = time }
        // The part is due when its last segment is: nothing may arrive before its time.
        last = time
        pending += count
      }
      flush()
    }
  }

  /// A buffer is sized for what might have been read. Held for a second, that adds up.
  private func compact(_ buffer: ByteBuffer) -> ByteBuffer {
    guard buffer.storageCapacity > 4096 && buffer.readableBytes < buffer.storageCapacity / 2 else {
      return buffer
    }
    var copy = ByteBufferAllocator().buffer(capacity: buffer.readableBytes)
    copy.writeImmutableBuffer(buffer)
    return copy
  }

  func receivedAll() {
    turn = nil
    deliverDue()
    readMore()
  }

  private func readMore() {
    guard reading && !sourceEnded && !discarded else { return }
    paused = cost >= core.configuration.bufferLimit
    if !paused { source?.read() }
  }

  func sourceReachedEnd() {
    guard !sourceEnded else { return }
    sourceEnded = true
    append(.end)
  }

  /// The source's channel is closed altogether.
  /// - Parameter orderly: it closed because both directions had ended
  func sourceIsGone(orderly: Bool) {
    guard orderly else { return sourceWasReset() }
    sourceReachedEnd()
  }

  private func sourceWasReset() {
    sourceEnded = true
    append(.reset)
  }

  private func append(_ part: Part) {
    guard !discarded else { return }
    turn = nil
    enqueue(part, at: arrivalOfEmptySegment())
    deliverDue()
  }

  private func enqueue(_ part: Part, at time: Int64) {
    var bytes = 0
    if case .bytes(let buffer) = part { bytes = buffer.readableBytes }
    queue.append((time, part))
    held += bytes
    cost += bytes + Self.overhead
    let peak = held
    core.count(side) {
      $0.bytesHeld += bytes
      $0.peakBytesHeld = max($0.peakBytesHeld, peak)
    }
  }

  // MARK: Sink

  private func deliverDue() {
    timer?.cancel()
    timer = nil
    let now = core.now
    var due: [(time: Int64, bytes: ByteBuffer)] = []
    var end: Part?
    while let head = queue.first, head.time <= now, end == nil {
      queue.removeFirst()
      switch head.part {
      case .bytes(let buffer):
        due.append((head.time, buffer))
      case .end, .reset:
        cost -= Self.overhead
        end = head.part
      }
    }
    write(due)
    switch end {
    case .end: deliverEnd()
    case .reset: sink?.reset()
    case .bytes, nil: break
    }
    // Delivery may have ended the connection, and this pipe with it.
    guard !discarded, let head = queue.first else { return }
    timer = core.schedule(at: head.time) { [weak self] in
      self?.timer = nil
      self?.deliverDue()
    }
  }

  /// Hands parts to the sink's socket in one go, and takes them off the books once the socket has them.
  private func write(_ due: [(time: Int64, bytes: ByteBuffer)]) {
    guard let last = due.last else { return }
    let bytes = due.reduce(0) { $0 + $1.bytes.readableBytes }
    guard let sink, !sinkGone else { return release(bytes, parts: due.count, delivered: false) }
    let taken = sink.eventLoop.makePromise(of: Void.self)
    taken.futureResult.assumeIsolated().whenComplete { [weak self] result in
      self?.unwritten -= bytes
      if case .success = result {
        self?.release(bytes, parts: due.count, delivered: true)
      } else {
        self?.release(bytes, parts: due.count, delivered: false)
      }
    }
    unwritten += bytes
    for part in due.dropLast() { sink.write(part.bytes, promise: nil) }
    sink.writeAndFlush(last.bytes, promise: taken)
    let now = core.now
    for part in due { core.timing.record(now - part.time) }
  }

  private func release(_ bytes: Int, parts: Int, delivered: Bool) {
    guard !discarded else { return }
    held -= bytes
    cost -= bytes + parts * Self.overhead
    core.count(side) {
      $0.bytesHeld -= bytes
      if delivered { $0.bytesDelivered += bytes }
    }
    if paused { readMore() }
    closeWhenWritten()
  }

  private func deliverEnd() {
    endDelivered = true
    closeWhenWritten()
  }

  /// Closing discards what the socket has not taken, so it waits for that.
  private func closeWhenWritten() {
    guard endDelivered, unwritten == 0, !sinkGone else { return }
    sink?.close(mode: .output, promise: nil)
  }

  /// The sink is closed: nothing can be delivered, and the source is read on until it hears of it.
  func sinkIsGone() {
    sinkGone = true
    deliverDue()
    if paused { readMore() }
  }

  /// Forgets everything under way.
  func discard() {
    guard !discarded else { return }
    discarded = true
    timer?.cancel()
    timer = nil
    queue.removeAll()
    core.count(side) { $0.bytesHeld -= held }
    held = 0
    cost = 0
  }
}
