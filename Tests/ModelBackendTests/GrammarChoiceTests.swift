import ConstrainedDecoding
import ModelBackend
import Simulator
import SpeculationCore
import SpeculationTesting
import SplitMix
import Testing

@Suite struct GrammarChoiceTests {
  /// Choices under a grammar: as without where that is allowed, else the best that is; on paths that the grammar
  /// forbids nothing breaks.
  @Test(arguments: [
    SamplingSettings.greedy, SamplingSettings(temperature: 0.9, topK: 30, topP: 0.9, seed: 5),
  ])
  func choicesFollowTheGrammar(sampling: SamplingSettings) throws {
    let words = ["tr", "true", "fals", "e", " true", "null"]
    let vocabulary = ByteVocabulary(words: words)
    let session = try vocabulary.session("root ::= \" \"? (\"true\" | \"false\") \"!\"", promptLength: 1)
    try forEachSeed(count: 30) { seed in
      var random = SplitMix64(seed: seed)
      var text: [TokenID] = [77]
      while text.last != ByteVocabulary.endToken, text.count < 12 {
        let draft = DraftTree(tokens: [256, 259, 7, 0, 261], parents: [-1, 0, -1, -1, 3])
        let request = VerificationRequest(
          session: SessionID(1), prefix: text, draft: draft, sampling: sampling,
          grammar: session.grammar)
        let chooser = TreeChooser(request, scratch: LogitScratch(), grammar: session)
        let state = try #require(session.state(after: text))
        var chosen: TokenID = -1
        for node in -1..<5 {
          let logits = random.logits(256 + words.count, spread: 2)
          let (choice, free) = try logits.withUnsafeBufferPointer {
            (
              try chooser.choose(after: node, position: text.count, logits: $0),
              try TokenChooser.choose($0, settings: sampling, position: text.count)
            )
          }
          guard node == -1 else { continue }
          chosen = choice.token
          #expect(session.allows(chosen, in: state))
          if session.allows(free.token, in: state) { #expect(choice == free) }
          if sampling.isGreedy {
            let best = logits.indices.filter { session.allows(TokenID($0), in: state) }.max {
              logits[$0] < logits[$1]
            }
            #expect(best.map { TokenID($0) } == chosen)
          }
        }
        text.append(chosen)
      }
      #expect(text.last == ByteVocabulary.endToken, "seed \(seed): \(text)")
    }
  }

  @Test func aDeadEndEndsTheText() throws {
    // No token has the bytes that the grammar wants.
    let tokens = TokenBytes(vocabularySize: 3) { $0 == 0 ? [] : [UInt8(ascii: "a")] }
    let session = try GrammarSession(
      Grammar(GrammarRules("root ::= \"b\""), promptLength: 0), tokens: tokens, endTokens: [0])
    let chooser = TreeChooser(
      VerificationRequest(session: SessionID(1), prefix: [], draft: DraftTree(), sampling: .greedy),
      scratch: LogitScratch(), grammar: session)
    let logits: [Float] = [1, 2, 3]
    let choice = try logits.withUnsafeBufferPointer { try chooser.choose(after: -1, position: 0, logits: $0) }
    #expect(choice.token == 0)
  }
}
