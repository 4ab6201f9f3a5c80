/// Whether what a worker sends is of any use.
///
/// A worker that drafts honestly foresees a fair share of the tokens that are committed; one that sends junk, or whose
/// answers always come too late, foresees none however much it sends, and every guess that is checked in vain costs the
/// target time. How many expansions an honest one needs for a token says nothing: a fast one with a wide tree spends
/// thousands.
struct WorkerScore: Hashable, Sendable {
  /// Since it attached.
  private(set) var total = WorkerTally()
  private var expansions = 0.0
  private var late = 0.0
  private var foreseen = 0.0
  /// Committed by its sessions while it drafted.
  private var tokens = 0.0

  /// Tokens after which older ones fade.
  private static let memory = 512.0
  /// Expansions, and tokens, before anything is held against a worker.
  private static let patience = (expansions: 1024.0, tokens: 32.0)
  /// Share of the tokens foreseen that earns full marks, and that below which a worker is of no use.
  private static let good = 0.2
  private static let leastUseful = 0.02
  /// Tokens of full marks that a worker begins with.
  private static let prior = 4.0

  /// - Parameter committed: tokens of the session in the time of the tally
  mutating func observe(_ tally: WorkerTally, tokens committed: Int) {
    total += tally
    expansions += Double(tally.expansions)
    late += Double(tally.late)
    foreseen += Double(tally.foreseen)
    tokens += Double(committed)
    if tokens > Self.memory {
      let keep = Self.memory / tokens
      expansions *= keep
      late *= keep
      foreseen *= keep
      tokens *= keep
    }
  }

  /// 1 for a worker whose expansions help, towards 0 where they never do.
  var value: Double { min(1, (foreseen + Self.prior * Self.good) / (tokens + Self.prior) / Self.good) }

  /// nil while the worker may stay.
  var reasonToExclude: String? {
    guard expansions >= Self.patience.expansions, tokens >= Self.patience.tokens,
      foreseen < Self.leastUseful * tokens
    else { return nil }
    let share = late / expansions
    let what = "of its last \(Int(expansions)) expansions hardly any helped"
    return share > 0.9 ? what + ", as \(Int(share * 100))% came too late" : what
  }
}
