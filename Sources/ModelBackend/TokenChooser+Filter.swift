import SpeculationCore

#if canImport(Glibc)
  import Glibc
#elseif canImport(Musl)
  import Musl
#else
  import Darwin
#endif

extension TokenChooser {
  /// What top-k, top-p and min-p leave.
  enum Filter {
    /// Every token with at least this logit; -infinity keeps all.
    case atLeast(Float)
    /// The first `kept` of a pool.
    case pool(Pool)

    /// - Parameter mass: the sum of e^(logit - largest) over the row, when the caller has it already.
    init(_ row: Row, settings: SamplingSettings, mass: Double? = nil) {
      let least = settings.minP > 0 ? row.largest + log(settings.minP) : -.infinity
      let limitsCount = settings.topK > 0 && Int(settings.topK) < row.logits.count
      if limitsCount || settings.topP < 1 {
        self = .pool(Pool(row, settings: settings, least: least, mass: mass))
      } else {
        self = .atLeast(least)
      }
    }
  }

  /// The most likely tokens of a row, sorted, and where the filters cut them.
  struct Pool {
    /// Most likely first, equal logits by id. Goes on beyond the cut where more were gathered.
    private(set) var tokens: [TokenID]
    private(set) var kept: Int
    /// Top-k, or the size of the vocabulary.
    private var limit: Int
    private var least: Float
    private var topP: Double
    /// Sum of e^(logit - largest) that top-p's share is taken of.
    private var whole: Double

    var candidates: ArraySlice<TokenID> { tokens[..<kept] }

    init(_ row: Row, settings: SamplingSettings, least: Float, mass: Double?) {
      let count = row.logits.count
      limit = settings.topK > 0 ? min(Int(settings.topK), count) : count
      self.least = least
      topP = Double(settings.topP)
      // Without top-k, top-p takes its share of the whole row.
      let topP = topP
      let total: Double? =
        limit == count && topP < 1
        ? mass ?? LogitScan.softmaxSums(of: row.logits, maxima: row.maxima, top: row.largest).mass : nil
      tokens =
        limit <= 1024
        ? Pool.best(row, count: min(limit + 8, count))
        : Pool.sorted(row, limit: limit, topP: topP, total: total)
      kept = min(limit, tokens.count)
      var whole = 1.0
      if let total {
        whole = total
      } else if topP < 1 {
        whole = Pool.weight(tokens[..<kept], row)
      }
      self.whole = whole
      if topP < 1 {
        var sum = 0.0
        var keep = 0
        while keep < kept, sum < topP * whole {
          sum += Pool.weight(tokens[keep], row)
          keep += 1
        }
        kept = max(keep, 1)
      }
      while kept > 1, row.logits[Int(tokens[kept - 1])] < least { kept -= 1 }
    }

    /// The most likely tokens, by insertion: for small counts.
    private static func best(_ row: Row, count: Int) -> [TokenID] {
      withUnsafeTemporaryAllocation(of: TopTokens.Entry.self, capacity: count) { storage in
        var top = TopTokens(storage: storage)
        rank(row, into: &top)
        return (0..<top.count).map { top[$0].token }
      }
    }

    /// At least the `limit` most likely tokens or, when there are fewer, those with a share of `topP`.
    private static func sorted(_ row: Row, limit: Int, topP: Double, total: Double?) -> [TokenID] {
      var tokens: [TokenID] = []
      // Almost always the answer lies among the tokens close to the best; widen the net until it is there.
      for reach in [Float(4), 8, 16, .infinity] {
        tokens = gather(row, atLeast: row.largest - reach)
        if reach == .infinity || tokens.count >= limit { break }
        if let total, weight(tokens, row) >= topP * total * 1.000_01 { break }
      }
      tokens.sort { a, b in
        let (x, y) = (row.logits[Int(a)], row.logits[Int(b)])
        return x > y || (x == y && a < b)
      }
      return tokens
    }

    private static func gather(_ row: Row, atLeast cut: Float) -> [TokenID] {
      var list: [TokenID] = []
      for index in row.maxima.indices where row.maxima[index] >= cut {
        for id in LogitScan.range(ofBlock: index, count: row.logits.count) where row.logits[id] >= cut {
          list.append(TokenID(truncatingIfNeeded: id))
        }
      }
      return list
    }

    private static func weight(_ token: TokenID, _ row: Row) -> Double {
      exp(Double(row.logits[Int(token)] - row.largest))
    }

    private static func weight(_ tokens: some Sequence<TokenID>, _ row: Row) -> Double {
      tokens.reduce(0) { $0 + weight($1, row) }
    }

    /// Each token's share of the mass, summed over the tokens before it; one more at the end for all.
    func shares(_ row: Row) -> [Double] {
      var sum = 0.0
      return [0]
        + tokens.map { token in
          sum += Pool.weight(token, row) / whole
          return sum
        }
    }

    /// How far a token of the pool is from the other side of the cut, in logits: by how much logits would have
    /// to differ for it to be kept instead of cut, or cut instead of kept.
    ///
    /// Top-p's bound moves with the order as well as with the mass. The token crosses it by changing places
    /// with those down (or up) to some rank, which takes the difference of their logits, while the share before
    /// that rank crosses the bound, which takes the difference of the log-odds: moving every logit on one side
    /// by x moves the log-odds by x. The nearest rank counts.
    ///
    /// O(log tokens).
    func distance(_ rank: Int, _ row: Row, shares: [Double]) -> Double {
      let logit = { (rank: Int) in Double(row.logits[Int(tokens[rank])]) }
      let isKept = rank < kept
      // Top-k: inside by so much when positive.
      var inside = Double.infinity
      if rank >= limit {
        inside = logit(rank) - logit(limit - 1)
      } else if limit < tokens.count {
        inside = logit(rank) - logit(limit)
      }
      inside = min(inside, logit(rank) - Double(least))
      guard topP < 1, rank < limit else { return isKept ? inside : -inside }

      // Going outwards the first difference grows and the second shrinks, so the rank where the first comes to
      // be the larger, or the one before it, is nearest.
      let own = shares[rank + 1] - shares[rank]
      let outermost = isKept ? min(limit, tokens.count) - 1 - rank : rank
      func differences(_ steps: Int) -> (gap: Double, mass: Double) {
        let other = isKept ? rank + steps : rank - steps
        let gap = abs(logit(other) - logit(rank))
        let mass =
          isKept ? logOdds(topP) - logOdds(shares[other + 1] - own) : logOdds(shares[other]) - logOdds(topP)
        return (gap, mass)
      }
      var low = 0
      var high = outermost
      while low < high {
        let middle = (low + high) / 2
        let (gap, mass) = differences(middle)
        if gap >= mass { high = middle } else { low = middle + 1 }
      }
      let at = differences(low)
      var nearest = max(at.gap, at.mass)
      if low > 0 {
        let before = differences(low - 1)
        nearest = min(nearest, max(before.gap, before.mass))
      }
      // Cut by several filters, it would have to cross each; kept, crossing one is enough.
      return isKept ? min(inside, nearest) : max(-inside, nearest)
    }
  }

  private static func logOdds(_ share: Double) -> Double {
    share <= 0 ? -.infinity : share >= 1 ? .infinity : log(share / (1 - share))
  }
}
