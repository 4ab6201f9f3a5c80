import SpeculationCore

#if canImport(Glibc)
  import Glibc
#elseif canImport(Musl)
  import Musl
#else
  import Darwin
#endif

/// The keyed choice of a token from logits (design: "Why the text cannot change").
///
/// - Temperature 0: the largest logit; of equal ones the lowest id.
/// - Otherwise: the candidates that pass top-k, then top-p, then min-p, all judged on the distribution at
///   temperature 1 (llama.cpp's default order: filters first, temperature last; top-p renormalises over what
///   top-k left). Among them the largest logit / temperature + Gumbel(seed, position, token).
///
/// Everything is a pure function of its arguments. Among candidates, equal scores go to the lowest id.
public enum TokenChooser {
  /// The token that follows, and by how much it won.
  ///
  /// - Parameters:
  ///   - logits: one finite value for each token of the vocabulary
  ///   - position: index, in the session's whole token sequence, of the token being chosen
  /// - Throws: `ModelError.engineFailed` when a logit is NaN or infinite.
  public static func choose(
    _ logits: UnsafeBufferPointer<Float>, settings: SamplingSettings, position: Int
  ) throws -> TargetChoice {
    try withRow(logits, position: position) { row in
      withUnsafeTemporaryAllocation(of: TopTokens.Entry.self, capacity: 2) { storage in
        var top = TopTokens(storage: storage)
        func gap() -> Double { top.count > 1 ? top[0].score - top[1].score : .infinity }
        if settings.isGreedy {
          rank(row, into: &top)
          return TargetChoice(token: top[0].token, margin: Float(gap()))
        }
        let filter = Filter(row, settings: settings)
        let noise = KeyedNoise(seed: settings.seed, position: position)
        rank(row, filter: filter, temperature: settings.temperature, noise: noise, into: &top)
        let atCut = cutMargin(
          row, filter: filter, temperature: settings.temperature, noise: noise, best: top[0], within: gap())
        return TargetChoice(token: top[0].token, margin: Float(min(gap(), atCut)))
      }
    }
  }

  /// A draft's view of the next token: the entropy of the whole distribution at temperature 1, and the tokens
  /// that the keyed choice ranks highest.
  ///
  /// A candidate's probability is the draft's softmax for greedy settings, and the softmax of the keyed scores
  /// otherwise; tokens that score more than 14 below the best are left out of that sum.
  ///
  /// - Parameter candidates: how many candidates to return at most; at least 1 is returned
  /// - Throws: `ModelError.engineFailed` when a logit is NaN or infinite.
  public static func distribution(
    _ logits: UnsafeBufferPointer<Float>, settings: SamplingSettings, position: Int, candidates: Int
  ) throws -> Distribution {
    try withRow(logits, position: position) { row in
      let sums = LogitScan.softmaxSums(of: row.logits, maxima: row.maxima, top: row.largest)
      let entropy = max(0, log(sums.mass) - sums.weighted / sums.mass)
      let wanted = max(1, min(candidates, logits.count))
      return withUnsafeTemporaryAllocation(of: TopTokens.Entry.self, capacity: wanted) { storage in
        var top = TopTokens(storage: storage)
        var mass = sums.mass
        var reference = Double(row.largest)
        if settings.isGreedy {
          rank(row, into: &top)
        } else {
          let filter = Filter(row, settings: settings, mass: sums.mass)
          let noise = KeyedNoise(seed: settings.seed, position: position)
          rank(row, filter: filter, temperature: settings.temperature, noise: noise, into: &top)
          reference = top[0].score
          mass = keyedMass(
            row, filter: filter, temperature: settings.temperature, noise: noise, best: reference)
        }
        var list: [Candidate] = []
        list.reserveCapacity(top.count)
        for index in 0..<top.count {
          let probability = exp(top[index].score - reference) / mass
          list.append(Candidate(token: top[index].token, probability: Float(min(1, probability))))
        }
        return Distribution(entropy: Float(entropy), candidates: list)
      }
    }
  }
}

extension TokenChooser {
  /// One row of logits and what its first scan found.
  struct Row {
    var logits: UnsafeBufferPointer<Float>
    /// Largest logit of each block.
    var maxima: UnsafeMutableBufferPointer<Float>
    var largest: Float
  }

  static func withRow<Result>(
    _ logits: UnsafeBufferPointer<Float>, position: Int, _ body: (Row) throws -> Result
  ) throws -> Result {
    let blocks = (logits.count + LogitScan.block - 1) / LogitScan.block
    return try withUnsafeTemporaryAllocation(of: Float.self, capacity: blocks) { maxima in
      guard let largest = LogitScan.maxima(of: logits, into: maxima) else {
        let what = logits.isEmpty ? "no logits" : "logits that are not finite"
        throw ModelError(
          .engineFailed, "the model returned \(what) at position \(position)",
          hint: "the model file may be damaged; verify it, or try another quantisation")
      }
      return try body(Row(logits: logits, maxima: maxima, largest: largest))
    }
  }

  /// Greedy: ranks by logit.
  static func rank(_ row: Row, into top: inout TopTokens) {
    for index in row.maxima.indices where Double(row.maxima[index]) > top.floor {
      for id in LogitScan.range(ofBlock: index, count: row.logits.count) {
        let logit = Double(row.logits[id])
        if logit > top.floor { top.insert(logit, TokenID(truncatingIfNeeded: id)) }
      }
    }
  }

  /// Ranks what the filter keeps by logit / temperature + noise.
  private static func rank(
    _ row: Row, filter: Filter, temperature: Float, noise: KeyedNoise, into top: inout TopTokens
  ) {
    let scale = 1 / Double(temperature)
    switch filter {
    case .pool(let pool):
      for token in pool.candidates {
        top.insert(Double(row.logits[Int(token)]) * scale + noise.gumbel(token), token)
      }
    case .atLeast(let floor):
      // The block with the largest logit first: it sets a high bar that lets most of the others be skipped
      // without computing any noise. The order does not influence the result.
      let first = row.maxima.firstIndex(of: row.largest) ?? 0
      rank(block: first, row, floor: floor, scale: scale, noise: noise, into: &top)
      for index in row.maxima.indices where index != first && row.maxima[index] >= floor {
        if Double(row.maxima[index]) * scale + KeyedNoise.largestGumbel < top.floor { continue }
        rank(block: index, row, floor: floor, scale: scale, noise: noise, into: &top)
      }
    }
  }

  private static func rank(
    block index: Int, _ row: Row, floor: Float, scale: Double, noise: KeyedNoise, into top: inout TopTokens
  ) {
    // Whoever is to enter needs at least the noise that the block's best logit needs.
    let least = KeyedNoise.leastBits(reaching: top.floor - Double(row.maxima[index]) * scale)
    // A logit below this could not enter with the largest noise there is; one step of slack for rounding.
    let hopeless = Float((top.floor - KeyedNoise.largestGumbel) / scale).nextDown
    let cut = max(floor, hopeless)
    for id in LogitScan.range(ofBlock: index, count: row.logits.count) where row.logits[id] >= cut {
      let token = TokenID(truncatingIfNeeded: id)
      let bits = noise.bits(token)
      if bits < least { continue }
      top.insert(Double(row.logits[id]) * scale + KeyedNoise.gumbel(bits: bits), token)
    }
  }

  /// How near the filters' cut comes to changing the choice, in score units: the chosen token could fall
  /// outside, or a token with a better score come inside.
  ///
  /// - Parameter limit: larger answers are of no interest and may be given as infinity.
  private static func cutMargin(
    _ row: Row, filter: Filter, temperature: Float, noise: KeyedNoise, best: TopTokens.Entry,
    within limit: Double
  ) -> Double {
    let scale = 1 / Double(temperature)
    // A token that comes inside must also have, or gain, the better score.
    func deficit(_ token: TokenID) -> Double {
      best.score - (Double(row.logits[Int(token)]) * scale + noise.gumbel(token))
    }
    var nearest = Double.infinity
    switch filter {
    case .atLeast(let floor):
      guard floor > -.infinity else { return .infinity }
      nearest = Double(row.logits[Int(best.token)] - floor) * scale
      let from = floor - Float(min(nearest, limit) / scale)
      for index in row.maxima.indices where row.maxima[index] >= from {
        for id in LogitScan.range(ofBlock: index, count: row.logits.count) {
          let logit = row.logits[id]
          if logit >= floor || logit < from { continue }
          let distance = Double(floor - logit) * scale
          if distance >= nearest { continue }
          nearest = min(nearest, max(distance, deficit(TokenID(truncatingIfNeeded: id))))
        }
      }
    case .pool(let pool):
      let shares = pool.shares(row)
      for (rank, token) in pool.tokens.enumerated() where rank >= pool.kept || token == best.token {
        let bound = min(nearest, limit)
        let deficit = rank < pool.kept ? 0 : deficit(token)
        if deficit >= bound { continue }
        let distance = pool.distance(rank, row, shares: shares) * scale
        nearest = min(nearest, max(0, distance, deficit))
      }
    }
    return nearest
  }

  /// The sum of e^(score - best) over what the filter keeps.
  private static func keyedMass(
    _ row: Row, filter: Filter, temperature: Float, noise: KeyedNoise, best: Double
  ) -> Double {
    let scale = 1 / Double(temperature)
    var mass = 0.0
    switch filter {
    case .pool(let pool):
      for token in pool.candidates {
        mass += exp(Double(row.logits[Int(token)]) * scale + noise.gumbel(token) - best)
      }
    case .atLeast(let floor):
      // e^gumbel is 1 / -ln u, so a term is e^(logit / temperature - best) / -ln u.
      let cut = max(floor, Float((best - 14) / scale))
      for index in row.maxima.indices where row.maxima[index] >= cut {
        for id in LogitScan.range(ofBlock: index, count: row.logits.count) where row.logits[id] >= cut {
          let uniform = noise.uniform(TokenID(truncatingIfNeeded: id))
          mass += exp(Double(row.logits[id]) * scale - best) / -log(uniform)
        }
      }
    }
    return max(mass, 1)
  }
}
