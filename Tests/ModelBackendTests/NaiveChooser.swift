import Foundation
import ModelBackend
import SpeculationCore

/// The keyed choice written as its definition reads: sort everything, compute everything in double precision.
struct NaiveChooser {
  var logits: [Float]
  var settings: SamplingSettings
  var position: Int

  /// Ids that pass the filters, most likely first.
  var candidates: [TokenID] {
    var ids = logits.indices.sorted { logits[$0] > logits[$1] || (logits[$0] == logits[$1] && $0 < $1) }
    if settings.topK > 0 { ids = Array(ids.prefix(Int(settings.topK))) }
    let top = Double(logits[ids[0]])
    if settings.topP < 1 {
      let weights = ids.map { exp(Double(logits[$0]) - top) }
      let total = weights.reduce(0, +)
      var sum = 0.0
      var keep = 0
      while keep < ids.count, sum < Double(settings.topP) * total {
        sum += weights[keep]
        keep += 1
      }
      ids = Array(ids.prefix(max(1, keep)))
    }
    if settings.minP > 0 {
      let least = logits[ids[0]] + log(settings.minP)
      ids = ids.filter { $0 == ids[0] || logits[$0] >= least }
    }
    return ids.map { TokenID($0) }
  }

  /// Tokens by keyed score, best first.
  var ranked: [(token: TokenID, score: Double)] {
    if settings.isGreedy {
      return logits.indices.map { (TokenID($0), Double(logits[$0])) }.sorted {
        $0.score > $1.score || ($0.score == $1.score && $0.token < $1.token)
      }
    }
    let noise = KeyedNoise(seed: settings.seed, position: position)
    return candidates.map { token in
      (token, Double(logits[Int(token)]) / Double(settings.temperature) + noise.gumbel(token))
    }.sorted { $0.score > $1.score }
  }

  var entropy: Double {
    let top = Double(logits.max() ?? 0)
    let weights = logits.map { exp(Double($0) - top) }
    let total = weights.reduce(0, +)
    return weights.reduce(0) { sum, weight in
      let p = weight / total
      return p > 0 ? sum - p * log(p) : sum
    }
  }

  /// Probability of a score among all.
  func probability(_ score: Double) -> Double {
    exp(score) / ranked.reduce(0) { $0 + exp($1.score) }
  }
}
