import DraftExchange
import GRPCCore
import SpeculationCore
import Testing

extension ExchangeTests {
  @Suite struct ConductTests {
    @Test func aWorkerWithNothingToSayShowsThatItIsThere() async throws {
      let controller = RawController(frames: [.welcome { $0.pingIntervalMs = 100 }])
      try await controller.serving { port in
        let start = ContinuousClock.now
        try await withWorker(.test(port: port)) { _, workerLog in
          _ = try await workerLog.welcome()
          func signs() -> Int { controller.received.all.count { $0 == Wanspec_V1_WorkerFrame() } }
          try await eventually("tenth sign of life") { signs() >= 10 }
          // One in each interval and no more.
          let count = signs()
          let intervals = (ContinuousClock.now - start) / .milliseconds(100)
          #expect(Double(count) <= intervals + 1)
        }
      }
    }

    @Test func aWorkerThatSendsButNeverAnswersPingsIsDisconnected() async throws {
      let configuration = WorkerListener.Configuration.test {
        $0.pingInterval = .milliseconds(50)
        $0.limits.maximumUnansweredPings = 5
      }
      try await withListener(configuration) { _, log, port in
        let hello = try Wanspec_V1_WorkerFrame.hello().serializedBytes() as [UInt8]
        let signs = [[UInt8]](repeating: [], count: 40)
        let error = try await attachRaw(port: port, [hello] + signs, pause: .milliseconds(20))
        #expect(error != nil)
        let worker = try await log.attachedWorker()
        let reason = try await log.detachReason(of: worker)
        #expect(reason == "left 5 pings unanswered")
      }
    }

    @Test func aControllerThatIsGivenUpIsToldWhy() async throws {
      let controller = RawController(frames: [.welcome()])
      try await controller.serving { port in
        let configuration = ControllerConnection.Configuration.test(port: port) {
          $0.backoff.initial = .seconds(5)
        }
        try await withWorker(configuration) { worker, workerLog in
          _ = try await workerLog.welcome()
          worker.reconnect(reason: "a commit too many")
          let reason = try await workerLog.disconnection()
          #expect(reason == "a commit too many")
        }
        try await eventually("end of the attachment") { controller.received.endings >= 1 }
        let goodbyes = controller.received.all.filter { $0.hasGoodbye }.map { $0.goodbye.reason }
        #expect(goodbyes == ["a commit too many"])
      }
    }

    @Test func theLimitsOfTheWelcomeAreHonoured() async throws {
      let controller = RawController(
        frames: [
          .welcome {
            $0.maximumCandidates = 2
            $0.maximumContext = 30
          }
        ])
      try await controller.serving { port in
        try await withWorker(.test(port: port)) { worker, workerLog in
          _ = try await workerLog.welcome()
          var fitting = Expansion.test(candidates: 2)
          fitting.knownPosition = 29
          worker.send(.expansion(SessionID(1), fitting))
          worker.send(.expansion(SessionID(2), .test(candidates: 2)))
          fitting = .test(candidates: 3)
          fitting.knownPosition = 29
          worker.send(.expansion(SessionID(3), fitting))
          try await eventually("second decline") {
            controller.received.all.reduce(0) { $0 + $1.declined.count } >= 2
          }
          let frames = controller.received.all
          #expect(frames.flatMap(\.expansions).map(\.session) == [1])
          let declined = frames.flatMap(\.declined)
          #expect(declined.map(\.session) == [2, 3])
          #expect(declined.first?.reason.contains("positions are below 30") == true, "\(declined)")
          #expect(declined.last?.reason.contains("at most 2 are allowed") == true, "\(declined)")
        }
      }
    }

    @Test func probabilitiesThatAddUpToTooMuchAreRefusedWithTheirFrame() async throws {
      try await withListener { _, log, port in
        let frame = Wanspec_V1_WorkerFrame.expansion {
          $0.expansions[0].surprisals = [1000, 2000]
          $0.expansions.append($0.expansions[0])
          $0.expansions[1].firstChild = 0
          $0.expansions[1].surprisals = [10, 20]
        }
        let error = try await attachRaw(port: port, [.hello(), frame])
        #expect(error?.code == .invalidArgument)
        #expect(error?.message.contains("expansions[1].surprisals are probabilities that add up to") == true)
        #expect(log.messages.isEmpty)
      }
    }

    @Test func namesOfModelsAreMadeToFit() async throws {
      let wild = "a\u{1b}[2J\n" + String(repeating: "é", count: 300)
      let listener = WorkerListener.Configuration.test {
        $0.controllerName = wild
        $0.modelName = wild
        $0.modelSummary = wild
      }
      try await withListener(listener) { _, log, port in
        let configuration = ControllerConnection.Configuration.test(port: port) {
          $0.introduction.modelName = wild
          $0.introduction.modelSummary = wild
        }
        try await withWorker(configuration) { _, workerLog in
          let welcome = try await workerLog.welcome()
          let introduction = try await log.first("attachment") {
            if case .attached(_, let introduction) = $0 { introduction } else { nil }
          }
          let names = [
            welcome.name, welcome.modelName, welcome.modelSummary, introduction.modelName,
            introduction.modelSummary,
          ]
          for name in names {
            #expect(name.hasPrefix("a [2J é") && name.hasSuffix("é"))
            #expect(name.utf8.count <= 256 && name.utf8.count > 250)
          }
        }
      }
    }

    @Test func workersWaitDifferently() {
      let seeds = (0..<4).map { _ in ControllerConnection.Configuration.test(port: 1).backoff.seed }
      #expect(Set(seeds).count == 4)
    }

    @Test func plaintextIsAllowedOnLoopback() throws {
      let own = [
        "127.0.0.1", "127.255.0.3", "::1", "0::1", "0:0:0:0:0:0:0:1", "::ffff:127.0.0.1", "localhost",
        "LOCALHOST",
      ]
      for host in own {
        _ = try ControllerConnection(.test(port: 1) { $0.host = host })
      }
    }
  }
}
