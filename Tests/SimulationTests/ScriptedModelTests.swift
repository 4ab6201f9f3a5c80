import Simulator
import SpeculationCore
import Testing

@Suite struct ScriptedModelTests {
  /// The draft's stated probabilities are true, or every test of estimators on it would mean nothing.
  @Test func theDraftIsCalibrated() {
    let script = ScriptedModel(seed: 3, vocabularySize: 30, endProbability: 0, agreement: 0.8)
    var stated = 0.0
    var matched = 0.0
    let count = 20_000
    for place in 0..<count {
      let hash = script.hash([TokenID(place)], sampling: .greedy)
      let best = script.distribution(hash, candidates: 1).candidates[0]
      stated += Double(best.probability)
      matched += best.token == script.choice(hash) ? 1 : 0
    }
    #expect(abs(stated / Double(count) - 0.8) < 0.01)
    #expect(abs(matched / Double(count) - 0.8) < 0.01)
  }

  @Test(arguments: [2, 3, 4, 20], [false, true])
  func candidatesAreDistinctAndOrdered(_ vocabulary: Int, _ isMisleading: Bool) {
    for agreement in [0, 0.2, 0.9, 1] {
      let script = ScriptedModel(
        seed: 5, vocabularySize: vocabulary, agreement: agreement, isMisleading: isMisleading)
      for place in 0..<200 {
        let hash = script.hash([TokenID(place)], sampling: SamplingSettings(temperature: 1, seed: 9))
        let candidates = script.distribution(hash, candidates: 6).candidates
        #expect(Set(candidates.map(\.token)).count == candidates.count)
        #expect(candidates.map(\.probability) == candidates.map(\.probability).sorted(by: >))
        #expect(candidates.allSatisfy { (0..<TokenID(vocabulary)).contains($0.token) })
        if isMisleading { #expect(!candidates.map(\.token).contains(script.choice(hash))) }
      }
    }
  }

  @Test func verdictsAreThePlainText() {
    let script = ScriptedModel(seed: 8, endProbability: 0)
    let text = script.plain([4, 5], sampling: .greedy, maxTokens: 6)
    let verdicts = script.verdicts(
      prefix: [4, 5], tokens: Array(text.prefix(5)), parents: [-1, 0, 1, 2, 3], sampling: .greedy)
    #expect(verdicts.map(\.token) == text)
  }
}
