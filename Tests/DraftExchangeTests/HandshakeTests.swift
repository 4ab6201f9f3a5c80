import DraftExchange
import GRPCCore
import GRPCNIOTransportHTTP2
import SpeculationCore
import Testing

extension ExchangeTests {
  @Suite struct HandshakeTests {
    @Test func bothSidesLearnWhoTheOtherIs() async throws {
      try await withListener { listener, controllerLog, port in
        try await withWorker(.test(port: port)) { worker, workerLog in
          let welcome = try await workerLog.welcome()
          #expect(welcome.name == "controller")
          #expect(welcome.modelName == "target-model")
          #expect(welcome.pingInterval == .milliseconds(500))
          #expect(welcome.livenessTimeout == .seconds(3))
          let introduction = try await controllerLog.first("attachment") {
            if case .attached(_, let introduction) = $0 { introduction } else { nil }
          }
          #expect(
            introduction
              == ControllerConnection.Configuration.test(port: port).introduction)
        }
      }
    }

    @Test func messagesArriveInOrderBothWays() async throws {
      try await withListener { listener, controllerLog, port in
        try await withWorker(.test(port: port)) { worker, workerLog in
          _ = try await workerLog.welcome()
          let id = try await controllerLog.attachedWorker()
          var sent: [ControllerMessage] = [
            .open(
              SessionID(1), .init(context: [1, 2, 3], sampling: SamplingSettings(temperature: 0.7, seed: 9)))
          ]
          for step in 1...200 {
            sent.append(.commit(SessionID(1), .init(position: 2 + step, tokens: [TokenID(step)])))
          }
          // Not session 1: what waits to be sent for a session is dropped when it is closed.
          sent.append(.close(SessionID(4)))
          sent.append(.open(SessionID(2), .init(context: [5], sampling: .greedy)))
          for message in sent { listener.send(message, to: id) }
          for node in 1...200 { worker.send(.expansion(SessionID(1), .test(node: RemoteNodeID(node)))) }
          worker.send(.declined(SessionID(2), reason: "full"))
          worker.send(.expansion(SessionID(3), .test()))
          _ = try await workerLog.first("last message") { event -> Bool? in
            if case .message(.open(SessionID(2), _)) = event { true } else { nil }
          }
          #expect(workerLog.messages == sent)
          _ = try await controllerLog.first("last message") { event -> Bool? in
            if case .message(_, .expansion(SessionID(3), _)) = event { true } else { nil }
          }
          #expect(controllerLog.messages.count == 202)
          let nodes = controllerLog.messages.compactMap { message -> ExpansionSite? in
            if case .expansion(SessionID(1), let expansion) = message { expansion.site } else { nil }
          }
          #expect(nodes == (1...200).map { .node(RemoteNodeID($0)) })
        }
      }
    }

    @Test func aVocabularyMismatchIsRefusedNamingBothModels() async throws {
      try await withListener { _, controllerLog, port in
        for vocabulary in [
          PeerVocabulary(size: 999, tokensHash: "aa", specialTokensHash: "bb"),
          PeerVocabulary(size: 1000, tokensHash: "ax", specialTokensHash: "bb"),
          PeerVocabulary(size: 1000, tokensHash: "aa", specialTokensHash: "bx"),
        ] {
          let worker = try ControllerConnection(.test(port: port) { $0.vocabulary = vocabulary })
          let error = await #expect(throws: ExchangeError.self) { try await worker.run { _ in } }
          let message = try #require(error).message
          #expect(error?.code == .refused)
          #expect(message.contains("target-model") && message.contains("draft-model"), "\(message)")
          #expect(message.contains("vocabulary mismatch"))
        }
        let observed1 = try await controllerLog.refusal()
        #expect(observed1.contains("draft-model"))
      }
    }

    @Test func anotherMajorVersionIsRefusedNamingBoth() async throws {
      try await withListener { _, controllerLog, port in
        let error = try await attachRaw(port: port, [.hello { $0.protocolMajor = 2 }])
        #expect(error?.code == .failedPrecondition)
        let message = try #require(error).message
        #expect(message.contains("\(ProtocolVersion.current)") && message.contains("2.0"), "\(message)")
        let observed2 = try await controllerLog.refusal()
        #expect(observed2 == message)
      }
    }

    @Test func aLaterMinorVersionAndUnknownFieldsAreAccepted() async throws {
      try await withListener { _, controllerLog, port in
        let hello = try Wanspec_V1_WorkerFrame.hello { $0.protocolMinor = 7 }.serializedBytes() as [UInt8]
        let unknownField: [UInt8] = [0xfa, 0x01, 0x03, 1, 2, 3]  // field 31, three bytes
        let goodbye =
          try Wanspec_V1_WorkerFrame.with { $0.goodbye = .with { $0.reason = "enough" } }
          .serializedBytes() as [UInt8]
        let error = try await attachRaw(port: port, [hello + unknownField, unknownField, goodbye])
        #expect(error == nil)
        let worker = try await controllerLog.attachedWorker()
        let observed3 = try await controllerLog.detachReason(of: worker)
        #expect(observed3 == "the worker left: enough")
      }
    }

    @Test func aWorkerRefusesAnUnfitController() async throws {
      let unfit: [(Wanspec_V1_ControllerFrame, [String])] = [
        (.welcome { $0.protocolMajor = 9 }, ["version", "9.0", "\(ProtocolVersion.current)"]),
        (.welcome { $0.vocabulary.tokens = "zz" }, ["vocabulary", "target-model", "draft-model"]),
      ]
      for (welcome, words) in unfit {
        try await RawController(frames: [welcome]).serving { port in
          let worker = try ControllerConnection(.test(port: port))
          let error = await #expect(throws: ExchangeError.self) { try await worker.run { _ in } }
          let message = try #require(error).message
          #expect(words.allSatisfy { message.contains($0) }, "\(message)")
        }
      }
    }

    @Test func aServerOfAnotherServiceIsNoController() async throws {
      let transport = HTTP2ServerTransport.Posix(
        address: .ipv4(host: "127.0.0.1", port: 0), transportSecurity: .plaintext)
      let server = GRPCServer(transport: transport, services: [])
      try await running({ try? await server.serve() }) {
        let port = try #require(try await transport.listeningAddress.ipv4?.port)
        let worker = try ControllerConnection(.test(port: port))
        let error = await #expect(throws: ExchangeError.self) { try await worker.run { _ in } }
        #expect(try #require(error).message.contains("no wanspec controller"))
      }
    }

    @Test func plaintextStaysOnLoopback() throws {
      for host in ["0.0.0.0", "192.0.2.7", "::"] {
        let listener = #expect(throws: ExchangeError.self) {
          try WorkerListener(.test { $0.host = host })
        }
        #expect(listener?.code == .insecure)
        #expect(listener?.message.contains("--insecure") == true)
        _ = try WorkerListener(
          .test {
            $0.host = host
            $0.allowInsecure = true
          })
      }
      for host in ["192.0.2.7", "controller.example", "2001:db8::1"] {
        let worker = #expect(throws: ExchangeError.self) {
          try ControllerConnection(.test(port: 1) { $0.host = host })
        }
        #expect(worker?.code == .insecure)
      }
      for host in ["127.0.0.1", "127.3.2.1", "localhost", "::1", "[::1]"] {
        _ = try WorkerListener(.test { $0.host = host })
        _ = try ControllerConnection(.test(port: 1) { $0.host = host })
      }
    }

    @Test func settingsThatMakeNoSenseAreRefused() throws {
      let listeners: [(inout WorkerListener.Configuration) -> Void] = [
        { $0.port = -1 }, { $0.port = 65536 }, { $0.host = "" }, { $0.host = "not-an-address" },
        { $0.pingInterval = .zero }, { $0.livenessTimeout = .milliseconds(1) }, { $0.vocabulary.size = 0 },
        { $0.limits.maximumCandidates = 0 },
      ]
      for change in listeners {
        let error = #expect(throws: ExchangeError.self) { try WorkerListener(.test(change)) }
        #expect(error?.code == .invalidConfiguration)
      }
      let workers: [(inout ControllerConnection.Configuration) -> Void] = [
        { $0.port = 0 }, { $0.introduction.name = "" }, { $0.introduction.name = "a\u{1b}[2J" },
        { $0.introduction.capacity = 0 }, { $0.introduction.passWidth = 1 << 20 },
        { $0.backoff.initial = .zero },
        { $0.introduction.site = String(repeating: "x", count: 300) },
      ]
      for change in workers {
        let error = #expect(throws: ExchangeError.self) { try ControllerConnection(.test(port: 1, change)) }
        #expect(error?.code == .invalidConfiguration)
      }
    }

    @Test func aTakenPortIsACleanError() async throws {
      try await withListener { _, _, port in
        let second = try WorkerListener(.test(port: port))
        let error = await #expect(throws: ExchangeError.self) { try await second.run { _ in } }
        #expect(error?.code == .cannotListen)
        #expect(try #require(error).message.contains(":\(port)"))
        await #expect(throws: ExchangeError.self) { try await second.boundPort }
      }
    }
  }
}
