import ConstrainedDecoding
import Foundation
import ModelBackend
import Simulator
import SpeculationCore
import SpeculationTesting
import SplitMix
import Testing

@Suite struct TreeChooserTests {
  static let vocabulary = 60

  /// Penalties and biases written as their definition reads.
  private func naive(_ logits: [Float], _ adjustments: LogitAdjustments, text: [TokenID]) -> [Float] {
    var row = logits
    for bias in adjustments.biases where Int(bias.token) < row.count { row[Int(bias.token)] += bias.value }
    for token in row.indices where text.contains(TokenID(token)) {
      row[token] =
        row[token] > 0 ? row[token] / adjustments.repetition : row[token] * adjustments.repetition
    }
    let generated = text.dropFirst(Int(adjustments.promptLength))
    for token in row.indices {
      let count = generated.count { Int($0) == token }
      if count > 0 { row[token] = row[token] - adjustments.presence - adjustments.frequency * Float(count) }
    }
    return row
  }

  private func settings(_ random: inout SplitMix64, promptLength: Int) -> SamplingSettings {
    let biases = (0..<Self.vocabulary).filter { _ in Int.random(in: 0..<8, using: &random) == 0 }
    let adjustments = LogitAdjustments(
      promptLength: Int32(promptLength),
      repetition: Bool.random(using: &random) ? 1 : .random(in: 0.5...2, using: &random),
      presence: Bool.random(using: &random) ? 0 : .random(in: -1...2, using: &random),
      frequency: Bool.random(using: &random) ? 0 : .random(in: -0.5...1, using: &random),
      biases: Bool.random(using: &random)
        ? []
        : biases.map {
          LogitAdjustments.Bias(token: TokenID($0), value: .random(in: -5...5, using: &random))
        })
    return SamplingSettings(
      temperature: Bool.random(using: &random) ? 0 : .random(in: 0.5...1.5, using: &random),
      topK: Bool.random(using: &random) ? 0 : 20, topP: Bool.random(using: &random) ? 1 : 0.9,
      seed: random.next(), adjustments: adjustments)
  }

  private func tree(_ random: inout SplitMix64) -> DraftTree {
    let count = Int.random(in: 0..<12, using: &random)
    return DraftTree(
      tokens: (0..<count).map { _ in TokenID.random(in: 0..<TokenID(Self.vocabulary), using: &random) },
      parents: (0..<count).map { Int32.random(in: -1..<Int32($0), using: &random) })
  }

  private func paths(_ draft: DraftTree) -> [[TokenID]] {
    var result: [[TokenID]] = [[]]
    for index in draft.tokens.indices {
      result.append(result[Int(draft.parents[index]) + 1] + [draft.tokens[index]])
    }
    return result
  }

  /// After every node of random trees, in any order: the choice and the guesses are those of logits that were
  /// adjusted by the definition.
  @Test func adjustsAsTheDefinitionSays() throws {
    try forEachSeed(count: 60) { seed in
      var random = SplitMix64(seed: seed)
      let prefix = (0..<Int.random(in: 1..<30, using: &random)).map { _ in
        TokenID.random(in: 0..<20, using: &random)
      }
      let promptLength = Int.random(in: 0...prefix.count + 3, using: &random)
      let sampling = settings(&random, promptLength: promptLength)
      let adjustments = try #require(sampling.adjustments)
      let draft = tree(&random)
      let scratch = LogitScratch()
      let chooser = TreeChooser(
        VerificationRequest(session: SessionID(1), prefix: prefix, draft: draft, sampling: sampling),
        scratch: scratch, grammar: nil)
      let paths = paths(draft)
      let guesser = ExpansionChooser(
        paths.map {
          ExpansionRequest(
            session: SessionID(1), prefix: prefix, path: $0, sampling: sampling, candidates: 5)
        }, scratch: scratch)
      for index in Array(paths.indices).shuffled(using: &random) {
        let logits = random.logits(Self.vocabulary, spread: 2)
        let text = prefix + paths[index]
        let expected = try naive(logits, adjustments, text: text).withUnsafeBufferPointer {
          (
            try TokenChooser.choose($0, settings: sampling, position: text.count),
            try TokenChooser.distribution($0, settings: sampling, position: text.count, candidates: 5)
          )
        }
        try logits.withUnsafeBufferPointer {
          let choice = try chooser.choose(after: index - 1, position: text.count, logits: $0)
          #expect(choice == expected.0, "seed \(seed), node \(index - 1)")
          let guess = try guesser.distribution(index, position: text.count, logits: $0)
          #expect(guess == expected.1, "seed \(seed), node \(index - 1)")
        }
      }
    }
  }

  /// The largest settings that are valid, on extreme logits: still finite, still a choice.
  @Test func extremeSettingsStayFinite() throws {
    let adjustments = LogitAdjustments(
      promptLength: 0, repetition: .leastNormalMagnitude, presence: 10, frequency: 10,
      biases: [LogitAdjustments.Bias(token: 3, value: 1000)])
    let sampling = SamplingSettings(temperature: 1, topK: 5, topP: 0.9, seed: 1, adjustments: adjustments)
    #expect(sampling.problem == nil)
    let logits: [Float] = [1e4, -1e4, 0, 5, 3e38, -3e38, 1, 2]
    let chooser = TreeChooser(
      VerificationRequest(
        session: SessionID(1), prefix: [0, 1, 2, 3, 4, 5, 4], draft: DraftTree(), sampling: sampling),
      scratch: LogitScratch(), grammar: nil)
    let choice = try logits.withUnsafeBufferPointer {
      try chooser.choose(after: -1, position: 7, logits: $0)
    }
    #expect((0..<8).contains(choice.token))
  }

  @Test func nonsenseLogitsAreStillFound() {
    let sampling = SamplingSettings(adjustments: LogitAdjustments(promptLength: 0, repetition: 2))
    for bad in [Float.nan, .infinity] {
      let logits: [Float] = [1, bad, 3]
      let chooser = TreeChooser(
        VerificationRequest(session: SessionID(1), prefix: [2], draft: DraftTree(), sampling: sampling),
        scratch: LogitScratch(), grammar: nil)
      #expect(throws: ModelError.self) {
        try logits.withUnsafeBufferPointer { try chooser.choose(after: -1, position: 1, logits: $0) }
      }
    }
  }

  @Test func logprobsAreTheSoftmaxOfTheModelItself() throws {
    try forEachSeed(count: 20) { seed in
      var random = SplitMix64(seed: seed)
      let logits = random.logits(700, spread: [0.1, 1, 4].randomElement(using: &random) ?? 1)
      let top = Double(logits.max() ?? 0)
      let normaliser = top + log(logits.reduce(0) { $0 + exp(Double($1) - top) })
      let ranked = logits.indices.sorted { logits[$0] > logits[$1] || (logits[$0] == logits[$1] && $0 < $1) }
      let count = [0, 1, 5, 128].randomElement(using: &random) ?? 0
      // Adjustments decide the choice, and leave the log-probabilities as they are.
      let banned = LogitAdjustments.Bias(token: TokenID(ranked[0]), value: -1000)
      let sampling = SamplingSettings(
        adjustments: LogitAdjustments(promptLength: 0, biases: [banned]))
      let chooser = TreeChooser(
        VerificationRequest(
          session: SessionID(1), prefix: [1], draft: DraftTree(), sampling: sampling, logprobs: count),
        scratch: LogitScratch(), grammar: nil)
      let choice = try logits.withUnsafeBufferPointer {
        try chooser.choose(after: -1, position: 1, logits: $0)
      }
      #expect(choice.token == TokenID(ranked[1]))
      let logprobs = try #require(choice.logprobs)
      #expect(logprobs.chosen.token == choice.token)
      #expect(logprobs.top.map(\.token) == ranked.prefix(count).map { TokenID($0) })
      for entry in logprobs.top + [logprobs.chosen] {
        let expected = Double(logits[Int(entry.token)]) - normaliser
        #expect(abs(Double(entry.logprob) - expected) < 1e-4, "seed \(seed)")
      }
    }
  }

  @Test func wrongRequestsAreNamed() throws {
    func problem(_ change: (inout VerificationRequest) -> Void) -> String {
      var request = VerificationRequest(
        session: SessionID(1), prefix: [1, 2], draft: DraftTree(), sampling: .greedy)
      change(&request)
      return TreeChooser.problem(with: request) ?? ""
    }
    #expect(problem { _ in }.isEmpty)
    #expect(problem { $0.logprobs = 129 }.contains("129"))
    #expect(problem { $0.logprobs = -1 }.contains("-1"))
    let rules = try GrammarRules("root ::= \"a\"")
    #expect(problem { $0.grammar = Grammar(rules, promptLength: 3) }.contains("3 tokens"))
    #expect(problem { $0.sampling.topP = 2 }.contains("top-p"))
  }
}
