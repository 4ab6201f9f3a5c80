/// Redundancy: drafting at home beside the target pass, or before it.
extension ControllerMachine {
  /// Starts a home draft pass beside the target pass, if the policy wants one and none is under way.
  mutating func beginHomeDraft() -> [Action] {
    guard case .verifying = state, case .overlapped = configuration.homeSchedule else { return [] }
    return homeDraft(limit: configuration.homeLimits.passWidth)
  }

  mutating func homeDraft(limit: Int) -> [Action] {
    guard homeIsUsable, !isHomeDrafting, gate.isOpen, configuration.homePolicy != .never, limit > 0 else {
      return []
    }
    let limits = configuration.homeLimits
    // Every expansion may bring that many children: the whole pass has to fit.
    let fitting = max(0, treeLimit - tree.count) / limits.candidates
    // A guess at depth d is of use when d + 1 more tokens can be committed; expanding a node guesses below it.
    guard room > 0 else { return [] }
    let rootIsExpandedByWorker = tree.annotation(of: tree.root).isExpandedByWorker
    let frontier = tree.frontier(
      limit: min(limit, fitting), minPathProbability: limits.minPathProbability,
      maxDepth: min(limits.maxDepth, room - 1)
    ) { node in
      guard case .entropy(let threshold) = configuration.homePolicy else { return true }
      guard rootIsExpandedByWorker, let parent = tree.parent(of: node) else { return true }
      return (tree.entropy(of: parent) ?? 0) > threshold
    }
    guard !frontier.isEmpty else { return [] }
    let width = limits.width(
      probabilities: frontier.map(\.pathProbability), cost: homeCost, continuation: continuation.mean)
    isHomeDrafting = true
    return [
      .draftAtHome(
        frontier.prefix(width).map { node, _ in
          DraftTask(
            session: session, node: node, prefix: tokens, path: tree.path(to: node), sampling: sampling,
            candidates: limits.candidates)
        })
    ]
  }
}
