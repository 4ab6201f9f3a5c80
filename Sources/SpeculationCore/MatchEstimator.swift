/// How often the target chooses a token to which the draft gives a confidence: the draft's probability,
/// corrected by what was seen.
///
/// Confidences fall into bins, finer towards 0 and 1 where most of them lie. Each bin starts at the draft's
/// own word with the weight of `priorWeight` observations (a Beta prior), so it corrects itself with use and
/// cannot be far off before.
public struct MatchEstimator: Hashable, Sendable {
  /// Upper edges of the bins.
  private static let edges: [Float] = [
    0.01, 0.02, 0.05, 0.1, 0.15, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.85, 0.9, 0.95, 0.98, 0.99, 1,
  ]

  private struct Bin: Hashable, Sendable {
    var confidences = 0.0
    var matches = 0.0
    var count = 0.0
    /// How much more often the target chose the token than the draft said; see `probability`.
    var excess: Float = 0
  }

  private var bins = [Bin](repeating: Bin(), count: MatchEstimator.edges.count)
  private let priorWeight: Double
  /// Observations older than about this many in a bin are forgotten, since texts change.
  private let memory: Double

  public init(priorWeight: Double = 20, memory: Double = 2000) {
    self.priorWeight = priorWeight
    self.memory = memory
  }

  private static func bin(_ confidence: Float) -> Int {
    var bin = Int(firstBins[Int(min(max(0, confidence), 1) * 100)])
    while bin < edges.count - 1, confidence > edges[bin] { bin += 1 }
    return bin
  }

  /// For each hundredth of confidence the bin it falls into. Edges are whole hundredths.
  private static let firstBins: [UInt8] = (0...100).map { hundredth in
    UInt8(edges.firstIndex { Float(hundredth) / 100 <= $0 }!)
  }

  /// - Parameter confidence: what the draft says, 0...1
  /// - Returns: the estimated probability that the target chooses the token, 0...1
  public func probability(confidence: Float) -> Float {
    // The prior speaks for this very confidence; the observations shift it by their mean excess.
    min(max(confidence + bins[Self.bin(confidence)].excess, 0.0005), 0.9995)
  }

  public mutating func observe(confidence: Float, matched: Bool) {
    let index = Self.bin(confidence)
    if bins[index].count >= memory {
      let keep = 1 - 1 / memory
      bins[index].confidences *= keep
      bins[index].matches *= keep
      bins[index].count *= keep
    }
    bins[index].confidences += Double(confidence)
    bins[index].matches += matched ? 1 : 0
    bins[index].count += 1
    bins[index].excess = Float(
      (bins[index].matches - bins[index].confidences) / (bins[index].count + priorWeight))
  }
}
