import LlamaBackend
import ModelBackend
import Simulator
import SpeculationCore
import SpeculationTesting
import SplitMix
import Testing

/// Sessions that begin alike: what is taken over, that it is right, and that it is in nobody's way.
@Suite(.enabled(if: TestModel.isAvailable, TestModel.absence), .serialized)
struct PrefixSharingTests {
  private static func text(_ count: Int, seed: UInt64) -> [TokenID] {
    var generator = SplitMix64(seed: seed)
    return (0..<count).map { _ in TokenID(200 + Int.random(in: 0..<3000, using: &generator)) }
  }

  /// A conversation: prompt, answer, then another question below both, in a new session.
  @Test func aSecondTurnContinuesTheFirst() async throws {
    let engine = try await TestModel.shared()
    var text = try TestModel.tokens(engine, "Once upon a time, in a land of rivers and hills, there lived a")
    text += try TestModel.tokens(engine, " young fox who wanted to see the sea.")
    for _ in 0..<6 { text.append(try await engine.choices(300, text)[0].token) }
    _ = try await engine.choices(300, text, DraftTree(tokens: [100, 101], parents: [-1, -1]))
    await engine.release(SessionID(300))

    let question = text + (try TestModel.tokens(engine, " And what did the fox find there?"))
    let draft = DraftTree(tokens: [100, 101, 102], parents: [-1, -1, 0])
    let pass = try await engine.verify([.greedy(301, question, draft)])
    #expect(pass.results[0].reusedPrefix == text.count)
    #expect(pass.tokens == question.count - text.count + draft.count)
    await engine.discard(SessionID(301))
    let afresh = try await engine.verify([.greedy(302, question, draft)])
    #expect(afresh.results[0].reusedPrefix == 0)
    for (a, b) in zip(pass.results[0].choices, afresh.results[0].choices) { expectSame(a, b, "second turn") }
    await engine.discard(SessionID(302))
  }

  /// Two sessions below one prompt, both going on: neither sees what the other writes.
  @Test func sessionsDivergeBelowACommonPrompt() async throws {
    let engine = try await TestModel.shared()
    let prompt = Self.text(40, seed: 1)
    var texts = [prompt + [300], prompt + [400]]
    _ = try await engine.choices(310, texts[0])
    #expect(try await engine.verify([.greedy(311, texts[1])]).results[0].reusedPrefix == 40)
    var generator = SplitMix64(seed: 2)
    for step in 0..<3 {
      let drafts = texts.map { _ in generator.tree(4) }
      let pass = try await engine.verify(
        texts.indices.map { .greedy(310 + UInt64($0), texts[$0], drafts[$0]) })
      for index in texts.indices {
        // As a session that has nothing in common with any: its prompt is evaluated alone.
        let alone = try await Self.alone(texts[index], drafts[index])
        for (a, b) in zip(pass.results[index].choices, alone) {
          expectSame(a, b, "step \(step), text \(index)")
        }
        texts[index].append(alone[0].token)
      }
    }
    await engine.discard(SessionID(310))
    let left = try await engine.choices(311, texts[1])
    expectSame(left[0], try await Self.alone(texts[1], DraftTree())[0], "after the other has gone")
    await engine.discard(SessionID(311))
  }

  /// Computed by an engine that shares nothing.
  private static func alone(_ text: [TokenID], _ draft: DraftTree) async throws -> [TargetChoice] {
    let plain = try await plainEngine.value
    let result = try await plain.verify([.greedy(1, text, draft)])
    await plain.release(SessionID(1))
    #expect(result.results[0].reusedPrefix == 0)
    return result.results[0].choices
  }

  private static let plainEngine = Task {
    return try await TestModel.load(
      contextLength: 512, sessions: 1, sharesPrefixes: false)
  }

  /// Several samples of one prompt: those that come once it is read compute one token each.
  @Test func whatIsReadInPiecesIsTakenOver() async throws {
    let engine = try await TestModel.load()
    let prompt = Self.text(60, seed: 3)
    let requests = (UInt64(0)..<4).map { VerificationRequest.greedy($0, prompt) }
    let first = try await engine.verify([requests[0]], prefillBudget: 40)
    #expect(first.tokens == 40)
    #expect(first.results[0].choices.isEmpty)
    let second = try await engine.verify([requests[0]], prefillBudget: 40)
    #expect(second.tokens == 20)
    #expect(second.results[0].choices.count == 1)
    let third = try await engine.verify(requests.dropFirst().map { $0 }, prefillBudget: 40)
    #expect(third.tokens == 3)
    #expect(third.results.map(\.reusedPrefix) == [59, 59, 59])
    let usage = try await engine.cacheUsage()
    #expect(usage.used == 59 + 4)
    #expect(usage.sessions.values.allSatisfy { $0 == 60 })
    #expect(usage.reusedTokens == 177)
  }

  /// A stream goes on at every pass while a long prompt comes in beside it.
  @Test func aLongPromptDoesNotHoldUpAStream() async throws {
    let engine = try await TestModel.load()
    var text = Self.text(20, seed: 4)
    text.append(try await engine.choices(1, text)[0].token)
    let prompt = Self.text(300, seed: 5)
    var passes = 0
    while true {
      let pass = try await engine.verify([.greedy(2, prompt), .greedy(1, text)], prefillBudget: 64)
      passes += 1
      #expect(pass.tokens <= 64 + 2)
      text.append(try #require(pass.results[1].choices.first).token)
      if !pass.results[0].choices.isEmpty { break }
      #expect(try await engine.cacheUsage().sessions[SessionID(2)] == 64 * passes)
    }
    #expect(passes == 5)
  }

  /// A session that gave its room up goes on from its whole text.
  @Test func aReleasedSessionComesBack() async throws {
    let engine = try await TestModel.shared()
    let text = Self.text(50, seed: 6)
    let draft = DraftTree(tokens: [100, 101], parents: [-1, 0])
    let before = try await engine.choices(330, text, draft)
    await engine.release(SessionID(330))
    let kept = try await engine.verify([.greedy(330, text, draft)])
    #expect(kept.results[0].reusedPrefix == 49)
    let computed = try await Self.alone(text, draft)
    for index in before.indices {
      expectSame(kept.results[0].choices[index], before[index], "kept, node \(index)")
      expectSame(computed[index], before[index], "computed again, node \(index)")
    }
    #expect(try await engine.cacheUsage().sessions[SessionID(330)] == text.count + draft.count)
    await engine.discard(SessionID(330))
    // Nothing was left to take over: it was continued, not copied.
    #expect(try await engine.verify([.greedy(331, text)]).results[0].reusedPrefix == 0)
    await engine.discard(SessionID(331))
  }

  @Test func whatIsKeptNeverStandsInTheWay() async throws {
    let engine = try await TestModel.load(contextLength: 200, sessions: 2, cacheTokens: 512, sequences: 8)
    for session in UInt64(0)..<20 {
      _ = try await engine.choices(session, Self.text(90, seed: session))
      await engine.release(SessionID(session))
      let usage = try await engine.cacheUsage()
      #expect(usage.used <= usage.capacity && usage.retained == usage.used)
      #expect(usage.retainedSequences == min(Int(session) + 1, 5))
    }
    // All sequences for one tree, all cells for two sessions.
    let wide = DraftTree(tokens: (0..<8).map { 100 + $0 }, parents: Array(repeating: -1, count: 8))
    _ = try await engine.choices(100, Self.text(200, seed: 100), wide)
    #expect(try await engine.cacheUsage().retainedSequences == 0)
    _ = try await engine.choices(100, Self.text(200, seed: 100))
    _ = try await engine.choices(101, Self.text(200, seed: 101))
    #expect(try await engine.storedCells() == (await engine.expectedCells()))
  }

  @Test func sharingCanBeTurnedOff() async throws {
    let engine = try await TestModel.load(sharesPrefixes: false)
    let text = Self.text(40, seed: 7)
    for session in UInt64(0)..<2 {
      #expect(try await engine.verify([.greedy(session, text)]).results[0].reusedPrefix == 0)
    }
    #expect(try await engine.cacheUsage().used == 80)
    for session in UInt64(0)..<2 { await engine.release(SessionID(session)) }
    #expect(try await engine.cacheUsage().used == 0)
  }

  @Test func theCacheIsAsLargeAsAskedFor() async throws {
    let engine = try await TestModel.load(contextLength: 1000, sessions: 32, cacheTokens: 2048)
    #expect(engine.cacheCapacity == CacheCapacity(tokens: 2048, branches: 64, sharesPrefixes: true))
    #expect(try await engine.cacheUsage().capacity == 2048)
    // More sessions than full contexts.
    let requests = (UInt64(0)..<32).map { VerificationRequest.greedy($0, Self.text(12, seed: $0)) }
    #expect(try await engine.verify(requests).results.allSatisfy { $0.choices.count == 1 })
    let error = await #expect(throws: ModelError.self) {
      try await TestModel.load(contextLength: 1000, cacheTokens: 999)
    }
    #expect(error?.message.contains("999") == true && error?.message.contains("1000") == true)
  }

  /// More rows of logits than a decode returns, and more tokens than a batch holds.
  @Test func manySessionsWithTreesAreAsEachAlone() async throws {
    let engine = try await TestModel.load(
      contextLength: 128, cacheTokens: 2048, sequences: 128)
    var generator = SplitMix64(seed: 9)
    let requests = (UInt64(0)..<32).map {
      VerificationRequest.greedy($0, Self.text(14, seed: 50 + $0), generator.tree(4))
    }
    let pass = try await engine.verify(requests)
    #expect(pass.tokens > 512)
    #expect(try await engine.storedCells() == (await engine.expectedCells()))
    for index in stride(from: 0, to: 32, by: 4) {
      let alone = try await Self.alone(requests[index].prefix, requests[index].draft)
      #expect(pass.results[index].choices.count == 5)
      for (a, b) in zip(pass.results[index].choices, alone) { expectSame(a, b, "session \(index)") }
    }
  }
}
