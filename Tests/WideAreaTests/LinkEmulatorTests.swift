import Foundation
import Synchronization
import Testing
import WideArea

/// The emulator between real sockets.
@Suite(.serialized) struct LinkEmulatorTests {
  /// Starts an emulator towards `port`, gives it to `body`, and stops it.
  private func withLink(
    to port: Int, _ model: LinkModel, bufferLimit: Int = LinkEmulator.Configuration.defaultBufferLimit,
    onEvent: @escaping @Sendable (LinkEvent) -> Void = { _ in },
    _ body: (LinkEmulator) async throws -> Void
  ) async throws {
    let link = try await LinkEmulator.start(
      LinkEmulator.Configuration(connectPort: port, model: model, bufferLimit: bufferLimit), onEvent: onEvent)
    do { try await body(link) } catch {
      await link.stop()
      throw error
    }
    await link.stop()
    let end = await link.snapshot()
    #expect(end.openConnections == 0)
    #expect(end.up.bytesHeld == 0 && end.down.bytesHeld == 0)
  }

  /// Echoes everything on one connection until it ends.
  private func echoServer(_ listener: TCPSocket) -> Task<Void, Never> {
    Task {
      try? await onThread {
        let peer = try listener.accepted()
        while true {
          let bytes = try peer.readSome()
          if bytes.isEmpty { return }
          try peer.write(bytes)
        }
      }
    }
  }

  /// Runs of a measurement, on fresh connections. The model's time is the least that any may take. What comes
  /// on top is the emulator's error, but on a busy machine also that of the two ends, which are ordinary
  /// threads: the quickest run has the least of it.
  private func expectTimes(
    _ times: [Double], atLeast least: Double, quickestBelow most: Double,
    sourceLocation: SourceLocation = #_sourceLocation
  ) {
    #expect(
      times.allSatisfy { $0 >= least }, "\(times): shorter than the model's", sourceLocation: sourceLocation)
    #expect(times.contains { $0 < most }, "\(times): all longer", sourceLocation: sourceLocation)
  }

  private static let runs = 5

  /// Waits until the link has no connection open.
  private func expectAllClosed(
    _ link: LinkEmulator, sourceLocation: SourceLocation = #_sourceLocation
  ) async throws {
    let deadline = ContinuousClock.now + .seconds(10)
    while await link.snapshot().openConnections > 0, .now < deadline {
      try await Task.sleep(for: .milliseconds(5))
    }
    let open = await link.snapshot().openConnections
    #expect(open == 0, sourceLocation: sourceLocation)
  }

  @Test(arguments: [0.0, 5, 20, 50])
  func roundTripsTakeWhatTheModelSays(oneWay: Double) async throws {
    var trips: [Double] = []
    var errors: [Double] = []
    for _ in 0..<Self.runs {
      let listener = try TCPSocket.listen()
      let model = LinkModel(roundTripMilliseconds: 2 * oneWay)
      try await withLink(to: listener.port, model) { link in
        let echo = echoServer(listener)
        let five = try await onThread {
          let client = try TCPSocket.connect(to: link.port)
          // The first round trip includes the handshake.
          try client.write([0])
          _ = try client.read(exactly: 1)
          return try (0..<5).map { index in
            let start = milliseconds()
            try client.write([UInt8](repeating: UInt8(index), count: 200))
            _ = try client.read(exactly: 200)
            return milliseconds() - start
          }
        }
        trips += five
        await echo.value
        let figures = await link.snapshot()
        errors.append(Double(figures.error.p50) / 1e6)
        #expect(figures.connections == 1)
        #expect(figures.up.bytesDelivered == 1001)
        #expect(figures.down.bytesDelivered == 1001)
      }
    }
    print("one way \(oneWay) ms: round trips \(trips.sorted()), own errors \(errors.sorted())")
    expectTimes(trips, atLeast: 2 * oneWay, quickestBelow: 2 * oneWay + 5)
    expectTimes(errors, atLeast: 0, quickestBelow: 5)
  }

  @Test func aConnectionTakesAHandshake() async throws {
    let listener = try TCPSocket.listen()
    try await withLink(to: listener.port, LinkModel(roundTripMilliseconds: 60)) { link in
      var times: [Double] = []
      for _ in 0..<Self.runs {
        let echo = echoServer(listener)
        times.append(
          try await onThread {
            let start = milliseconds()
            let client = try TCPSocket.connect(to: link.port)
            try client.write([1])
            _ = try client.read(exactly: 1)
            return milliseconds() - start
          })
        await echo.value
      }
      expectTimes(times, atLeast: 120, quickestBelow: 160)
    }
  }

  @Test func halfCloseTravelsAndTheAnswerComesBack() async throws {
    let listener = try TCPSocket.listen()
    try await withLink(to: listener.port, LinkModel(roundTripMilliseconds: 40)) { link in
      var times: [Double] = []
      for _ in 0..<Self.runs {
        async let served = onThread {
          let peer = try listener.accepted()
          let question = try peer.readToEnd()
          let end = milliseconds()
          try peer.write(Array(question.reversed()))
          return end
        }
        let (answer, ended) = try await onThread {
          let client = try TCPSocket.connect(to: link.port)
          try client.write([1])
          Thread.sleep(forTimeInterval: 0.1)
          try client.write([2, 3])
          let ended = milliseconds()
          client.endWriting()
          return (try client.readToEnd(), ended)
        }
        #expect(answer == [3, 2, 1])
        times.append(try await served - ended)
      }
      expectTimes(times, atLeast: 20, quickestBelow: 40)
      // Both directions have ended, so nothing stays open.
      try await expectAllClosed(link)
      let figures = await link.snapshot()
      #expect(figures.up.bytesDelivered == 3 * Self.runs)
    }
  }

  @Test func aResetTravels() async throws {
    let listener = try TCPSocket.listen()
    try await withLink(to: listener.port, LinkModel(roundTripMilliseconds: 40)) { link in
      async let outcome = onThread {
        let peer = try listener.accepted()
        #expect(try peer.read(exactly: 1) == [1])
        try peer.write([2])
        do {
          return try peer.readToEnd().isEmpty ? "end" : "data"
        } catch let error as SocketError {
          return error.code == ECONNRESET ? "reset" : "\(error)"
        }
      }
      try await onThread {
        let client = try TCPSocket.connect(to: link.port)
        try client.write([1])
        #expect(try client.read(exactly: 1) == [2])
        client.resetOnClose()
      }
      let seen = try await outcome
      #expect(seen == "reset")
    }
  }

  @Test func aRefusalReachesTheClientAndIsSaidOnce() async throws {
    let unheard = try TCPSocket.unheard()
    defer { withExtendedLifetime(unheard) {} }
    let said = EventLog()
    try await withLink(to: unheard.port, LinkModel(roundTripMilliseconds: 40), onEvent: said.add) { link in
      var times: [Double] = []
      for _ in 0..<Self.runs {
        times.append(
          try await onThread {
            let start = milliseconds()
            let client = try TCPSocket.connect(to: link.port)
            #expect(throws: SocketError.self) { _ = try client.readToEnd() }
            return milliseconds() - start
          })
      }
      expectTimes(times, atLeast: 40, quickestBelow: 80)
      try await expectAllClosed(link)
      let figures = await link.snapshot()
      #expect(figures.refusedByUpstream == Self.runs)
    }
    #expect(said.events.count == 1)
    #expect(
      said.events.first?.description.contains("127.0.0.1:\(unheard.port) refuses connections") == true)
  }

  @Test func anOutageThatResetsKillsAndRefuses() async throws {
    let listener = try TCPSocket.listen()
    var model = LinkModel(roundTripMilliseconds: 10)
    model.outages = [Outage(startMilliseconds: 2000, durationMilliseconds: 3000, resets: true)]
    let said = EventLog()
    // The link's time begins after this.
    let before = milliseconds()
    try await withLink(to: listener.port, model, onEvent: said.add) { link in
      let echo = echoServer(listener)
      let (killed, ending) = try await onThread {
        let client = try TCPSocket.connect(to: link.port)
        try client.write([1])
        #expect(try client.read(exactly: 1) == [1])
        var ending: Int32 = 0
        do { _ = try client.readToEnd() } catch let error as SocketError { ending = error.code }
        return (milliseconds(), ending)
      }
      await echo.value
      #expect(ending == ECONNRESET)
      #expect(killed - before >= 2000)
      try await onThread {
        _ = #expect(throws: SocketError.self) { _ = try TCPSocket.connect(to: link.port).readToEnd() }
      }
      // The event comes after the connections were reset, so the end may be seen first.
      let deadline = milliseconds() + 10_000
      while said.times.isEmpty, milliseconds() < deadline { try await Task.sleep(for: .milliseconds(1)) }
      let began = try #require(said.times.first)
      #expect(began - before >= 2000)
      try await Task.sleep(for: .milliseconds(max(0, began + 3050 - milliseconds())))
      let again = echoServer(listener)
      try await onThread {
        let client = try TCPSocket.connect(to: link.port)
        try client.write([7])
        #expect(try client.read(exactly: 1) == [7])
      }
      await again.value
      let figures = await link.snapshot()
      #expect(figures.resetByOutage == 1)
      #expect(figures.refusedInOutage == 1)
    }
    #expect(said.events == [.outageReset(connections: 1)])
  }

  @Test func anOutageStallsAndDeliversAfterwards() async throws {
    let listener = try TCPSocket.listen()
    var model = LinkModel(roundTripMilliseconds: 10)
    model.outages = [Outage(startMilliseconds: 2000, durationMilliseconds: 3000)]
    // The link's time begins between these two.
    let before = milliseconds()
    try await withLink(to: listener.port, model) { link in
      let start = milliseconds()
      let echo = echoServer(listener)
      let arrived = try await onThread {
        let client = try TCPSocket.connect(to: link.port)
        try client.write([1])
        _ = try client.read(exactly: 1)
        // Into the outage.
        Thread.sleep(forTimeInterval: max(0, (start + 2100 - milliseconds()) / 1000))
        try client.write([2, 3])
        // Gives up after 10 s.
        #expect(try client.read(exactly: 2) == [2, 3])
        return milliseconds()
      }
      await echo.value
      #expect(arrived - before >= 5000)
    }
  }

  @Test func aSlowReaderStopsTheSender() async throws {
    let listener = try TCPSocket.listen()
    let limit = 256 << 10
    let total = 24 << 20
    let mayRead = Flag()
    try await withLink(to: listener.port, LinkModel(roundTripMilliseconds: 10), bufferLimit: limit) { link in
      async let received = onThread {
        let peer = try listener.accepted()
        while !mayRead.isRaised { Thread.sleep(forTimeInterval: 0.01) }
        let bytes = try peer.readToEnd()
        return (bytes.count, bytes.indices.allSatisfy { bytes[$0] == UInt8(truncatingIfNeeded: $0 / 1000) })
      }
      async let sent: Void = onThread {
        let client = try TCPSocket.connect(to: link.port)
        try client.write((0..<total).map { UInt8(truncatingIfNeeded: $0 / 1000) })
        client.endWriting()
        _ = try client.readToEnd()
      }
      // Until nothing moves any more, or for 8 s: the sender itself gives up after 10 s.
      let deadline = ContinuousClock.now + .seconds(8)
      var stalled = 0
      while .now < deadline {
        let before = stalled
        try await Task.sleep(for: .milliseconds(200))
        stalled = await link.snapshot().up.bytesSent
        if stalled > 0 && stalled == before { break }
      }
      mayRead.raise()
      #expect(stalled > 0 && stalled < total, "the sender was not stopped: \(stalled)")
      let (count, intact) = try await received
      try await sent
      #expect(count == total)
      #expect(intact)
      let figures = await link.snapshot()
      #expect(figures.up.peakBytesHeld <= limit + (1 << 20), "held \(figures.up.peakBytesHeld)")
      #expect(figures.up.bytesDelivered == total)
    }
  }

  @Test func aRateLimitIsKeptAndBytesStayInOrder() async throws {
    let listener = try TCPSocket.listen()
    let link = LinkDirection(
      delayMilliseconds: 5, jitter: .uniform(maximum: 2), rateBitsPerSecond: 40e6, loss: 0.002)
    let total = 1_000_000
    let sending = (0..<total).map { UInt8(truncatingIfNeeded: $0 / 777) }
    try await withLink(to: listener.port, LinkModel(up: link, down: link, seed: 11)) { emulator in
      var times: [Double] = []
      for _ in 0..<Self.runs {
        async let received = onThread {
          let peer = try listener.accepted()
          let bytes = try peer.readToEnd()
          return (milliseconds(), bytes == sending)
        }
        let start = try await onThread {
          let client = try TCPSocket.connect(to: emulator.port)
          let start = milliseconds()
          try client.write(sending)
          client.endWriting()
          _ = try client.readToEnd()
          return start
        }
        let (end, intact) = try await received
        #expect(intact)
        times.append(end - start)
      }
      // 1 MB at 5 MB/s takes 200 ms; losses and the handshake add to it.
      expectTimes(times, atLeast: 200, quickestBelow: 1500)
    }
  }

  @Test func whatCannotStartSaysWhy() async throws {
    let listener = try TCPSocket.listen()
    defer { withExtendedLifetime(listener) {} }
    let taken = LinkEmulator.Configuration(
      listenPort: listener.port, connectPort: 1, model: LinkModel(roundTripMilliseconds: 1))
    var absurd = taken
    absurd.model.up.loss = 2
    for (configuration, code, words) in [
      (taken, LinkError.Code.portInUse, "127.0.0.1:\(listener.port)"),
      (absurd, .invalidModel, "up: the loss"),
    ] {
      do {
        let link = try await LinkEmulator.start(configuration)
        await link.stop()
        Issue.record("started: \(words)")
      } catch let error as LinkError {
        #expect(error.code == code)
        #expect(error.description.contains(words), "\(error)")
      }
    }
  }

  @Test func cancellingRunClosesEverything() async throws {
    let listener = try TCPSocket.listen()
    let link = try await LinkEmulator.start(
      LinkEmulator.Configuration(connectPort: listener.port, model: LinkModel(roundTripMilliseconds: 10)))
    let running = Task { await link.run() }
    let echo = echoServer(listener)
    let client = try await onThread {
      let client = try TCPSocket.connect(to: link.port)
      try client.write([1])
      _ = try client.read(exactly: 1)
      return client
    }
    running.cancel()
    await running.value
    await echo.value
    try await onThread {
      #expect(throws: SocketError.self) { _ = try client.readToEnd() }
      #expect(throws: SocketError.self) { _ = try TCPSocket.connect(to: link.port) }
    }
    await link.stop()
    let figures = await link.snapshot()
    #expect(figures.connections == 1)
  }
}

/// Events as they come, from the emulator's thread, and when they came.
private final class EventLog: Sendable {
  private let log = Mutex<[(event: LinkEvent, time: Double)]>([])
  var events: [LinkEvent] { log.withLock { $0.map { $0.event } } }
  /// On the clock of `milliseconds()`.
  var times: [Double] { log.withLock { $0.map { $0.time } } }
  func add(_ event: LinkEvent) { log.withLock { $0.append((event, milliseconds())) } }
}

private final class Flag: Sendable {
  private let state = Atomic(false)
  var isRaised: Bool { state.load(ordering: .relaxed) }
  func raise() { state.store(true, ordering: .relaxed) }
}
