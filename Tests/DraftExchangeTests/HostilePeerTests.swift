import DraftExchange
import GRPCCore
import SpeculationCore
import Testing

extension ExchangeTests {
  @Suite struct HostilePeerTests {
    /// Frames of a worker that breaks one rule, and the field that the controller has to name.
    static let hostileWorkers: [(String, [Wanspec_V1_WorkerFrame])] = [
      ("hello is missing", [.expansion { _ in }]),
      ("hello is missing", [.init()]),
      ("hello came twice", [.hello(), .hello()]),
      (
        "hello is not alone",
        [
          .with {
            $0 = .hello(); $0.pong = .init()
          }
        ]
      ),
      ("hello.worker_name", [.hello { $0.workerName = "" }]),
      ("hello.worker_name", [.hello { $0.workerName = String(repeating: "x", count: 257) }]),
      ("hello.site contains control", [.hello { $0.site = "\u{1b}]0;pwned\u{7}" }]),
      ("hello.capacity is 0", [.hello { $0.capacity = 0 }]),
      ("hello.pass_width", [.hello { $0.passWidth = .max }]),
      ("hello.vocabulary.size", [.hello { $0.vocabulary.size = 0 }]),
      ("pong.sequence is 99", [.hello(), .with { $0.pong = .with { $0.sequence = 99 } }]),
      ("expansions[0].session is 0", [.hello(), .expansion { $0.session = 0 }]),
      ("expansions[0].known_position", [.hello(), .expansion { $0.knownPosition = 1 << 20 }]),
      ("expansions[0].expansions[0].node is 0", [.hello(), .expansion { $0.expansions[0].node = 0 }]),
      ("expansions[0].expansions[0].node", [.hello(), .expansion { $0.expansions[0].node = .max }]),
      (
        "expansions[0].expansions[0].site is missing", [.hello(), .expansion { $0.expansions[0].site = nil }]
      ),
      ("root_position", [.hello(), .expansion { $0.expansions[0].rootPosition = .max }]),
      ("first_child is 0", [.hello(), .expansion { $0.expansions[0].firstChild = 0 }]),
      ("first_child", [.hello(), .expansion { $0.expansions[0].firstChild = .max }]),
      ("forgotten[0] is 0 after node 0", [.hello(), .expansion { $0.expansions[0].forgotten = [0] }]),
      ("forgotten[1] is 0 after node 4", [.hello(), .expansion { $0.expansions[0].forgotten = [4, 0] }]),
      (
        "forgotten[1] is 18446744073709551615",
        [.hello(), .expansion { $0.expansions[0].forgotten = [1, .max] }]
      ),
      (
        "forgotten has 65537 entries",
        [.hello(), .expansion { $0.expansions[0].forgotten = Array(repeating: 1, count: 65537) }]
      ),
      ("entropy", [.hello(), .expansion { $0.expansions[0].entropy = 8 * 1024 }]),
      ("tokens[1] is 1000", [.hello(), .expansion { $0.expansions[0].tokens = [1, 1000] }]),
      ("tokens[0] is 4294967295", [.hello(), .expansion { $0.expansions[0].tokens = [.max, 1] }]),
      ("which is there twice", [.hello(), .expansion { $0.expansions[0].tokens = [3, 3] }]),
      ("surprisals has 1 entries", [.hello(), .expansion { $0.expansions[0].surprisals = [1] }]),
      ("surprisals[1] is 65537", [.hello(), .expansion { $0.expansions[0].surprisals = [1, 65537] }]),
      (
        "tokens has 65 entries",
        [
          .hello(),
          .expansion {
            $0.expansions[0].tokens = Array(0..<65)
            $0.expansions[0].surprisals = Array(repeating: 1, count: 65)
          },
        ]
      ),
      (
        "frame has 4097 entries",
        [.hello(), .with { $0.declined = Array(repeating: .with { $0.session = 1 }, count: 4097) }]
      ),
      ("declined[0].session is 0", [.hello(), .with { $0.declined = [.init()] }]),
      (
        "declined[0].reason",
        [
          .hello(),
          .with { frame in
            frame.declined = [
              .with {
                $0.session = 1
                $0.reason = String(repeating: "r", count: 1025)
              }
            ]
          },
        ]
      ),
    ]

    @Test func aWorkerThatBreaksARuleIsDisconnectedWithTheReason() async throws {
      try await withListener { _, log, port in
        for (field, frames) in Self.hostileWorkers {
          let error = try await attachRaw(port: port, frames)
          #expect(error?.code == .invalidArgument, "\(field): \(String(describing: error))")
          #expect(error?.message.contains(field) == true, "\(field): \(String(describing: error))")
        }
        #expect(log.messages.isEmpty, "nothing of a broken frame may reach the core")
        let ends = log.all.filter { event in
          switch event {
          case .detached(_, let reason), .refused(_, let reason): reason.contains("protocol violation")
          default: false
          }
        }
        #expect(ends.count == Self.hostileWorkers.count)
      }
    }

    /// A valid expansion ahead of a broken one in the same frame is not used either.
    @Test func aFrameIsUsedWholeOrNotAtAll() async throws {
      try await withListener { _, log, port in
        let frame = Wanspec_V1_WorkerFrame.with {
          $0 = .expansion { _ in }
          $0.expansions.append($0.expansions[0])
          $0.expansions[1].expansions[0].tokens = [5, 5]
        }
        let error = try await attachRaw(port: port, [.hello(), frame])
        #expect(error?.message.contains("expansions[1].expansions[0].tokens[1]") == true)
        #expect(log.messages.isEmpty)
      }
    }

    @Test func bytesThatAreNoProtobufAreAViolation() async throws {
      try await withListener { _, log, port in
        let hello = try Wanspec_V1_WorkerFrame.hello().serializedBytes() as [UInt8]
        for garbage: [UInt8] in [[0xff, 0xff, 0xff], [0x1a, 0x7f, 0x01], Array(repeating: 0x80, count: 40)] {
          let error = try await attachRaw(port: port, [hello, garbage])
          #expect(error?.code == .invalidArgument)
          let first = try await attachRaw(port: port, [garbage])
          #expect(first?.code == .invalidArgument)
        }
        #expect(log.messages.isEmpty)
      }
    }

    @Test func aHugeMessageEndsTheAttachment() async throws {
      try await withListener { listener, log, port in
        let hello = try Wanspec_V1_WorkerFrame.hello().serializedBytes() as [UInt8]
        let error = try await attachRaw(
          port: port, [hello, Array(repeating: 0, count: 3 << 20)], pause: .milliseconds(50))
        #expect(error != nil)
        let worker = try await log.attachedWorker()
        _ = try await log.detachReason(of: worker)
        #expect(log.messages.isEmpty)
        #expect(listener.traffic(of: worker).received < 3 << 20, "it need not be read to its end")
      }
    }

    @Test(arguments: [
      "GET / HTTP/1.1\r\nHost: x\r\n\r\n", "\u{0}\u{1}\u{2}\u{3}garbage that is longer than a preface is",
      "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n garbage after a preface, long enough to be taken for a frame",
    ])
    func garbageOnThePortClosesThatConnectionOnly(_ text: String) async throws {
      try await withListener { _, log, port in
        try await withWorker(.test(port: port)) { _, workerLog in
          _ = try await workerLog.welcome()
          _ = try await sendRaw(Array(text.utf8), toPort: port)
          let worker = try await log.attachedWorker()
          _ = try await log.first("round trip") { event -> Bool? in
            if case .roundTrip(worker, _) = event { true } else { nil }
          }
          #expect(!log.all.contains { if case .detached = $0 { true } else { false } })
        }
      }
    }

    @Test func whoSaysNothingIsShownTheDoor() async throws {
      // Time enough for a call to begin, which has to come before the silence.
      try await withListener(.test { $0.limits.handshakeTimeout = .seconds(2) }) { _, log, port in
        let silent = try await attachRaw(port: port, [] as [[UInt8]])
        #expect(silent?.code == .deadlineExceeded)
        let observed1 = try await log.refusal()
        #expect(observed1.contains("did not introduce itself"))
      }
      try await withListener(.test { $0.limits.handshakeTimeout = .milliseconds(300) }) { _, _, port in
        for text in ["", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"] {
          var times: [Duration] = []
          for _ in 0..<3 {
            let start = ContinuousClock.now
            _ = try await sendRaw(Array(text.utf8), toPort: port)
            times.append(ContinuousClock.now - start)
          }
          #expect(times.min()! < .seconds(3), "\(times)")
        }
      }
    }

    @Test func tooManyConnectionsAndWorkersAreTurnedAway() async throws {
      let configuration = WorkerListener.Configuration.test { $0.limits.maximumWorkers = 1 }
      try await withListener(configuration) { _, log, port in
        try await withWorker(.test(port: port)) { _, first in
          _ = try await first.welcome()
          try await withWorker(.test(port: port)) { _, second in
            let observed2 = try await second.disconnection()
            #expect(observed2.contains("limit of 1 workers"))
          }
        }
        // Its place is free again.
        _ = try await log.detachReason(of: WorkerID(1))
        try await withWorker(.test(port: port)) { _, third in _ = try await third.welcome() }
      }
      let few = WorkerListener.Configuration.test { $0.limits.maximumConnections = 1 }
      try await withListener(few) { _, _, port in
        try await withWorker(.test(port: port)) { _, first in
          _ = try await first.welcome()
          let answer = try await sendRaw([], toPort: port)
          #expect(answer.isEmpty)
        }
      }
    }

    /// Frames of a controller that breaks one rule, and the field that the worker has to name.
    static let hostileControllers: [(String, [Wanspec_V1_ControllerFrame])] = [
      ("welcome is missing", [.with { $0.closes = [1] }]),
      ("welcome came twice", [.welcome(), .welcome()]),
      ("welcome.worker_id", [.welcome { $0.workerID = 0 }]),
      ("welcome.ping_interval_ms", [.welcome { $0.pingIntervalMs = 0 }]),
      ("welcome.controller_name", [.welcome { $0.controllerName = "\u{7f}" }]),
      ("opens[0].context is empty", [.welcome(), .with { $0.opens = [.with { $0.session = 1 }] }]),
      ("opens[0].session", [.welcome(), .with { $0.opens = [.with { $0.context = [1] }] }]),
      ("opens[0].context[1] is 1000", [.welcome(), open { $0.context = [1, 1000] }]),
      ("temperature", [.welcome(), open { $0.sampling.temperature = .nan }]),
      ("top-p", [.welcome(), open { $0.sampling.topP = .infinity }]),
      ("min-p", [.welcome(), open { $0.sampling.minP = -1 }]),
      ("top_k", [.welcome(), open { $0.sampling.topK = .max }]),
      ("repetition", [.welcome(), open { $0.sampling.adjustments.presence = 1 }]),
      ("presence", [.welcome(), adjustments { $0.presence = .nan }]),
      ("frequency", [.welcome(), adjustments { $0.frequency = 11 }]),
      ("prompt_length", [.welcome(), adjustments { $0.promptLength = .max }]),
      (
        "biased_tokens[1] is 1000",
        [
          .welcome(),
          adjustments {
            $0.biasedTokens = [1, 1000]
            $0.biases = [1, 1]
          },
        ]
      ),
      ("biases has 0 entries for 1 biased", [.welcome(), adjustments { $0.biasedTokens = [1] }]),
      (
        "biased_tokens has 1025",
        [.welcome(), adjustments { $0.biasedTokens = Array(repeating: 1, count: 1025) }]
      ),
      (
        "ascending",
        [
          .welcome(),
          adjustments {
            $0.biasedTokens = [2, 1]
            $0.biases = [1, 1]
          },
        ]
      ),
      (
        "bias of token 1",
        [
          .welcome(),
          adjustments {
            $0.biasedTokens = [1]
            $0.biases = [.infinity]
          },
        ]
      ),
      ("commits[0].tokens is empty", [.welcome(), commit { $0.tokens = [] }]),
      ("commits[0].tokens has 3 entries", [.welcome(), commit { $0.position = 2 }]),
      ("commits[0].position", [.welcome(), commit { $0.position = .max }]),
      ("commits[0].tokens[2] is 4294967295", [.welcome(), commit { $0.tokens = [1, 2, .max] }]),
      (
        "commits[0].tokens has 4097",
        [
          .welcome(),
          commit {
            $0.tokens = Array(repeating: 1, count: 4097)
            $0.position = 5000
          },
        ]
      ),
      ("closes[0] is 0", [.welcome(), .with { $0.closes = [0] }]),
    ]

    private static func open(_ change: (inout Wanspec_V1_Open) -> Void) -> Wanspec_V1_ControllerFrame {
      .with { frame in
        frame.opens = [
          .with {
            $0.session = 1
            $0.context = [1]
            $0.sampling = .with { $0.topP = 1 }
            change(&$0)
          }
        ]
      }
    }

    private static func adjustments(
      _ change: (inout Wanspec_V1_Adjustments) -> Void
    ) -> Wanspec_V1_ControllerFrame {
      open {
        $0.sampling.adjustments = .with {
          $0.repetition = 1
          change(&$0)
        }
      }
    }

    private static func commit(_ change: (inout Wanspec_V1_Commit) -> Void) -> Wanspec_V1_ControllerFrame {
      .with { frame in
        frame.commits = [
          .with {
            $0.session = 1
            $0.position = 9
            $0.tokens = [1, 2, 3]
            change(&$0)
          }
        ]
      }
    }

    @Test func aControllerThatBreaksARuleIsLeftWithTheReason() async throws {
      for (field, frames) in Self.hostileControllers {
        let controller = RawController(frames: frames)
        try await controller.serving { port in
          try await withWorker(.test(port: port) { $0.backoff.initial = .seconds(5) }) { _, log in
            let reason = try await log.disconnection()
            #expect(reason.contains(field), "\(field): \(reason)")
            #expect(log.messages.isEmpty)
          }
          try await eventually("end of the attachment: \(field)") { controller.received.endings >= 1 }
          let goodbyes = controller.received.all.filter { $0.hasGoodbye }.map { $0.goodbye.reason }
          #expect(goodbyes.count == 1 && goodbyes[0].contains(field), "\(field): \(goodbyes)")
        }
      }
    }

    /// What the controller's own side would get wrong never leaves it; the core hears that there is no help.
    @Test func anUnfitMessageIsNotSent() async throws {
      try await withListener { listener, log, port in
        try await withWorker(.test(port: port)) { worker, workerLog in
          _ = try await workerLog.welcome()
          let id = try await log.attachedWorker()
          listener.send(.open(SessionID(1), .init(context: [1, 2000], sampling: .greedy)), to: id)
          listener.send(.open(SessionID(2), .init(context: [1], sampling: SamplingSettings(topP: 7))), to: id)
          listener.send(.open(SessionID(3), .init(context: [1], sampling: .greedy)), to: id)
          worker.send(.expansion(SessionID(4), .test(candidates: 65)))
          _ = try await workerLog.first("open") { event -> Bool? in
            if case .message(.open(SessionID(3), _)) = event { true } else { nil }
          }
          #expect(
            workerLog.messages == [
              .close(SessionID(1)), .close(SessionID(2)),
              .open(SessionID(3), .init(context: [1], sampling: .greedy)),
            ])
          for session in [1, 2, 4] {
            let reason = try await log.first("decline of \(session)") { event -> String? in
              if case .message(id, .declined(SessionID(UInt64(session)), let reason)) = event {
                reason
              } else {
                nil
              }
            }
            #expect(reason.contains("not sent"))
          }
        }
      }
    }
  }
}
