/// How likely the best child of a node is after its parent, over the recent expansions.
struct ContinuationEstimate: Hashable, Sendable {
  /// 0...1.
  private(set) var mean = 0.8

  /// - Parameter best: probability of an expansion's best candidate; nil when it kept none
  mutating func observe(_ best: Float?) {
    mean += 0.05 * (Double(best ?? 0) - mean)
  }
}
