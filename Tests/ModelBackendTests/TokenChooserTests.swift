import ModelBackend
import Simulator
import SpeculationCore
import SpeculationTesting
import SplitMix
import Testing

@Suite struct TokenChooserTests {
  static let settings: [SamplingSettings] = [
    .greedy,
    SamplingSettings(temperature: 1, seed: 1),
    SamplingSettings(temperature: 0.7, topK: 40, topP: 0.95, minP: 0.05, seed: 2),
    SamplingSettings(temperature: 0.2, topP: 0.9, seed: 3),
    SamplingSettings(temperature: 2, minP: 0.02, seed: 4),
    SamplingSettings(temperature: 5, seed: 5),
    SamplingSettings(temperature: 1, topK: 1, seed: 6),
    SamplingSettings(temperature: 1, topK: 3, topP: 0.5, seed: 7),
    SamplingSettings(temperature: 1, topP: 1e-6, seed: 8),
    SamplingSettings(temperature: 1, minP: 1, seed: 9),
    SamplingSettings(temperature: 100, topK: 5000, topP: 0.999, seed: 10),
  ]

  @Test(arguments: settings)
  func choosesAsTheDefinitionSays(settings: SamplingSettings) throws {
    for seed in UInt64(0)..<24 {
      var generator = SplitMix64(seed: seed)
      let count = [1, 2, 7, 8, 255, 256, 257, 3000].randomElement(using: &generator) ?? 1
      let logits = generator.logits(count, spread: [0.1, 1, 4].randomElement(using: &generator) ?? 1)
      let position = Int.random(in: 0..<5000, using: &generator)
      let naive = NaiveChooser(logits: logits, settings: settings, position: position).ranked
      let choice = try logits.withUnsafeBufferPointer {
        try TokenChooser.choose($0, settings: settings, position: position)
      }
      #expect(choice.token == naive[0].token, "seed \(seed), \(count) logits")
      let gap = naive.count > 1 ? naive[0].score - naive[1].score : .infinity
      let hasFilters = settings.topK > 0 || settings.topP < 1 || settings.minP > 0
      if hasFilters {
        #expect(Double(choice.margin) <= gap + 1e-4 * max(1, gap), "seed \(seed)")
      } else {
        #expect(gap == .infinity || abs(Double(choice.margin) - gap) < 1e-4 * max(1, gap), "seed \(seed)")
      }
      #expect(choice.margin >= 0)
    }
  }

  @Test(arguments: settings)
  func distributionsAreAsTheDefinitionSays(settings: SamplingSettings) throws {
    for seed in UInt64(100)..<112 {
      var generator = SplitMix64(seed: seed)
      let count = [1, 9, 256, 3000].randomElement(using: &generator) ?? 1
      let logits = generator.logits(count, spread: [0.1, 1, 4].randomElement(using: &generator) ?? 1)
      let naive = NaiveChooser(logits: logits, settings: settings, position: 11)
      let ranked = naive.ranked
      let result = try logits.withUnsafeBufferPointer {
        try TokenChooser.distribution($0, settings: settings, position: 11, candidates: 6)
      }
      #expect(abs(Double(result.entropy) - naive.entropy) < 1e-3, "seed \(seed), \(count) logits")
      #expect(result.candidates.map(\.token) == ranked.prefix(6).map(\.token), "seed \(seed)")
      for (candidate, expected) in zip(result.candidates, ranked) {
        let probability = naive.probability(expected.score)
        // The keyed sum leaves out what is far below the best.
        let tolerance = settings.isGreedy ? 1e-4 : 0.02
        #expect(abs(Double(candidate.probability) - probability) < tolerance, "seed \(seed)")
      }
    }
  }

  /// Logits that differ by less than the margin (on both sides: half of it) leave the choice as it is, also
  /// where filters cut.
  @Test(arguments: settings)
  func theMarginIsWhatTheChoiceStands(settings: SamplingSettings) throws {
    for seed in UInt64(200)..<260 {
      var generator = SplitMix64(seed: seed)
      let logits = generator.logits(400, spread: 1)
      func choose(_ logits: [Float]) throws -> TargetChoice {
        try logits.withUnsafeBufferPointer {
          try TokenChooser.choose($0, settings: settings, position: 5)
        }
      }
      let choice = try choose(logits)
      let temperature = settings.isGreedy ? 1 : settings.temperature
      let slack = min(1, choice.margin) * temperature * 0.49
      for _ in 0..<4 where slack > 1e-4 {
        let moved = logits.map { $0 + Float.random(in: -slack...slack, using: &generator) }
        #expect(try choose(moved).token == choice.token, "seed \(seed), margin \(choice.margin)")
      }
    }
  }

  @Test func equalLogitsGoToTheLowestID() throws {
    var logits = [Float](repeating: 0, count: 1000)
    for id in [999, 300, 301, 17] { logits[id] = 3 }
    let choice = try logits.withUnsafeBufferPointer {
      try TokenChooser.choose($0, settings: .greedy, position: 0)
    }
    #expect(choice == TargetChoice(token: 17, margin: 0))
    let result = try logits.withUnsafeBufferPointer {
      try TokenChooser.distribution($0, settings: .greedy, position: 0, candidates: 5)
    }
    #expect(result.candidates.map(\.token) == [17, 300, 301, 999, 0])
  }

  @Test(arguments: [Float.nan, .infinity, -.infinity, -.nan])
  func refusesLogitsThatAreNotFinite(bad: Float) {
    for index in [0, 255, 256, 998, 999] {
      var logits = [Float](repeating: 1, count: 1000)
      logits[index] = bad
      #expect(throws: ModelError.self) {
        try logits.withUnsafeBufferPointer { try TokenChooser.choose($0, settings: .greedy, position: 0) }
      }
      #expect(throws: ModelError.self) {
        try logits.withUnsafeBufferPointer {
          try TokenChooser.distribution(
            $0, settings: SamplingSettings(temperature: 1), position: 0, candidates: 3)
        }
      }
    }
  }

  /// The Gumbel-max trick: over many positions, tokens come up as often as their probability says.
  @Test func samplesTheDistribution() throws {
    let logits: [Float] = [0, 1, 2, -1]
    let settings = SamplingSettings(temperature: 1, seed: 77)
    var counts = [Double](repeating: 0, count: 4)
    let trials = 40_000
    for position in 0..<trials {
      let choice = try logits.withUnsafeBufferPointer {
        try TokenChooser.choose($0, settings: settings, position: position)
      }
      counts[Int(choice.token)] += 1
    }
    let naive = NaiveChooser(logits: logits, settings: .greedy, position: 0)
    for id in 0..<4 {
      let expected = naive.probability(Double(logits[id])) * Double(trials)
      #expect(abs(counts[id] - expected) < 5 * expected.squareRoot())
    }
  }

  /// What makes guesses agree: a draft whose logits are near the target's ranks the target's choice first far
  /// more often than independent sampling would.
  @Test func keyedGuessesAgree() throws {
    var generator = SplitMix64(seed: 3)
    let settings = SamplingSettings(temperature: 1, seed: 12)
    var agreed = 0
    for position in 0..<400 {
      let target = generator.logits(200, spread: 1)
      let draft = target.map { $0 + Float.random(in: -0.1...0.1, using: &generator) }
      let choice = try target.withUnsafeBufferPointer {
        try TokenChooser.choose($0, settings: settings, position: position)
      }
      let guess = try draft.withUnsafeBufferPointer {
        try TokenChooser.distribution($0, settings: settings, position: position, candidates: 1)
      }
      if guess.candidates[0].token == choice.token { agreed += 1 }
    }
    #expect(agreed > 350)
  }
}
