/// What a worker has done for one session, in counts.
public struct WorkerTally: Hashable, Sendable {
  /// Expansions received.
  public var expansions = 0
  /// Of those, the ones that came too late: their node was pruned or committed before.
  public var late = 0
  /// Committed tokens that it had named before they were decided.
  public var foreseen = 0

  public init(expansions: Int = 0, late: Int = 0, foreseen: Int = 0) {
    self.expansions = expansions
    self.late = late
    self.foreseen = foreseen
  }

  public static func += (a: inout Self, b: Self) {
    a.expansions += b.expansions
    a.late += b.late
    a.foreseen += b.foreseen
  }
}
