import DraftExchange
import GRPCCore
import NIOCore
import NIOPosix
import SpeculationCore
import Testing

#if canImport(Glibc)
  import Glibc
#elseif canImport(Darwin)
  import Darwin
#endif

extension ExchangeTests {
  @Suite struct LifetimeTests {
    @Test func aFrozenWorkerIsNoticed() async throws {
      let timeout = Duration.milliseconds(1500)
      let configuration = WorkerListener.Configuration.test {
        $0.pingInterval = .milliseconds(100)
        $0.livenessTimeout = timeout
      }
      try await withListener(configuration) { _, log, port in
        let proxy = try await FreezableProxy.start(to: port)
        let worker = ControllerConnection.Configuration.test(port: proxy.port) {
          // The listener is to be the first to notice.
          $0.controllerSilenceTimeout = .seconds(60)
          $0.backoff.initial = .seconds(5)
        }
        try await withWorker(worker) { _, workerLog in
          _ = try await workerLog.welcome()
          let id = try await log.attachedWorker()
          // Pings, one each 100 ms, keep it alive for longer than the timeout.
          _ = try await log.roundTrips(atLeast: 20)
          #expect(!log.all.contains { if case .detached = $0 { true } else { false } }, "pings keep it alive")
          try await proxy.freeze()
          let reason = try await log.detachReason(of: id)
          #expect(reason.contains("sent nothing for 1.5 s"))
          let answers = log.timed.filter { if case .roundTrip = $0.event { true } else { false } }
          let ends = log.timed.filter { if case .detached = $0.event { true } else { false } }
          let lastSign = try #require(answers.last?.time)
          let noticed = try #require(ends.first?.time)
          // The bytes of the last answer came a little before it was reported.
          #expect(noticed - lastSign >= timeout - .milliseconds(250), "\(noticed - lastSign)")
        }
        try await proxy.stop()
      }
    }

    @Test func aFrozenControllerIsNoticed() async throws {
      let configuration = WorkerListener.Configuration.test {
        $0.pingInterval = .milliseconds(100)
        // The worker is to be the first to notice.
        $0.livenessTimeout = .seconds(60)
      }
      try await withListener(configuration) { _, log, port in
        let proxy = try await FreezableProxy.start(to: port)
        let worker = ControllerConnection.Configuration.test(port: proxy.port) {
          $0.controllerSilenceTimeout = .milliseconds(1500)
          $0.backoff.initial = .seconds(5)
        }
        try await withWorker(worker) { _, workerLog in
          _ = try await workerLog.welcome()
          _ = try await log.roundTrips(atLeast: 20)
          #expect(
            !workerLog.all.contains { if case .disconnected = $0 { true } else { false } },
            "pings keep it alive")
          try await proxy.freeze()
          let reason = try await workerLog.disconnection()
          #expect(reason.contains("sent nothing for 1.5 s"))
        }
        try await proxy.stop()
      }
    }

    @Test func aWorkerThatNeverAnswersPingsCountsAsGone() async throws {
      let configuration = WorkerListener.Configuration.test {
        $0.pingInterval = .milliseconds(100)
        $0.livenessTimeout = .milliseconds(500)
      }
      try await withListener(configuration) { _, _, port in
        let error = try await attachRaw(port: port, [.hello()])
        #expect(error?.code == .deadlineExceeded)
      }
    }

    @Test func aWorkerComesBackWhenTheControllerDoes() async throws {
      let port = try await withListener { _, _, port in port }
      let worker = try ControllerConnection(.test(port: port))
      let log = WorkerLog()
      try await running({ try await worker.run { log.append($0) } }) {
        let reason = try await log.disconnection()
        #expect(reason.contains("cannot attach to 127.0.0.1:\(port)"), "\(reason)")
        for round in 1...3 {
          try await withListener(.test(port: port)) { listener, controllerLog, _ in
            let id = try await controllerLog.attachedWorker()
            listener.send(.close(SessionID(UInt64(round))), to: id)
            _ = try await log.first("message of round \(round)") { event -> Bool? in
              if case .message(.close(SessionID(UInt64(round)))) = event { true } else { nil }
            }
          }
        }
      }
      let waits = log.all.compactMap { event -> Duration? in
        if case .disconnected(_, let wait) = event { wait } else { nil }
      }
      #expect(waits.count >= 3)
      #expect(waits.allSatisfy { $0 >= .milliseconds(50) && $0 <= .seconds(5) })
    }

    @Test func aLostConnectionIsReportedAsSuch() async throws {
      try await withListener { _, log, port in
        let proxy = try await FreezableProxy.start(to: port)
        let worker = ControllerConnection.Configuration.test(port: proxy.port) {
          $0.backoff.initial = .seconds(5)
        }
        try await withWorker(worker) { _, workerLog in
          _ = try await workerLog.welcome()
          let id = try await log.attachedWorker()
          try await proxy.stop()
          let reason = try await log.detachReason(of: id)
          #expect(reason.contains("lost"), "\(reason)")
          let workersReason = try await workerLog.disconnection()
          #expect(workersReason.contains("lost"), "\(workersReason)")
        }
      }
    }

    /// A worker that leaves in order is not one whose connection was lost, and it does not come back.
    @Test func aWorkerThatLeavesSaysSo() async throws {
      try await withListener { _, log, port in
        let worker = try ControllerConnection(.test(port: port))
        let workerLog = WorkerLog()
        try await running({ try await worker.run { workerLog.append($0) } }) {
          _ = try await workerLog.welcome()
          let id = try await log.attachedWorker()
          await worker.leave(reason: "it was drained")
          let reason = try await log.detachReason(of: id)
          #expect(reason == "the worker left: it was drained")
        }
        #expect(!workerLog.all.contains { if case .disconnected = $0 { true } else { false } })
      }
    }

    /// The wrong port is told apart from a broken connection.
    @Test func anHTTPServerIsNoController() async throws {
      let server = try await ServerBootstrap(group: MultiThreadedEventLoopGroup.singleton)
        .childChannelInitializer { channel in
          channel.eventLoop.makeCompletedFuture {
            try channel.pipeline.syncOperations.addHandler(AnswersHTTP())
          }
        }.bind(host: "127.0.0.1", port: 0).get()
      let port = try #require(server.localAddress?.port)
      try await withWorker(.test(port: port)) { _, log in
        let told = try await log.disconnection()
        #expect(told.contains("an HTTP server answers there, not a controller"), "\(told)")
        #expect(!told.contains(".swift"), "\(told)")
      }
      try await server.close()
      // The other way round: a client of the API at the workers' port.
      try await withListener { _, log, port in
        let client = try await ClientBootstrap(group: MultiThreadedEventLoopGroup.singleton)
          .connect(host: "127.0.0.1", port: port).get()
        try await client.writeAndFlush(ByteBuffer(string: "GET /v1/models HTTP/1.1\r\nHost: x\r\n\r\n"))
        let refusal = try await log.refusal()
        #expect(refusal.contains("spoke HTTP/1"), "\(refusal)")
        try? await client.close()
      }
    }

    @Test func theControllerCanDisconnectAWorker() async throws {
      try await withListener { listener, log, port in
        try await withWorker(.test(port: port)) { _, workerLog in
          let id = try await log.attachedWorker()
          listener.disconnect(id, reason: "maintenance")
          let observed2 = try await log.detachReason(of: id)
          #expect(observed2 == "maintenance")
          let observed3 = try await workerLog.disconnection()
          #expect(observed3.contains("maintenance"))
          // It is another attachment under another id when it comes back.
          let observed4 = try await log.attachedWorker(number: 2)
          #expect(observed4 != id)
          listener.send(.close(SessionID(1)), to: id)
          listener.disconnect(id, reason: "again")
        }
      }
    }

    @Test func aWorkerThatDoesNotReadIsGivenUp() async throws {
      let configuration = WorkerListener.Configuration.test {
        $0.pingInterval = .seconds(30)
        $0.livenessTimeout = .seconds(60)
      }
      try await withListener(configuration) { listener, log, port in
        let proxy = try await FreezableProxy.start(to: port)
        try await withWorker(.test(port: proxy.port)) { _, workerLog in
          _ = try await workerLog.welcome()
          let id = try await log.attachedWorker()
          try await proxy.freeze()
          let context = [TokenID](repeating: 999, count: 200_000)
          for session in 1...1000
          where !log.all.contains(where: { if case .detached = $0 { true } else { false } }) {
            listener.send(
              .open(SessionID(UInt64(session)), .init(context: context, sampling: .greedy)), to: id)
            try await Task.sleep(for: .milliseconds(1))
          }
          let observed5 = try await log.detachReason(of: id)
          #expect(observed5.contains("too slow"))
        }
        try await proxy.stop()
      }
    }

    @Test func aWorkerGivesUpAControllerThatDoesNotRead() async throws {
      let configuration = WorkerListener.Configuration.test {
        $0.pingInterval = .seconds(30)
        $0.livenessTimeout = .seconds(60)
      }
      try await withListener(configuration) { listener, log, port in
        let proxy = try await FreezableProxy.start(to: port)
        let worker = ControllerConnection.Configuration.test(port: proxy.port) {
          $0.backoff.initial = .seconds(5)
        }
        try await withWorker(worker) { worker, workerLog in
          _ = try await workerLog.welcome()
          try await proxy.freeze()
          let expansions = (1...100).map { node in
            WorkerMessage.expansion(SessionID(1), .test(node: RemoteNodeID(node), candidates: 64))
          }
          let isOver = { workerLog.all.contains { if case .disconnected = $0 { true } else { false } } }
          for _ in 1...5000 where !isOver() {
            worker.send(expansions)
            try await Task.sleep(for: .microseconds(200))
          }
          let observed6 = try await workerLog.disconnection()
          #expect(observed6.contains("too slow"))
        }
        try await proxy.stop()
      }
    }

    @Test func roundTripsAreMeasured() async throws {
      try await withListener(.test { $0.pingInterval = .milliseconds(20) }) { _, log, port in
        try await withWorker(.test(port: port)) { _, _ in
          let trips = try await log.roundTrips(atLeast: 10)
          #expect(trips.allSatisfy { $0 > .zero })
          #expect(trips.contains { $0 < .seconds(1) })
        }
      }
    }

    /// Waits until both sides have counted the same bytes, and no more come for a while.
    private func settledTraffic(
      _ listener: WorkerListener, _ id: WorkerID, _ worker: ControllerConnection
    ) async throws -> (received: Int, sent: Int) {
      var last = (received: -1, sent: -1)
      var since = ContinuousClock.now
      try await eventually("agreement on the bytes") {
        let now = listener.traffic(of: id)
        if now != last || worker.totalTraffic != (received: now.sent, sent: now.received) {
          last = now
          since = .now
        }
        return ContinuousClock.now - since > .milliseconds(100)
      }
      return last
    }

    @Test func bothSidesCountTheSameBytes() async throws {
      let configuration = WorkerListener.Configuration.test {
        $0.pingInterval = .seconds(30)
        $0.livenessTimeout = .seconds(60)
      }
      try await withListener(configuration) { listener, log, port in
        let id = try await withWorker(.test(port: port)) { worker, workerLog in
          _ = try await workerLog.welcome()
          let id = try await log.attachedWorker()
          // Handshake, ping and answer are over.
          _ = try await log.roundTrips(atLeast: 1)
          let before = try await settledTraffic(listener, id, worker)
          #expect(before.received > 100 && before.sent > 100)
          for node in 1...100 {
            worker.send(.expansion(SessionID(1), .test(node: RemoteNodeID(node))))
            listener.send(.commit(SessionID(1), .init(position: 40 + node, tokens: [1, 2, 3])), to: id)
            try await Task.sleep(for: .milliseconds(1))
          }
          try await eventually("end of the messages") {
            log.messages.count == 100 && workerLog.messages.count == 100
          }
          let after = try await settledTraffic(listener, id, worker)
          let expansions = after.received - before.received
          let commits = after.sent - before.sent
          // An expansion of 4 candidates has some 30 bytes, a commit 10, framing 14 each if it travels alone.
          #expect(expansions > 100 * 20 && expansions < 100 * 64, "\(expansions)")
          #expect(commits > 100 * 8 && commits < 100 * 40, "\(commits)")
          return id
        }
        _ = try await log.detachReason(of: id)
        #expect(listener.traffic(of: id).received > 0, "known after the worker has left")
        #expect(listener.totalTraffic.received >= listener.traffic(of: id).received)
        #expect(listener.traffic(of: WorkerID(77)) == (0, 0))
      }
    }

    @Test func cancellationIsPromptAndLeavesNothingBehind() async throws {
      func openFiles() -> Int {
        var count = 0
        for descriptor in Int32(0)..<1024 where fcntl(descriptor, F_GETFD) != -1 { count += 1 }
        return count
      }
      var baseline = 0
      // Of either side, when it is the first to end and when it is the second.
      var times: [String: [Duration]] = [:]
      for round in 1...12 {
        let listener = try WorkerListener(.test())
        let log = ListenerLog()
        let serving = Task { try await listener.run { log.append($0) } }
        let port = try await listener.boundPort
        let worker = try ControllerConnection(.test(port: port))
        let working = Task { try await worker.run { _ in } }
        let id = try await log.attachedWorker()
        listener.send(.open(SessionID(1), .init(context: [1, 2], sampling: .greedy)), to: id)
        // Either side first.
        let isControllerFirst = round.isMultiple(of: 2)
        let (first, second) = isControllerFirst ? (serving, working) : (working, serving)
        for (place, task) in [("first", first), ("second", second)] {
          let start = ContinuousClock.now
          task.cancel()
          try await task.value
          times["\(isControllerFirst) \(place)", default: []].append(ContinuousClock.now - start)
        }
        let observed7 = try await log.detachReason(of: id)
        #expect(observed7.isEmpty == false)
        if round == 4 { baseline = openFiles() }
      }
      // A busy machine makes some of them late, not all.
      #expect(times.count == 4 && times.values.allSatisfy { $0.min()! < .seconds(2) }, "\(times)")
      let allowed = baseline + 2
      try await eventually("end of the leaked descriptors: \(openFiles()) instead of \(allowed)") {
        openFiles() <= allowed
      }
    }

    @Test func aConnectionThatNeverWorksIsCancelledAtOnce() async throws {
      let port = try await withListener { _, _, port in port }
      for delay in [0, 30, 400] {
        var times: [Duration] = []
        for _ in 0..<3 {
          let worker = try ControllerConnection(.test(port: port))
          let task = Task { try await worker.run { _ in } }
          try await Task.sleep(for: .milliseconds(delay))
          let start = ContinuousClock.now
          task.cancel()
          try await task.value
          times.append(ContinuousClock.now - start)
        }
        #expect(times.min()! < .seconds(2), "\(times)")
      }
    }

    @Test func backoffGrowsIsBoundedAndStartsAfresh() {
      for seed: UInt64 in 0..<50 {
        var sequence = BackoffSequence(Backoff(seed: seed))
        var same = BackoffSequence(Backoff(seed: seed))
        var ceiling = Duration.milliseconds(100)
        for _ in 0..<12 {
          let wait = sequence.next(afterConnectionOf: .seconds(1))
          #expect(wait == same.next(afterConnectionOf: .seconds(1)))
          #expect(wait >= ceiling / 2 && wait <= ceiling, "seed \(seed): \(wait)")
          ceiling = min(.seconds(5), ceiling * 2)
        }
        #expect(sequence.next(afterConnectionOf: .seconds(11)) <= .milliseconds(100))
      }
    }
  }
}

/// Answers whatever comes as a server of HTTP/1 does that was sent something else.
private final class AnswersHTTP: ChannelInboundHandler {
  typealias InboundIn = ByteBuffer
  typealias OutboundOut = ByteBuffer

  func channelRead(context: ChannelHandlerContext, data: NIOAny) {
    let answer = "HTTP/1.1 400 Bad Request\r\ncontent-length: 0\r\nconnection: close\r\n\r\n"
    context.writeAndFlush(wrapOutboundOut(ByteBuffer(string: answer)), promise: nil)
    context.close(promise: nil)
  }
}
