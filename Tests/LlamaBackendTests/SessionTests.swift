import LlamaBackend
import ModelBackend
import Simulator
import SpeculationCore
import SpeculationTesting
import SplitMix
import Testing

@Suite(.enabled(if: TestModel.isAvailable, TestModel.absence), .serialized)
struct SessionTests {
  private static let prompts = ["The capital of France is", "def add(a, b):", "Water boils at"]

  @Test func sessionsInOnePassAreAsEachAlone() async throws {
    let engine = try await TestModel.shared()
    var generator = SplitMix64(seed: 8)
    var texts = try Self.prompts.map { try TestModel.tokens(engine, $0) }
    for step in 0..<4 {
      let drafts = texts.map { _ in generator.tree(5) }
      let requests = texts.indices.map { index in
        VerificationRequest(
          session: SessionID(UInt64(200 + index)), prefix: texts[index], draft: drafts[index],
          sampling: .greedy)
      }
      let pass = try await engine.verify(requests)
      #expect(pass.results.map(\.session) == requests.map(\.session))
      for index in texts.indices {
        let alone = try await engine.choices(220, texts[index], drafts[index])
        for (a, b) in zip(pass.results[index].choices, alone) {
          expectSame(a, b, "step \(step), session \(index)")
        }
        texts[index].append(alone[0].token)
      }
    }
    for session in UInt64(200)..<221 { await engine.release(SessionID(session)) }
  }

  @Test func callsFromSeveralTasksQueue() async throws {
    let engine = try await TestModel.shared()
    let texts = try Self.prompts.map { try TestModel.tokens(engine, $0) }
    let expected = try await engine.choices(250, texts[0])
    try await withThrowingTaskGroup(of: [TargetChoice].self) { group in
      for session in UInt64(251)..<255 { group.addTask { try await engine.choices(session, texts[0]) } }
      for try await choices in group { expectSame(choices[0], expected[0], "concurrent") }
    }
  }

  @Test func releaseFreesAll() async throws {
    let engine = try await TestModel.load()
    for session in UInt64(0)..<3 {
      _ = try await engine.choices(
        session, try TestModel.tokens(engine), DraftTree(tokens: [5, 6], parents: [-1, -1]))
    }
    for session in UInt64(0)..<4 { await engine.release(SessionID(session)) }
    // Texts as short as these are not kept for others.
    let usage = try await engine.cacheUsage()
    #expect(usage.used == 0 && usage.usedSequences == 0 && usage.sessions.isEmpty)
    #expect(try await engine.storedCells().isEmpty)
  }

  /// A prompt longer than a batch is evaluated in chunks, with the tree in the last one.
  @Test func longPromptsAreChunked() async throws {
    let engine = try await TestModel.load(contextLength: 700, sessions: 1)
    var generator = SplitMix64(seed: 2)
    let text = (0..<540).map { _ in TokenID(200 + Int.random(in: 0..<3000, using: &generator)) }
    let draft = DraftTree(tokens: [300, 301, 302], parents: [-1, -1, 0])
    let whole = try await engine.choices(1, text, draft)
    #expect(try await engine.storedCells() == (await engine.expectedCells()))
    await engine.discard(SessionID(1))
    // In pieces of another size, each extending what is cached.
    for length in [50, 90, 91] {
      _ = try await engine.choices(1, Array(text.prefix(length)))
      #expect(try await engine.cacheUsage().used == length)
    }
    #expect(whole.count == 4)
  }

  @Test func aFullContextSaysHowFull() async throws {
    let engine = try await TestModel.load(contextLength: 100, sessions: 1, treeNodes: 20)
    let text = [TokenID](repeating: 200, count: 101)
    let tooLong = await #expect(throws: ModelError.self) { try await engine.choices(1, text) }
    #expect(tooLong?.code == .contextFull)
    #expect(tooLong?.message.contains("101") == true && tooLong?.message.contains("100") == true)

    let capacity = try await engine.cacheUsage().capacity
    // Each text is another one, so that none has cells of another's.
    func full(_ session: UInt64) -> [TokenID] { [TokenID](repeating: TokenID(300 + session), count: 100) }
    for session in UInt64(0)..<UInt64(capacity / 100) { _ = try await engine.choices(session, full(session)) }
    let noRoom = await #expect(throws: ModelError.self) { try await engine.choices(99, full(99)) }
    #expect(noRoom?.code == .contextFull)
    #expect(noRoom?.message.contains("\(capacity)") == true)
    #expect(try await engine.storedCells() == (await engine.expectedCells()))
    // Room again after a release.
    await engine.release(SessionID(0))
    _ = try await engine.choices(99, full(99))
  }

  @Test func shutDownStopsAPass() async throws {
    let engine = try await TestModel.load(contextLength: 2000, sessions: 1)
    let text = (0..<1900).map { TokenID(200 + $0) }
    async let pass = engine.choices(1, text)
    try await Task.sleep(for: .milliseconds(100))
    engine.shutDown()
    do {
      _ = try await pass
      Issue.record("the pass was not stopped")
    } catch let error as ModelError {
      #expect(error.code == .cancelled)
    }
    await engine.release(SessionID(1))
  }
}
