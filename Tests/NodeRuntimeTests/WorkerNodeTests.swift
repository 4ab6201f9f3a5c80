import ModelBackend
import NodeRuntime
import Simulator
import SpeculationCore
import SpeculationTesting
import Testing

/// A draft model that reads and remembers what it was asked.
private actor ReadingDraft: DraftModel {
  enum Call: Equatable {
    case guess(SessionID, prefix: Int, skipped: Int)
    case read(SessionID, cached: Int)
    case release(SessionID)
    case discard(SessionID)
  }

  nonisolated let model: ModelDescription
  private let script = ScriptedModel(seed: 5, vocabularySize: 40, endProbability: 0, agreement: 0.8)
  private var read: [SessionID: Int] = [:]
  private(set) var calls: [Call] = []

  init() { model = .scripted(script) }

  func expand(_ requests: [ExpansionRequest]) throws -> PassResult<Distribution> {
    for request in requests {
      calls.append(.guess(request.session, prefix: request.prefix.count, skipped: request.skipped))
      read[request.session] = request.prefix.count
    }
    let results = requests.map {
      script.distribution(
        prefix: $0.prefix, path: $0.path, sampling: $0.sampling, candidates: $0.candidates)
    }
    return PassResult(results: results, duration: .milliseconds(20), tokens: requests.count)
  }

  func read(_ request: ReadingRequest) throws -> PassResult<Int> {
    let before = read[request.session, default: 0]
    let after = max(before, min(before + request.limit, request.tokens.count - 1))
    read[request.session] = after
    calls.append(.read(request.session, cached: after))
    return PassResult(
      results: [after], duration: .milliseconds(10 * (after - before)), tokens: after - before)
  }

  func release(_ session: SessionID) { calls.append(.release(session)) }
  func discard(_ session: SessionID) { calls.append(.discard(session)) }

  nonisolated var capabilities: EngineCapabilities { ScriptedDraft(script).capabilities }
  nonisolated var tokenizer: any Tokenizer { ScriptedTokenizer(vocabularySize: script.vocabularySize) }
  func measureCosts(maxBatch: Int, budget: Duration, contextLength: Int) -> [Int: Duration] { [:] }
  nonisolated func shutDown() {}
  func settle() {}
}

struct WorkerNodeTests {
  /// From the first message to the last: a guess from the excerpt, then reading and guessing in turn, then guesses
  /// from all of it; the excerpt is forgotten, the text is left for who comes later.
  @Test func aLongContextIsGuessedFromAtOnce() async throws {
    let draft = ReadingDraft()
    let (stream, messages) = AsyncStream<WorkerMessage>.makeStream()
    let node = WorkerNode(
      draft: draft,
      configuration: .init(
        limits: DraftLimits(
          passWidth: 1, candidates: 1, minProbability: 0, minPathProbability: 0, maxDepth: 64),
        contextLength: 1024, readingCost: .milliseconds(10)),
      cost: CostCurve(measured: [1: .milliseconds(20)]),
      send: { _, batch in for message in batch { messages.yield(message) } })
    let session = SessionID(1)
    try await node.handle(
      .open(session, .init(context: (0..<500).map { TokenID($0 % 40) }, sampling: .greedy)))
    var expansions = 0
    for await message in stream {
      guard case .expansion(session, _) = message else { continue }
      expansions += 1
      if await draft.calls.contains(.guess(session, prefix: 500, skipped: 0)) || expansions == 64 { break }
    }
    try await node.handle(.close(session))
    await node.waitUntilIdle()
    let deadline = ContinuousClock.now + .seconds(10)
    while await !draft.calls.contains(.release(session)), .now < deadline {
      try await Task.sleep(for: .milliseconds(1))
    }
    let calls = await draft.calls
    #expect(calls.first == .read(session, cached: 0))
    guard case .guess(let excerpt, prefix: 25, skipped: 475)? = calls.dropFirst().first else {
      Issue.record("\(calls.prefix(3))")
      return
    }
    #expect(excerpt != session)
    #expect(calls.contains(.read(session, cached: 16)))
    #expect(calls.contains(.guess(session, prefix: 500, skipped: 0)))
    #expect(calls.contains(.discard(excerpt)) && calls.contains(.release(session)))
  }

  @Test func aLeavingWorkerTakesNoMoreSessions() async throws {
    let (stream, messages) = AsyncStream<(Int, WorkerMessage)>.makeStream()
    let node = WorkerNode(
      draft: ReadingDraft(), configuration: .init(contextLength: 1024),
      send: { controller, batch in for message in batch { messages.yield((controller, message)) } })
    await node.drain()
    try await node.handle(.open(SessionID(7), .init(context: [1], sampling: .greedy)), from: 3)
    var iterator = stream.makeAsyncIterator()
    let first = await iterator.next()
    #expect(first?.0 == 3)
    #expect(first?.1 == .declined(SessionID(7), reason: "the worker is about to leave"))
    #expect(await node.sessionCount == 0)
  }

  /// Two controllers use the same ids; one of them goes.
  @Test func sessionsOfControllersAreTheirOwn() async throws {
    let node = WorkerNode(
      draft: ReadingDraft(), configuration: .init(contextLength: 1024), send: { _, _ in })
    for controller in 0...1 {
      try await node.handle(.open(SessionID(1), .init(context: [1], sampling: .greedy)), from: controller)
    }
    #expect(await node.sessionCount == 2)
    await node.disconnected(from: 0)
    #expect(await node.sessionCount == 1)
    try await node.handle(.commit(SessionID(1), .init(position: 1, tokens: [5])), from: 1)
    await #expect(throws: ProtocolViolation.self) {
      try await node.handle(.close(SessionID(1 << 56)), from: 1)
    }
    try await node.handle(.close(SessionID(1)), from: 1)
    await node.waitUntilIdle()
  }
}
