/// How widely and how far ahead a draft model guesses. Used by workers and by drafting locally alike.
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
  /// Nodes that one session's tree may hold, at least `treeSizes.lowerBound`. A full one gives up the least likely for
  /// likelier ones.
  public var maxNodes: Int

  /// What each limit may be.
  public static let passWidths = 1...256
  public static let candidateCounts = 1...64
  public static let depths = 1...1024
  /// A tree of fewer nodes is of no use.
  public static let treeSizes = 16...65536

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
    func outside(_ range: ClosedRange<Int>, _ value: Int, _ name: String) -> String? {
      range.contains(value)
        ? nil : "\(name) must be between \(range.lowerBound) and \(range.upperBound), not \(value)"
    }
    if let problem = outside(Self.passWidths, passWidth, "pass width") { return problem }
    if let problem = outside(Self.candidateCounts, candidates, "candidates") { return problem }
    if !(0...1).contains(minProbability) { return "minimum probability must be between 0 and 1" }
    if !(0...1).contains(minPathProbability) { return "minimum path probability must be between 0 and 1" }
    return outside(Self.depths, maxDepth, "maximum depth")
      ?? outside(Self.treeSizes, maxNodes, "maximum nodes")
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
  ///   - surprises: new roots without an expansion, for each second of drafting. Each waits for the rest of the pass
  ///     under way, half of it on average, and while it waits single passes would have been of some use
  package func width(
    probabilities: some RandomAccessCollection<Double>, cost: CostCurve, continuation: Double,
    surprises: Double = 0
  ) -> Int {
    let most = min(probabilities.count, passWidth)
    guard cost.isKnown, most > 1 else { return most }
    let single = cost.seconds(for: 1)!
    var best = 1
    var bestGain = 0.0
    var sum = 0.0
    var singles = SinglePasses(probabilities, continuation: continuation)
    for (count, probability) in zip(1...most, probabilities) {
      sum += probability
      if count == 1 { continue }
      let seconds = cost.seconds(for: count)!
      let waiting = surprises * seconds * (seconds - single) / 2 / single
      let gain = sum - singles.use(of: seconds / single) - waiting
      // Wider only for a clear gain: equal means the same use, but later and all at once.
      if gain > bestGain + 0.001 {
        bestGain = gain
        best = count
      }
    }
    return best
  }
}

/// What single passes would do, one after the other, each on the best node there is: a frontier node, or the child
/// that an earlier one of them opened.
private struct SinglePasses<Frontier: RandomAccessCollection<Double>> {
  private let frontier: Frontier
  private let continuation: Double
  private var nextFrontier: Frontier.Index
  /// Path probabilities of the nodes in the order in which they are taken. They fall, and so do their children's:
  /// the best of the opened nodes is always the first that is left.
  private var taken: [Double] = []
  private var nextOpened = 0
  /// Sums of the first 0, 1, 2... of them.
  private var sums = [0.0]

  /// - Parameter frontier: path probabilities, best first; not empty
  init(_ frontier: Frontier, continuation: Double) {
    self.frontier = frontier
    self.continuation = continuation
    nextFrontier = frontier.startIndex
  }

  /// Expected use of so many passes; the last one may be a fraction. O(passes).
  mutating func use(of passes: Double) -> Double {
    var whole = 0
    var rest = passes
    while rest >= 1 {
      rest -= 1
      whole += 1
    }
    while taken.count <= whole { takeNext() }
    return rest > 0 ? sums[whole] + taken[whole] * rest : sums[whole]
  }

  private mutating func takeNext() {
    let opened = nextOpened < taken.count ? taken[nextOpened] * continuation : -1
    if nextFrontier < frontier.endIndex, frontier[nextFrontier] >= opened {
      taken.append(frontier[nextFrontier])
      frontier.formIndex(after: &nextFrontier)
    } else {
      taken.append(opened)
      nextOpened += 1
    }
    sums.append(sums.last! + taken.last!)
  }
}

/// One node of a draft pass, with what a draft model needs to expand it.
public struct DraftTask<Node: Hashable & Sendable>: Sendable {
  public var session: SessionID
  public var node: Node
  /// Every committed token, the root included; in an excerpt all but `skipped` of them.
  public var prefix: [TokenID]
  /// Guessed tokens below the root, the node's own last; empty for the root.
  public var path: [TokenID]
  public var sampling: SamplingSettings
  public var candidates: Int
  /// Committed tokens that the prefix leaves out. The root's position in the text is `skipped + prefix.count - 1`.
  public var skipped = 0
  /// Tells the excerpts of a session's text apart; 0 for the whole text.
  public var stage: UInt8 = 0

  /// The engine's name for the sequence that the prefix belongs to.
  public var sequence: SessionID { session.sequence(stage) }
}
