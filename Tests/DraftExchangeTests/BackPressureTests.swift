import DraftExchange
import SpeculationCore
import Testing

extension ExchangeTests {
  @Suite struct BackPressureTests {
    /// Expansions for a session that nobody knows: valid, and without any cost to who sends them.
    private static let flood = (1...100).map { node in
      WorkerMessage.expansion(
        SessionID(99),
        Expansion(
          site: .node(RemoteNodeID(node)), firstChild: 1000,
          distribution: Distribution(
            entropy: 1, candidates: (0..<64).map { Candidate(token: TokenID($0), probability: 1 / 64) }),
          knownPosition: 5))
    }

    @Test func aSlowHandlerOfTheControllerStopsTheReading() async throws {
      let configuration = WorkerListener.Configuration.test {
        $0.pingInterval = .seconds(30)
        $0.livenessTimeout = .seconds(60)
      }
      let listener = try WorkerListener(configuration)
      let log = ListenerLog()
      let (gate, open) = AsyncStream.makeStream(of: Void.self)
      let serving: @Sendable () async throws -> Void = {
        try await listener.run { event in
          log.append(event)
          if case .message = event { for await _ in gate {} }
        }
      }
      try await running(serving) {
        let port = try await listener.boundPort
        let worker = ControllerConnection.Configuration.test(port: port) {
          $0.backoff.initial = .seconds(5)
        }
        try await withWorker(worker) { worker, workerLog in
          _ = try await workerLog.welcome()
          let id = try await log.attachedWorker()
          let isOver = { workerLog.all.contains { if case .disconnected = $0 { true } else { false } } }
          for _ in 1...5000 where !isOver() {
            worker.send(Self.flood)
            try await Task.sleep(for: .microseconds(200))
          }
          let reason = try await workerLog.disconnection()
          #expect(reason.contains("too slow"), "\(reason)")
          #expect(log.messages.count == 1, "the second waits for the first")
          #expect(listener.traffic(of: id).received < 8 << 20)
          open.finish()
          _ = try await log.detachReason(of: id)
        }
      }
    }

    /// What a pass of an earlier connection leaves behind must not be sent on the next one: there is none
    /// until the end of the earlier one was dealt with.
    @Test func aWorkerDialsAgainOnlyWhenTheEndWasHandled() async throws {
      try await withListener { listener, log, port in
        let worker = try ControllerConnection(.test(port: port))
        let (gate, open) = AsyncStream.makeStream(of: Void.self)
        let working: @Sendable () async throws -> Void = {
          try await worker.run { event in
            if case .disconnected = event { for await _ in gate {} }
          }
        }
        try await running(working) {
          let first = try await log.attachedWorker()
          listener.disconnect(first, reason: "maintenance")
          _ = try await log.detachReason(of: first)
          try await Task.sleep(for: .milliseconds(600))
          worker.send(.declined(SessionID(1), reason: "of the first connection"))
          let attachments = log.all.filter { if case .attached = $0 { true } else { false } }
          #expect(attachments.count == 1)
          open.finish()
          _ = try await log.attachedWorker(number: 2)
          try await Task.sleep(for: .milliseconds(100))
          #expect(log.messages.isEmpty)
        }
      }
    }
  }
}
