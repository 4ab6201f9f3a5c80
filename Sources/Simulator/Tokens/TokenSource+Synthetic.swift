import SpeculationCore
import WideArea

#if canImport(Glibc)
  import Glibc
#elseif canImport(Musl)
  import Musl
#else
  import Darwin
#endif

/// How often a draft model is right, as a process: a miss is likelier after a miss (texts have hard stretches).
///
/// `afterHit == afterMiss` is the independent case.
public struct MatchChain: Sendable, Hashable {
  /// Probability that the target's choice is the draft's first candidate, after a place where it was and after
  /// one where it was not, 0...1.
  public var afterHit: Double
  public var afterMiss: Double
  /// Of the misses, the share whose token is the 2nd, 3rd... candidate. Sums to at most 1.
  public var laterRanks: [Double]

  /// - Parameter spread: share of what remains that each next candidate takes, 0...1
  public init(afterHit: Double, afterMiss: Double, spread: Double = 0.5, candidates: Int = 16) {
    self.afterHit = afterHit
    self.afterMiss = afterMiss
    var rest = 1.0
    laterRanks = (1..<max(2, candidates)).map { _ in
      defer { rest *= 1 - spread }
      return rest * spread
    }
  }

  /// The chain that a recording looks like: its match rates after a match and after a miss, and where in the
  /// draft's list the target's choice stands otherwise. Every text begins as after a match.
  public init(fitting recording: Recording) {
    var hits = (afterHit: 0.0, afterMiss: 0.0)
    var all = (afterHit: 0.0, afterMiss: 0.0)
    var ranks = [Double](repeating: 0, count: recording.candidates)
    for text in recording.texts {
      var wasHit = true
      for position in text.positions {
        let isHit = position.rank == 0
        if wasHit { all.afterHit += 1 } else { all.afterMiss += 1 }
        if isHit { if wasHit { hits.afterHit += 1 } else { hits.afterMiss += 1 } }
        if let rank = position.rank, rank > 0 { ranks[rank] += 1 }
        wasHit = isHit
      }
    }
    let misses = max(1, all.afterHit + all.afterMiss - hits.afterHit - hits.afterMiss)
    afterHit = hits.afterHit / max(1, all.afterHit)
    afterMiss = hits.afterMiss / max(1, all.afterMiss)
    laterRanks = ranks.dropFirst().map { $0 / misses }
  }

  /// The long-run share of hits: the chain's stationary distribution.
  public var matchRate: Double {
    let missAfterHit = 1 - afterHit
    return afterMiss + missAfterHit == 0 ? 1 : afterMiss / (afterMiss + missAfterHit)
  }
}

extension TokenSource {
  /// Texts drawn from a chain. The draft knows how likely it is to be right, and says so.
  public init(_ chain: MatchChain, texts count: Int, length: Int, seed: UInt64) {
    let vocabulary = 50_000
    var random = LinkRandom(seed: seed, stream: 1)
    let hit = Self.probabilities(first: chain.afterHit, chain)
    let miss = Self.probabilities(first: chain.afterMiss, chain)
    var texts: [Text] = []
    for _ in 0..<count {
      var text = Text(task: "synthetic", prompt: [1], answer: [], drafts: [])
      text.answer.reserveCapacity(length)
      text.drafts.reserveCapacity(length)
      var wasHit = true
      for _ in 0..<length {
        let (probabilities, entropy) = wasHit ? hit : miss
        var draw = random.unit()
        let rank = probabilities.firstIndex { probability in
          draw -= Double(probability)
          return draw < 0
        }
        let first = TokenID(random.unit() * Double(vocabulary))
        // Where the target's choice is none of the candidates, it is the token before the first of them.
        let token = (first + TokenID(rank ?? vocabulary - 1)) % TokenID(vocabulary)
        text.answer.append(token)
        text.drafts.append(
          Distribution(
            entropy: entropy,
            candidates: probabilities.enumerated().map { index, probability in
              Candidate(token: (first + TokenID(index)) % TokenID(vocabulary), probability: probability)
            }))
        wasHit = rank == 0
      }
      texts.append(text)
    }
    self.init(
      texts: texts, vocabularySize: vocabulary, elsewhere: texts.flatMap(\.drafts), seed: seed)
  }

  private static func probabilities(
    first: Double, _ chain: MatchChain
  ) -> (probabilities: [Float], entropy: Float) {
    // The first candidate is the likeliest; what others would have above it, none of them has.
    let all = [first] + chain.laterRanks.map { min((1 - first) * $0, first) }
    let kept = all.filter { $0 > 1e-6 }
    // What no candidate has counts as one more, so that the entropy is no less than theirs.
    let rest = max(0, 1 - kept.reduce(0, +))
    let entropy = (kept + [rest]).reduce(0.0) { $1 > 0 ? $0 - $1 * log($1) : $0 }
    // Best first, as every draft says it; the rank of each is its own.
    return (kept.sorted(by: >).map(Float.init), Float(entropy))
  }
}
