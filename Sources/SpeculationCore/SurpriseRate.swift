/// How often news finds a drafter unprepared: commits that lead to a node that it has not expanded, for each second of
/// drafting.
///
/// Until such a root is expanded the target has nothing to verify, and the expansion has to wait for the end of the
/// pass under way: this is what a long pass costs.
package struct SurpriseRate: Hashable, Sendable {
  private var surprises = 0.0
  private var seconds = 0.0

  /// Weight of what was before a commit in what is known after it: a memory of some thirty commits.
  private static let memory = 0.97

  package init() {}

  /// Surprises for each second of drafting, O(1).
  package var perSecond: Double { seconds > 0 ? surprises / seconds : 0 }

  package mutating func drafted(seconds new: Double) { seconds += new }

  package mutating func committed(isSurprise: Bool) {
    surprises = Self.memory * surprises + (isSurprise ? 1 : 0)
    seconds *= Self.memory
  }
}
