import SpeculationCore

/// How well stated probabilities come true: the draft's own word, and what `MatchEstimator` makes of it.
public struct Calibration: Sendable {
  public struct Bin: Sendable {
    /// Mean of what was stated, and the share that came true.
    public var predicted: Double
    public var observed: Double
    public var count: Int

    /// Of the observed share, 95% (Wilson, 1927).
    public var interval: ClosedRange<Double> {
      let (n, z) = (Double(count), 1.96)
      let center = (observed + z * z / (2 * n)) / (1 + z * z / n)
      let half = z / (1 + z * z / n) * (observed * (1 - observed) / n + z * z / (4 * n * n)).squareRoot()
      return max(0, center - half)...min(1, center + half)
    }
  }

  /// Mean squared error of a probability (Brier, 1950): 0 is perfect, 0.25 is a coin.
  public var brier: Double
  /// Mean distance between stated and observed over the bins, weighted by their counts.
  public var expectedError: Double
  public var bins: [Bin]

  /// Judges what a recording's draft says of its candidates.
  ///
  /// - Parameters:
  ///   - candidates: how many of each position to judge
  ///   - estimator: corrects each word by what it has seen before, then learns from it; nil judges the raw word
  public init(_ recording: Recording, candidates: Int, correctedBy estimator: MatchEstimator?) {
    var estimator = estimator
    var sums = [(predicted: Double, observed: Double, count: Int)](repeating: (0, 0, 0), count: 20)
    var squares = 0.0
    var count = 0
    for text in recording.texts {
      for position in text.positions {
        for candidate in position.draft.candidates.prefix(candidates) {
          let stated = Double(
            estimator?.probability(confidence: candidate.probability) ?? candidate.probability)
          let isRight = candidate.token == position.target
          estimator?.observe(confidence: candidate.probability, matched: isRight)
          let outcome = isRight ? 1.0 : 0
          squares += (stated - outcome) * (stated - outcome)
          count += 1
          let bin = min(sums.count - 1, Int(stated * Double(sums.count)))
          sums[bin].predicted += stated
          sums[bin].observed += outcome
          sums[bin].count += 1
        }
      }
    }
    brier = squares / Double(max(1, count))
    bins = sums.filter { $0.count > 0 }.map {
      Bin(
        predicted: $0.predicted / Double($0.count), observed: $0.observed / Double($0.count), count: $0.count)
    }
    expectedError =
      bins.reduce(0) { $0 + abs($1.predicted - $1.observed) * Double($1.count) } / Double(max(1, count))
  }
}
