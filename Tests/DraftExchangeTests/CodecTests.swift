import DraftExchange
import SpeculationCore
import SplitMix
import Testing

@Suite struct CodecTests {
  private static let vocabularySize = 150_000
  private static let worker = WorkerCodec(limits: ExchangeLimits(), vocabularySize: vocabularySize)
  private static let controller = ControllerCodec(limits: ExchangeLimits(), vocabularySize: vocabularySize)

  @Test func workerMessagesSurviveTheWire() throws {
    for seed: UInt64 in 0..<300 {
      var random = SplitMix64(seed: seed)
      let items = (0..<Int.random(in: 1...40, using: &random)).map { _ in random.workerItem() }
      let frames = Self.worker.frames(items)
      var received: [IncomingWorkerItem] = []
      for frame in frames {
        let bytes: [UInt8] = try frame.serializedBytes()
        received += try Self.worker.read(try Wanspec_V1_WorkerFrame(serializedBytes: bytes))
      }
      try #require(received.count == items.count, "seed \(seed)")
      for (sent, got) in zip(items, received) {
        #expect(Self.isSame(sent, got), "seed \(seed): \(sent) became \(got)")
      }
      // What has been through the wire once comes out of a second time unchanged.
      let again = received.map { item -> OutgoingWorkerItem in
        switch item {
        case .pong(let sequence): .pong(sequence)
        case .message(let message): .message(message)
        case .goodbye(let reason): .goodbye(reason)
        case .draining: .draining
        }
      }
      #expect(try Self.worker.frames(again).flatMap { try Self.worker.read($0) } == received, "seed \(seed)")
      let cost = items.reduce(0) { $0 + WorkerCodec.cost(of: $1) }
      let size = try frames.reduce(0) { $0 + (try $1.serializedBytes() as [UInt8]).count }
      #expect(size <= cost, "seed \(seed): the estimate is an upper bound")
    }
  }

  @Test func controllerMessagesSurviveTheWire() throws {
    for seed: UInt64 in 0..<300 {
      var random = SplitMix64(seed: seed)
      let items = (0..<Int.random(in: 1...40, using: &random)).map { _ in random.controllerItem() }
      for case .message(let message) in items { #expect(Self.controller.problem(with: message) == nil) }
      let frames = Self.controller.frames(items)
      var received: [ControllerItem] = []
      var size = 0
      for frame in frames {
        let bytes: [UInt8] = try frame.serializedBytes()
        size += bytes.count
        received += try Self.controller.read(try Wanspec_V1_ControllerFrame(serializedBytes: bytes))
      }
      #expect(received == items, "seed \(seed)")
      #expect(size <= items.reduce(0) { $0 + ControllerCodec.cost(of: $1) }, "seed \(seed)")
    }
  }

  /// Random bytes, and valid frames with random bytes changed, are read or refused; they never trap.
  @Test func damagedFramesAreReadOrRefused() throws {
    for seed: UInt64 in 0..<2000 {
      var random = SplitMix64(seed: seed)
      var bytes: [UInt8]
      if seed.isMultiple(of: 4) {
        bytes = (0..<Int.random(in: 0...60, using: &random)).map { _ in .random(in: 0...255, using: &random) }
      } else if seed.isMultiple(of: 2) {
        bytes = try Self.worker.frames((0..<5).map { _ in random.workerItem() })[0].serializedBytes()
      } else {
        bytes = try Self.controller.frames((0..<5).map { _ in random.controllerItem() })[0].serializedBytes()
      }
      for _ in 0..<3 where !bytes.isEmpty {
        bytes[Int.random(in: 0..<bytes.count, using: &random)] = .random(in: 0...255, using: &random)
      }
      if let frame = try? Wanspec_V1_WorkerFrame(serializedBytes: bytes) { _ = try? Self.worker.read(frame) }
      if let frame = try? Wanspec_V1_ControllerFrame(serializedBytes: bytes) {
        _ = try? Self.controller.read(frame)
      }
    }
  }

  /// An engine that went wrong must neither crash the worker nor reach the wire.
  @Test func valuesThatAreNoNumbersBecomeTheLeastTelling() throws {
    let expansion = Expansion(
      site: .root(position: 3), firstChild: 1,
      distribution: Distribution(
        entropy: .nan,
        candidates: [
          Candidate(token: 1, probability: .nan), Candidate(token: 2, probability: -.infinity),
          Candidate(token: 3, probability: -1), Candidate(token: 4, probability: 0),
          Candidate(token: 5, probability: .leastNonzeroMagnitude), Candidate(token: 6, probability: 2),
        ]), knownPosition: 3)
    let frames = Self.worker.frames([.message(.expansion(SessionID(1), expansion))])
    guard case .message(.expansion(_, let received)) = try Self.worker.read(frames[0])[0] else {
      Issue.record("no expansion")
      return
    }
    let probabilities = received.distribution.candidates.map(\.probability)
    #expect(probabilities[5] == 1)
    for index in [0, 1, 2, 3, 4] { #expect(probabilities[index] > 0 && probabilities[index] < 1e-27) }
    #expect(abs(received.distribution.entropy - 11.918) < 0.01, "as if nothing were known: ln(150000)")
  }

  /// One frame for what was ready together; ids that follow from each other cost nothing.
  @Test func expansionsOfOnePassTravelTogether() throws {
    var next: RemoteNodeID = 1000
    let items = (0..<8).map { index -> OutgoingWorkerItem in
      defer { next += 4 }
      return .message(
        .expansion(SessionID(7), .test(node: RemoteNodeID(900 + index), firstChild: next)))
    }
    let frames = Self.worker.frames(items)
    #expect(frames.count == 1)
    #expect(frames[0].expansions.count == 1)
    #expect(frames[0].expansions[0].expansions.dropFirst().allSatisfy { $0.firstChild == 0 })
  }

  private static func isSame(_ sent: OutgoingWorkerItem, _ received: IncomingWorkerItem) -> Bool {
    switch (sent, received) {
    case (.pong(let a), .pong(let b)): return a == b
    case (.goodbye(let a), .goodbye(let b)): return a == b
    case (.message(.declined(let a, let reasonA)), .message(.declined(let b, let reasonB))):
      return a == b && reasonA == reasonB
    case (.message(.expansion(let a, let sent)), .message(.expansion(let b, let received))):
      let candidates = zip(sent.distribution.candidates, received.distribution.candidates)
      return a == b && sent.site == received.site && sent.firstChild == received.firstChild
        && sent.knownPosition == received.knownPosition && sent.forgotten == received.forgotten
        && sent.distribution.candidates.count == received.distribution.candidates.count
        && abs(sent.distribution.entropy - received.distribution.entropy) <= 0.0005
        && candidates.allSatisfy {
          $0.token == $1.token && abs($0.probability - $1.probability) <= 0.0006 * $0.probability + 1e-27
        }
    default: return false
    }
  }
}

/// Random messages.
extension SplitMix64 {
  /// Small numbers as often as large ones.
  mutating func number(below limit: UInt64) -> UInt64 {
    let bits = UInt64.random(in: 0...63, using: &self)
    return (next() >> bits) % limit
  }

  mutating func token() -> TokenID { TokenID(number(below: 150_000)) }

  mutating func session() -> SessionID { SessionID(1 + number(below: .max - 1)) }

  mutating func workerItem() -> OutgoingWorkerItem {
    switch number(below: 12) {
    case 0: return .pong(next())
    case 1: return .message(.declined(session(), reason: "full: ünïcode"))
    case 2: return .goodbye("enough")
    default:
      var tokens: [TokenID] = []
      for _ in 0..<number(below: 65) {
        let token = token()
        if !tokens.contains(token) { tokens.append(token) }
      }
      // Together at most 1.
      let most = 1 / Float(max(1, tokens.count))
      let candidates = tokens.map { Candidate(token: $0, probability: .random(in: 0...most, using: &self)) }
      return .message(
        .expansion(
          // Often the same session as before, so that groups form.
          Bool.random(using: &self) ? SessionID(5) : session(),
          Expansion(
            site: Bool.random(using: &self)
              ? .root(position: Int(number(below: 1 << 20))) : .node(1 + number(below: 1 << 48)),
            firstChild: 1 + number(below: (1 << 48) - 64),
            distribution: Distribution(entropy: .random(in: 0...11.9, using: &self), candidates: candidates),
            knownPosition: Int(number(below: 3)),
            forgotten: Bool.random(using: &self)
              ? [] : Set((0...number(below: 9)).map { _ in 1 + number(below: 1 << 48) }).sorted())))
    }
  }

  mutating func adjustments() -> LogitAdjustments {
    let tokens = Set((0..<number(below: 40)).map { _ in token() }).sorted()
    return LogitAdjustments(
      promptLength: Int32(number(below: 1 << 20)), repetition: .random(in: 0.1...10, using: &self),
      presence: .random(in: -10...10, using: &self), frequency: .random(in: -10...10, using: &self),
      biases: tokens.map {
        LogitAdjustments.Bias(token: $0, value: .random(in: -1000...1000, using: &self))
      })
  }

  mutating func controllerItem() -> ControllerItem {
    switch number(below: 5) {
    case 0: return .ping(next())
    case 1:
      let context = (0...number(below: 300)).map { _ in token() }
      let sampling =
        Bool.random(using: &self)
        ? SamplingSettings.greedy
        : SamplingSettings(
          temperature: .random(in: 0...2, using: &self), topK: Int32(number(below: 100)),
          topP: .random(in: 0.01...1, using: &self), minP: .random(in: 0...1, using: &self), seed: next(),
          adjustments: Bool.random(using: &self) ? adjustments() : nil)
      let maxNodes = Bool.random(using: &self) ? nil : 16 + Int(number(below: 65521))
      return .message(.open(session(), .init(context: context, sampling: sampling, maxNodes: maxNodes)))
    case 2: return .message(.close(session()))
    default:
      let tokens = (0...number(below: 20)).map { _ in token() }
      let position = tokens.count + Int(number(below: 1 << 19))
      return .message(
        .commit(session(), .init(position: position, tokens: tokens, pause: Bool.random(using: &self))))
    }
  }
}
