/// Whether what a worker sends is of any use.
///
/// A worker that drafts honestly foresees a fair share of tokens; one that sends junk, or whose answers always come
/// too late, foresees none however much it sends, and every guess that is checked in vain costs the target time.
struct WorkerStanding: Hashable, Sendable {
  /// Since it attached.
  private(set) var total = WorkerTally()
  private var expansions = 0.0
  private var late = 0.0
  private var foreseen = 0.0

  /// Expansions after which older ones fade.
  private static let memory = 2048.0
  /// Expansions before anything is held against a worker.
  private static let patience = 1024.0
  /// Foreseen tokens for each expansion that earn full marks: a wide tree expands many nodes for each token.
  private static let good = 0.04
  private static let leastUseful = 0.004

  mutating func observe(_ tally: WorkerTally) {
    total += tally
    expansions += Double(tally.expansions)
    late += Double(tally.late)
    foreseen += Double(tally.foreseen)
    if expansions > Self.memory {
      let keep = Self.memory / expansions
      expansions *= keep
      late *= keep
      foreseen *= keep
    }
  }

  /// 1 for a worker whose expansions help, towards 0 where they never do.
  var score: Double {
    let prior = 64.0
    return min(1, (foreseen + prior * Self.good) / (expansions + prior) / Self.good)
  }

  /// nil while the worker may stay.
  var reasonToExclude: String? {
    guard expansions >= Self.patience, foreseen < Self.leastUseful * expansions else { return nil }
    let share = late / expansions
    let what = "of its last \(Int(expansions)) expansions hardly any helped"
    return share > 0.9 ? what + ", as \(Int(share * 100))% came too late" : what
  }
}
