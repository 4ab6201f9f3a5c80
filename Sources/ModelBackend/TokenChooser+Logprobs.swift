import SpeculationCore

#if canImport(Glibc)
  import Glibc
#elseif canImport(Musl)
  import Musl
#else
  import Darwin
#endif

extension TokenLogprobs {
  /// Likeliest tokens that can be asked for.
  public static let maxTop = 128
}

extension TokenChooser {
  /// Log-softmax, in natural logarithms, of a chosen token and of the likeliest ones.
  ///
  /// - Parameters:
  ///   - logits: one finite value for each token of the vocabulary
  ///   - count: how many of the likeliest tokens to give, at most `TokenLogprobs.maxTop`
  /// - Throws: `ModelError.engineFailed` when a logit is NaN or infinite.
  public static func logprobs(
    _ logits: UnsafeBufferPointer<Float>, chosen: TokenID, top count: Int, position: Int
  ) throws -> TokenLogprobs {
    try withRow(logits, position: position) { row in
      let mass = LogitScan.softmaxSums(of: row.logits, maxima: row.maxima, top: row.largest).mass
      let normaliser = Double(row.largest) + log(mass)
      func entry(_ token: TokenID) -> TokenLogprobs.Entry {
        TokenLogprobs.Entry(token: token, logprob: Float(min(0, Double(row.logits[Int(token)]) - normaliser)))
      }
      let wanted = min(count, TokenLogprobs.maxTop, logits.count)
      guard wanted > 0 else { return TokenLogprobs(chosen: entry(chosen), top: []) }
      return withUnsafeTemporaryAllocation(of: TopTokens.Entry.self, capacity: wanted) { storage in
        var top = TopTokens(storage: storage)
        rank(row, into: &top)
        return TokenLogprobs(chosen: entry(chosen), top: (0..<top.count).map { entry(top[$0].token) })
      }
    }
  }
}
