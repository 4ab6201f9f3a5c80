import LlamaBackend
import ModelBackend
import Simulator
import SpeculationCore
import SpeculationTesting
import SplitMix
import Testing

@Suite(.enabled(if: TestModel.isAvailable, TestModel.absence), .serialized)
struct VerificationTests {
  static let sampled = SamplingSettings(temperature: 0.8, topK: 40, topP: 0.95, minP: 0.02, seed: 99)

  /// Every node's choice equals that of decoding its path one token at a time, in another session.
  @Test(arguments: [SamplingSettings.greedy, sampled])
  func treesChooseAsPlainDecoding(sampling: SamplingSettings) async throws {
    let engine = try await TestModel.shared()
    for seed in UInt64(0)..<3 {
      var generator = SplitMix64(seed: seed)
      var text = try TestModel.tokens(engine)
      await engine.release(SessionID(1))
      for step in 0..<3 {
        let draft = generator.tree(6)
        let choices = try await engine.choices(1, text, draft, sampling: sampling)
        for (index, path) in ([[]] + draft.paths).enumerated() {
          let plain = try await engine.choices(2, text + path, sampling: sampling)
          expectSame(choices[index], plain[0], "seed \(seed), step \(step), path \(path)")
        }
        text += (draft.paths.randomElement(using: &generator) ?? []) + [choices[0].token]
      }
    }
  }

  /// The loop that a controller runs, with guesses that are partly right: the text is that of plain decoding.
  @Test(arguments: [SamplingSettings.greedy, sampled])
  func speculationKeepsTheText(sampling: SamplingSettings) async throws {
    let engine = try await TestModel.shared()
    let start = try TestModel.tokens(engine, "Once upon a time")
    var plain = start
    var plainChoices: [TargetChoice] = []
    while plainChoices.count < 24 {
      plainChoices.append(try await engine.choices(1, plain, sampling: sampling)[0])
      plain.append(plainChoices.last!.token)
    }
    var generator = SplitMix64(seed: 5)
    var text = start
    var passes = 0
    while text.count < plain.count {
      // A right path of up to 4 tokens, with wrong siblings.
      let right = Array(
        plain[text.count..<min(plain.count, text.count + Int.random(in: 0..<5, using: &generator))])
      var draft = DraftTree()
      for (depth, token) in right.enumerated() {
        let parent: Int32 = depth == 0 ? -1 : Int32(draft.tokens.count) - 1
        draft = DraftTree(
          tokens: draft.tokens + [generator.token(), token], parents: draft.parents + [parent, parent])
      }
      let choices = try await engine.choices(2, text, draft, sampling: sampling)
      passes += 1
      var at: Int32 = -1
      while true {
        let choice = choices[Int(at) + 1]
        let token = choice.token
        let index = text.count - start.count
        if index < plainChoices.count, token != plainChoices[index].token {
          // From here on the two write different texts.
          expectSame(choice, plainChoices[index], "token \(index)")
          return
        }
        text.append(token)
        let child = draft.tokens.indices.first { draft.parents[$0] == at && draft.tokens[$0] == token }
        guard let child else { break }
        at = Int32(child)
      }
    }
    #expect(Array(text.prefix(plain.count)) == plain)
    #expect(passes < 24)
  }

  @Test func duplicateSiblingsShareACell() async throws {
    let engine = try await TestModel.shared()
    let text = try TestModel.tokens(engine)
    let draft = DraftTree(tokens: [100, 100, 101, 101], parents: [-1, -1, 0, 1])
    let choices = try await engine.choices(1, text, draft)
    #expect(choices[1] == choices[2])
    #expect(choices[3] == choices[4])
    #expect(try await engine.cacheUsage().sessions[SessionID(1)] == text.count + 2)
  }

  @Test func expansionsAgreeWithPlainDecoding() async throws {
    let engine = try await TestModel.shared()
    let text = try TestModel.tokens(engine)
    var tree: [[TokenID]] = [[]]
    // Grow as a worker does: three passes, each expanding the children that the last one found.
    for _ in 0..<3 {
      let distributions = try await engine.expansions(1, text, tree, candidates: 2)
      var next: [[TokenID]] = []
      for (path, distribution) in zip(tree, distributions) {
        let plain = try await engine.choices(2, text + path)[0]
        let guess = TargetChoice(token: distribution.candidates[0].token, margin: plain.margin)
        expectSame(guess, plain, "path \(path)")
        #expect(distribution.entropy >= 0 && distribution.entropy < 11)
        #expect(distribution.candidates.count == 2)
        #expect(distribution.candidates[0].probability >= distribution.candidates[1].probability)
        next += distribution.candidates.map { path + [$0.token] }
      }
      tree = next
    }
    let again = try await engine.expansions(1, text, [[], tree[0], tree[0]], candidates: 2)
    #expect(again[1] == again[2])
  }

  @Test func invalidRequestsAreRefused() async throws {
    let engine = try await TestModel.shared()
    let text = try TestModel.tokens(engine)
    for (prefix, draft) in [
      ([], DraftTree()), ([-1], DraftTree()), ([TokenID(engine.model.vocabulary.size)], DraftTree()),
      (text, DraftTree(tokens: [5], parents: [0])), (text, DraftTree(tokens: [5], parents: [-2])),
      (text, DraftTree(tokens: [-5], parents: [-1])),
    ] {
      let error = await #expect(throws: ModelError.self) { try await engine.choices(1, prefix, draft) }
      #expect(error?.code == .invalidRequest)
    }
    let error = await #expect(throws: ModelError.self) {
      try await engine.choices(1, text, sampling: SamplingSettings(temperature: -1))
    }
    #expect(error?.code == .invalidRequest)
    _ = try await engine.choices(1, text)
  }
}
