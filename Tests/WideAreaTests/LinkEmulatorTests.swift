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
    #expect(end.up.bytesHeld == 0)
    #expect(end.down.bytesHeld == 0)
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

  @Test(arguments: [0.0, 5, 20, 50])
  func roundTripsTakeWhatTheModelSays(oneWay: Double) async throws {
    let listener = try TCPSocket.listen()
    let model = LinkModel(roundTripMilliseconds: 2 * oneWay)
    try await withLink(to: listener.port, model) { link in
      let echo = echoServer(listener)
      let errors = try await onThread {
        let client = try TCPSocket.connect(to: link.port)
        // The first round trip includes the handshake.
        try client.write([0])
        _ = try client.read(exactly: 1)
        return try (0..<15).map { index in
          let start = milliseconds()
          try client.write([UInt8](repeating: UInt8(index), count: 200))
          _ = try client.read(exactly: 200)
          return milliseconds() - start - 2 * oneWay
        }
      }
      await echo.value
      let figures = await link.snapshot()
      let sorted = errors.sorted()
      print(
        "one way \(oneWay) ms: round trip error p50 \(sorted[7]), max \(sorted[14]); own \(figures.error)")
      #expect(sorted[0] >= 0, "a round trip was shorter than the model's")
      // The ends are ordinary threads, late themselves on a busy machine; the emulator's own error is not theirs.
      #expect(sorted[3] < 5)
      #expect(figures.error.p50 < 5_000_000)
      #expect(figures.connections == 1)
      #expect(figures.up.bytesDelivered == 3001)
      #expect(figures.down.bytesDelivered == 3001)
    }
  }

  @Test func aConnectionTakesAHandshake() async throws {
    let listener = try TCPSocket.listen()
    try await withLink(to: listener.port, LinkModel(roundTripMilliseconds: 60)) { link in
      let echo = echoServer(listener)
      let elapsed = try await onThread {
        let start = milliseconds()
        let client = try TCPSocket.connect(to: link.port)
        try client.write([1])
        _ = try client.read(exactly: 1)
        return milliseconds() - start
      }
      await echo.value
      #expect(elapsed >= 120)
      #expect(elapsed < 160)
    }
  }

  @Test func halfCloseTravelsAndTheAnswerComesBack() async throws {
    let listener = try TCPSocket.listen()
    try await withLink(to: listener.port, LinkModel(roundTripMilliseconds: 40)) { link in
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
      let travelled = try await served - ended
      #expect(travelled >= 20)
      #expect(travelled < 40)
      // Both directions have ended, so nothing stays open.
      try await Task.sleep(for: .milliseconds(80))
      let figures = await link.snapshot()
      #expect(figures.openConnections == 0)
      #expect(figures.up.bytesDelivered == 3)
    }
  }

  @Test func aResetTravels() async throws {
    let listener = try TCPSocket.listen()
    try await withLink(to: listener.port, LinkModel(roundTripMilliseconds: 40)) { link in
      async let outcome = onThread {
        let peer = try listener.accepted()
        #expect(try peer.read(exactly: 1) == [1])
        do {
          return try peer.readToEnd().isEmpty ? "end" : "data"
        } catch let error as SocketError {
          return error.code == ECONNRESET ? "reset" : "\(error)"
        }
      }
      try await onThread {
        let client = try TCPSocket.connect(to: link.port)
        try client.write([1])
        Thread.sleep(forTimeInterval: 0.15)
        client.resetOnClose()
      }
      let seen = try await outcome
      #expect(seen == "reset")
    }
  }

  @Test func aRefusalReachesTheClientAndIsSaidOnce() async throws {
    let port = try TCPSocket.listen().port
    let said = EventLog()
    try await withLink(to: port, LinkModel(roundTripMilliseconds: 40), onEvent: said.add) { link in
      for _ in 0..<3 {
        let elapsed = try await onThread {
          let start = milliseconds()
          let client = try TCPSocket.connect(to: link.port)
          #expect(throws: SocketError.self) { _ = try client.readToEnd() }
          return milliseconds() - start
        }
        #expect(elapsed >= 40)
        #expect(elapsed < 80)
      }
      let figures = await link.snapshot()
      #expect(figures.refusedByUpstream == 3)
      #expect(figures.openConnections == 0)
    }
    #expect(said.events.count == 1)
    #expect(said.events.first?.description.contains("127.0.0.1:\(port) refuses connections") == true)
  }

  @Test func anOutageThatResetsKillsAndRefuses() async throws {
    let listener = try TCPSocket.listen()
    var model = LinkModel(roundTripMilliseconds: 10)
    model.outages = [Outage(startMilliseconds: 200, durationMilliseconds: 300, resets: true)]
    let said = EventLog()
    try await withLink(to: listener.port, model, onEvent: said.add) { link in
      let start = milliseconds()
      let echo = echoServer(listener)
      let killed = try await onThread {
        let client = try TCPSocket.connect(to: link.port)
        try client.write([1])
        #expect(try client.read(exactly: 1) == [1])
        #expect(throws: SocketError.self) { _ = try client.readToEnd() }
        return milliseconds() - start
      }
      await echo.value
      #expect(killed >= 150)
      #expect(killed < 300)
      try await onThread {
        #expect(throws: SocketError.self) { _ = try TCPSocket.connect(to: link.port).readToEnd() }
        Thread.sleep(forTimeInterval: max(0, (600 - (milliseconds() - start)) / 1000))
      }
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
    model.outages = [Outage(startMilliseconds: 150, durationMilliseconds: 300)]
    try await withLink(to: listener.port, model) { link in
      let start = milliseconds()
      let echo = echoServer(listener)
      let arrived = try await onThread {
        let client = try TCPSocket.connect(to: link.port)
        try client.write([1])
        _ = try client.read(exactly: 1)
        Thread.sleep(forTimeInterval: max(0, (200 - (milliseconds() - start)) / 1000))
        try client.write([2, 3])
        #expect(try client.read(exactly: 2) == [2, 3])
        return milliseconds() - start
      }
      await echo.value
      #expect(arrived >= 440)
      #expect(arrived < 1500)
    }
  }

  @Test func aSlowReaderStopsTheSender() async throws {
    let listener = try TCPSocket.listen()
    let limit = 256 << 10
    let total = 24 << 20
    try await withLink(to: listener.port, LinkModel(roundTripMilliseconds: 10), bufferLimit: limit) { link in
      async let received = onThread {
        let peer = try listener.accepted()
        Thread.sleep(forTimeInterval: 0.4)
        let bytes = try peer.readToEnd()
        return (bytes.count, bytes.indices.allSatisfy { bytes[$0] == UInt8(truncatingIfNeeded: $0 / 1000) })
      }
      async let sent: Void = onThread {
        let client = try TCPSocket.connect(to: link.port)
        try client.write((0..<total).map { UInt8(truncatingIfNeeded: $0 / 1000) })
        client.endWriting()
        _ = try client.readToEnd()
      }
      try await Task.sleep(for: .milliseconds(300))
      let stalled = await link.snapshot()
      #expect(stalled.up.bytesSent < total, "the sender was not stopped")
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
    try await withLink(to: listener.port, LinkModel(up: link, down: link, seed: 11)) { emulator in
      async let received = onThread {
        let peer = try listener.accepted()
        let bytes = try peer.readToEnd()
        return (milliseconds(), bytes == (0..<total).map { UInt8(truncatingIfNeeded: $0 / 777) })
      }
      let start = try await onThread {
        let client = try TCPSocket.connect(to: emulator.port)
        let start = milliseconds()
        try client.write((0..<total).map { UInt8(truncatingIfNeeded: $0 / 777) })
        client.endWriting()
        _ = try client.readToEnd()
        return start
      }
      let (end, intact) = try await received
      #expect(intact)
      // 1 MB at 5 MB/s takes 200 ms; losses and the handshake add to it.
      #expect(end - start >= 200)
      #expect(end - start < 1500)
    }
  }

  @Test func whatCannotStartSaysWhy() async throws {
    let listener = try TCPSocket.listen()
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

/// Events as they come, from the emulator's thread.
private final class EventLog: Sendable {
  private let log = Mutex<[LinkEvent]>([])
  var events: [LinkEvent] { log.withLock { $0 } }
  func add(_ event: LinkEvent) { log.withLock { $0.append(event) } }
}
