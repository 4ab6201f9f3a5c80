import LlamaBackend
import ModelBackend
import Simulator
import SpeculationCore
import SplitMix
import Testing

/// A draft that reads ahead of what it is asked, guesses from excerpts, and keeps what it has read.
@Suite(.enabled(if: TestModel.isAvailable, TestModel.absence), .serialized)
struct ReadingTests {
  private static func text(_ count: Int, seed: UInt64) -> [TokenID] {
    var generator = SplitMix64(seed: seed)
    return (0..<count).map { _ in TokenID(200 + Int.random(in: 0..<3000, using: &generator)) }
  }

  private static func expectSame(_ a: Distribution, _ b: Distribution) {
    #expect(a == b)
  }

  /// - Returns: tokens that are cached then, and those that were evaluated
  private static func read(
    _ engine: LlamaEngine, _ id: UInt64, _ text: [TokenID], _ limit: Int
  ) async throws -> [Int] {
    let pass = try await engine.read(ReadingRequest(session: SessionID(id), tokens: text, limit: limit))
    return pass.results + [pass.tokens]
  }

  private static func expectSoundCache(_ engine: LlamaEngine) async throws {
    #expect(try await engine.storedCells() == engine.expectedCells())
    #expect(await engine.ledgerProblem() == nil)
  }

  @Test func readingInPiecesIsReadingAtOnce() async throws {
    let engine = try await TestModel.shared()
    let text = Self.text(101, seed: 1)
    #expect(try await Self.read(engine, 700, text, 0) == [0, 0])
    for end in [33, 66, 99] { #expect(try await Self.read(engine, 700, text, 33) == [end, 33]) }
    // The last token is left to the first guess.
    #expect(try await Self.read(engine, 700, text, 33) == [100, 1])
    #expect(try await Self.read(engine, 700, text, 33) == [100, 0])
    try await Self.expectSoundCache(engine)
    let pieces = try await engine.expansions(700, text, [[], [300]])
    await engine.discard(SessionID(700))
    let whole = try await engine.expansions(701, text, [[], [300]])
    await engine.discard(SessionID(701))
    for (a, b) in zip(pieces, whole) { Self.expectSame(a, b) }
  }

  /// The text goes on while it is read: what was read of it stays read.
  @Test func aTextMayGoOnWhileItIsRead() async throws {
    let engine = try await TestModel.shared()
    var text = Self.text(60, seed: 2)
    _ = try await Self.read(engine, 702, text, 40)
    text += [500, 501, 502]
    #expect(try await Self.read(engine, 702, text, 40) == [62, 22])
    let pass = try await engine.expand([
      ExpansionRequest(session: SessionID(702), prefix: text, path: [], sampling: .greedy, candidates: 4)
    ])
    #expect(pass.tokens == 1)
    await engine.discard(SessionID(702))
  }

  /// Nothing of the tokens that an excerpt leaves out reaches its guesses, and the change to the whole text leaves
  /// no cell behind.
  @Test func anExcerptIsASequenceOfItsOwn() async throws {
    let engine = try await TestModel.shared()
    let text = Self.text(120, seed: 3)
    let excerpt = Array(text[..<24] + text[104...])
    let before = try await engine.cacheUsage().used
    _ = try await Self.read(engine, 703, text, 60)
    let request = ExpansionRequest(
      session: SessionID(704), prefix: excerpt, path: [], sampling: .greedy, candidates: 4, skipped: 80)
    let guess = try await engine.expand([request]).results[0]
    let alone = try await engine.expansions(705, excerpt, [[]])[0]
    Self.expectSame(guess, alone)
    try await Self.expectSoundCache(engine)
    await engine.discard(SessionID(705))

    _ = try await Self.read(engine, 703, text, 60)
    await engine.discard(SessionID(704))
    #expect(try await engine.cacheUsage().used == before + 119)
    try await Self.expectSoundCache(engine)
    let whole = try await engine.expansions(703, text, [[]])[0]
    await engine.discard(SessionID(703))
    Self.expectSame(whole, try await engine.expansions(706, text, [[]])[0])
    await engine.discard(SessionID(706))
    #expect(try await engine.cacheUsage().used == before)
  }

  /// The noise that draft and target share is keyed by the place in the text, not in the excerpt.
  @Test func noiseIsThatOfTheWholeText() async throws {
    let engine = try await TestModel.shared()
    let excerpt = Self.text(40, seed: 4)
    let sampling = SamplingSettings(temperature: 1, seed: 9)
    func first(_ session: UInt64, skipped: Int) async throws -> [Candidate] {
      let request = ExpansionRequest(
        session: SessionID(session), prefix: excerpt, path: [], sampling: sampling, candidates: 4,
        skipped: skipped)
      let result = try await engine.expand([request]).results[0]
      await engine.discard(SessionID(session))
      return result.candidates
    }
    let skipped = try await first(707, skipped: 60)
    #expect(skipped.map(\.token) != (try await first(708, skipped: 0)).map(\.token))
    // A target that has read all of a text of the same end would choose by the noise of position 100.
    let logits = try await engine.choices(709, excerpt, sampling: sampling)
    await engine.discard(SessionID(709))
    #expect(logits[0].token == (try await first(710, skipped: 0)).first?.token)
  }

  /// A wide tree takes every sequence that there is, but not the texts that were read for earlier sessions.
  @Test func whatWasReadOutlivesItsSessionBesideAWideTree() async throws {
    let engine = try await TestModel.load(contextLength: 256, sessions: 2, sequences: 16)
    let first = Self.text(120, seed: 5)
    let second = Self.text(100, seed: 6)
    _ = try await Self.read(engine, 1, first, 1000)
    await engine.release(SessionID(1))
    var generator = SplitMix64(seed: 7)
    var text = second
    for _ in 0..<12 {
      let paths = (0..<8).map { _ in [generator.token(), TokenID(200 + generator.next() % 500)] }
      _ = try await engine.expansions(2, text, paths)
      text.append(generator.token())
    }
    #expect(try await Self.read(engine, 3, first + [77], 0) == [119, 0])
    try await Self.expectSoundCache(engine)
    await engine.release(SessionID(2))
    await engine.release(SessionID(3))
  }
}
