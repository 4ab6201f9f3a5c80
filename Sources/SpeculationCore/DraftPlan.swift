/// How widely and how far ahead a draft model guesses. Used by workers and by drafting at home alike.
public struct DraftLimits: Hashable, Sendable {
  /// Nodes in one draft pass, at most (B). The measured d(b) may make it fewer.
  public var passWidth: Int
  /// Children kept for each expanded node, at most (m).
  public var candidates: Int
  /// Candidates less likely than this after their parent are not kept.
  public var minProbability: Float
  /// Nodes whose path from the root is less likely than this are not expanded.
  public var minPathProbability: Double
  /// Nodes further below the root than this are not expanded.
  public var maxDepth: Int
  /// Nodes that one session's tree may hold.
  public var maxNodes: Int

  public init(
    passWidth: Int = 8, candidates: Int = 4, minProbability: Float = 0.01,
    minPathProbability: Double = 0.05, maxDepth: Int = 24, maxNodes: Int = 1024
  ) {
    self.passWidth = passWidth
    self.candidates = candidates
    self.minProbability = minProbability
    self.minPathProbability = minPathProbability
    self.maxDepth = maxDepth
    self.maxNodes = maxNodes
  }

  /// The first thing wrong with these limits; nil when they are valid.
  public var problem: String? {
    if !(1...256).contains(passWidth) { return "pass width must be between 1 and 256, not \(passWidth)" }
    if !(1...64).contains(candidates) { return "candidates must be between 1 and 64, not \(candidates)" }
    if !(0...1).contains(minProbability) { return "minimum probability must be between 0 and 1" }
    if !(0...1).contains(minPathProbability) { return "minimum path probability must be between 0 and 1" }
    if !(1...1024).contains(maxDepth) { return "maximum depth must be between 1 and 1024, not \(maxDepth)" }
    if !(16...65536).contains(maxNodes) {
      return "maximum nodes must be between 16 and 65536, not \(maxNodes)"
    }
    return nil
  }

  /// How many of the best frontier nodes to put into one pass.
  ///
  /// A pass over b nodes takes as long as d(b)/d(1) single passes, which would go deeper where it is likely
  /// instead of wider: each opens a child that is `continuation` times as likely as its parent. The width
  /// chosen is the one whose expected use exceeds most what single passes would reach in its time. A flat d(b)
  /// (a GPU) fills the pass; a proportional one (a CPU core) takes the best node alone.
  ///
  /// - Parameters:
  ///   - probabilities: path probabilities of the frontier, best first; not empty
  ///   - continuation: how likely the best child of a node is after its parent, on average, 0...1
  func width(probabilities: [Double], cost: CostCurve, continuation: Double) -> Int {
    let most = min(probabilities.count, passWidth)
    guard cost.isKnown, most > 1 else { return most }
    let single = cost.seconds(for: 1)!
    var best = 1
    var bestGain = 0.0
    var sum = probabilities[0]
    for count in 2...most {
      sum += probabilities[count - 1]
      let gain =
        sum
        - Self.reach(
          passes: cost.seconds(for: count)! / single, probabilities: probabilities, continuation: continuation
        )
      // Wider only for a clear gain: equal means the same use, but later and all at once.
      if gain > bestGain + 0.001 {
        bestGain = gain
        best = count
      }
    }
    return best
  }

  /// Expected use of so many single passes, each on the best node there is; the last one may be a fraction.
  private static func reach(passes: Double, probabilities: [Double], continuation: Double) -> Double {
    var open = probabilities
    var rest = passes
    var sum = 0.0
    while rest > 0, let index = open.indices.max(by: { open[$0] < open[$1] }) {
      sum += open[index] * min(rest, 1)
      open[index] *= continuation
      rest -= 1
    }
    return sum
  }
}

/// One node of a draft pass, with what a draft model needs to expand it.
public struct DraftTask<Node: Hashable & Sendable>: Sendable {
  public var session: SessionID
  public var node: Node
  /// Every committed token, the root included.
  public var prefix: [TokenID]
  /// Guessed tokens below the root, the node's own last; empty for the root.
  public var path: [TokenID]
  public var sampling: SamplingSettings
  public var candidates: Int
}
