/// Chooses what one target pass checks, for all its sessions together.
///
/// All sessions share the pass, so a guess of one lengthens the step of all. Guesses are taken by falling path
/// probability, whosever they are, and as many of them as give the most expected committed tokens per second of the
/// whole pass, `(sessions + sum of path probabilities) / T(sessions + guesses)`. It depends on ratios of T alone, so
/// a machine that slows down as a whole changes nothing.
///
/// Guesses never take cells from anybody: they have what their session has claimed beyond its text, and what nobody
/// has claimed.
package struct PassComposer: Sendable {
  package struct Member {
    /// Cells that it has claimed beyond its text.
    var slack: Int
    /// Whether all guesses are taken, whatever they cost.
    var takesEverything: Bool
    /// How many nodes of its offer were chosen.
    package internal(set) var chosen = 0
    /// Which nodes of the offer have a child among the chosen ones; -1, the root, at 0.
    fileprivate var hasChild: [Bool] = []
    /// A node of it did not fit: those after it may be its children.
    fileprivate var isClosed = false
  }

  private struct Candidate {
    var member: Int
    var index: Int
    var parent: Int32
    var probability: Double
  }

  package private(set) var members: [Member] = []
  private var candidates: [Candidate] = []

  package init() {}

  package mutating func begin() {
    members.removeAll(keepingCapacity: true)
    candidates.removeAll(keepingCapacity: true)
  }

  package mutating func add(_ offer: SessionMachine.Offer, slack: Int, takesEverything: Bool) {
    let member = members.count
    members.append(Member(slack: slack, takesEverything: takesEverything))
    members[member].hasChild = Array(repeating: false, count: offer.nodes.count + 1)
    for index in offer.nodes.indices {
      candidates.append(
        Candidate(
          member: member, index: index, parent: offer.nodes[index].parent,
          probability: offer.probabilities[index]))
    }
  }

  /// - Parameters:
  ///   - cost: T(n)
  ///   - freeCells: cells that nobody has claimed
  ///   - freeBranches: branches beyond one for each session
  package mutating func choose(cost: CostCurve, freeCells: Int, freeBranches: Int) {
    guard !candidates.isEmpty else { return }
    if members.count > 1 {
      // Those that are taken at any cost come first; equals stay in the order of their sessions and nodes.
      candidates.sort { a, b in
        let forced = (members[a.member].takesEverything, members[b.member].takesEverything)
        if forced.0 != forced.1 { return forced.0 }
        if a.probability != b.probability { return a.probability > b.probability }
        return a.member != b.member ? a.member < b.member : a.index < b.index
      }
    }
    var cells = freeCells
    var branches = freeBranches
    var expected = Double(members.count)
    var taken: [Int] = []
    taken.reserveCapacity(candidates.count)
    var best = 0
    var bestRate = 0.0
    if let seconds = cost.seconds(for: members.count) { bestRate = expected / seconds }
    for candidate in candidates {
      guard admit(candidate, &cells, &branches) else { continue }
      taken.append(candidate.member)
      expected += candidate.probability
      guard cost.isKnown, !members[candidate.member].takesEverything else {
        best = taken.count
        if let seconds = cost.seconds(for: members.count + best) { bestRate = expected / seconds }
        continue
      }
      let rate = expected / cost.seconds(for: members.count + taken.count)!
      if rate > bestRate {
        bestRate = rate
        best = taken.count
      }
    }
    for member in taken.prefix(best) { members[member].chosen += 1 }
  }

  /// Whether a guess fits: a cell for it, and a branch where it is no first child.
  private mutating func admit(_ candidate: Candidate, _ cells: inout Int, _ branches: inout Int) -> Bool {
    let member = candidate.member
    if members[member].isClosed { return false }
    let parent = Int(candidate.parent) + 1
    let needsBranch = members[member].hasChild[parent]
    guard members[member].slack > 0 || cells > 0, !needsBranch || branches > 0 else {
      members[member].isClosed = true
      return false
    }
    if members[member].slack > 0 { members[member].slack -= 1 } else { cells -= 1 }
    if needsBranch { branches -= 1 }
    members[member].hasChild[parent] = true
    return true
  }
}
