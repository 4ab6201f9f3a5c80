/// What a worker has done for one session, in counts.
public struct WorkerTally: Hashable, Sendable {
  /// Expansions received.
  public var expansions = 0
  /// Of those, the ones that came too late: their node was pruned or committed before.
  public var late = 0
  /// Committed tokens that it had named before they were decided.
  public var foreseen = 0
  /// Sum of the probabilities that it gave them. Who names many tokens foresees the right one, too, and helps nobody.
  public var sureness = 0.0

  /// - Parameter sureness: nil for a worker that was certain of all that it foresaw
  public init(expansions: Int = 0, late: Int = 0, foreseen: Int = 0, sureness: Double? = nil) {
    self.sureness = sureness ?? Double(foreseen)
    self.expansions = expansions
    self.late = late
    self.foreseen = foreseen
  }

  public static func += (a: inout Self, b: Self) {
    a.expansions += b.expansions
    a.late += b.late
    a.foreseen += b.foreseen
    a.sureness += b.sureness
  }

  /// Foreseen tokens that were of use: an honest worker gives them two thirds of the probability or more, on average.
  var useful: Double { min(Double(foreseen), 1.5 * sureness) }
}
