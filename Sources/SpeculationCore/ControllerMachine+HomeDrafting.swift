/// Redundancy: drafting at home beside the target pass, or before it.
extension ControllerMachine {
  /// Starts a home draft pass beside the target pass, if the policy wants one and none is under way.
  mutating func beginHomeDraft() -> Action? {
    guard homeIsUsable, case .verifying = state, case .overlapped = configuration.homeSchedule else {
      return nil
    }
    return homeDraft(limit: configuration.homeLimits.passWidth)
  }

  /// Path probability below which no home draft pass is worth its price.
  ///
  /// A pass over a node at path probability p opens a child that is right with probability p times the mean
  /// continuation; a guess that is right saves a target pass of its own for that token, T(1).
  private var leastWorthwhile: Double {
    guard case .value(let price) = configuration.homePolicy, let single = targetCost.seconds(for: 1) else {
      return 0
    }
    return price.inSeconds / (single * max(continuation.mean, 0.05))
  }

  /// What the policy says of one unexpanded node.
  private func isWorthDraftingAtHome(_ node: NodeID) -> Bool {
    switch configuration.homePolicy {
    case .never: false
    case .always: true
    case .entropy(let threshold):
      !tree.annotation(of: tree.root).isExpandedByWorker
        || tree.annotation(of: node).names.isEmpty
          && tree.parent(of: node).map { (tree.entropy(of: $0) ?? 0) > threshold } ?? true
    case .value: isComingTooLate(node)
    }
  }

  /// Whether every worker's expansion of a node would miss the start of the next step.
  ///
  /// A node that a worker has named lies on its tree: it comes to it in its own order, sooner than anything at
  /// home could know. Of any other node the worker learns by the commit that made the root the root.
  private func isComingTooLate(_ node: NodeID) -> Bool {
    let nextStep = stepBegan.advanced(by: Duration(inSeconds: targetCost.seconds(for: 1) ?? 0))
    let isNamed = !tree.annotation(of: node).names.isEmpty
    for mirror in workers.values {
      guard let delay = mirror.newsDelay else { continue }
      // Silent for longer than news takes there and back twice: it cannot be counted on.
      let patience = delay * 2 + Duration(inSeconds: 2 * (targetCost.seconds(for: 1) ?? 0))
      guard mirror.lastHeard.duration(to: now) <= patience else { continue }
      if isNamed { return false }
      if rootMoved.advanced(by: delay) <= nextStep { return false }
    }
    return true
  }

  mutating func homeDraft(limit: Int) -> Action? {
    guard homeIsUsable, !isHomeDrafting, gate.isOpen, configuration.homePolicy != .never, limit > 0 else {
      return nil
    }
    let limits = configuration.homeLimits
    // A guess at depth d is of use when d + 1 more tokens can be committed; expanding a node guesses below it.
    guard room > 0 else { return nil }
    let frontier = tree.frontier(
      limit: limit, minPathProbability: max(limits.minPathProbability, leastWorthwhile),
      maxDepth: min(limits.maxDepth, room - 1), lost: \.lost, isEligible: isWorthDraftingAtHome
    ).prefix { $0.rank > floor }
    guard !frontier.isEmpty else { return nil }
    let width = limits.width(
      probabilities: frontier.map(\.rank), cost: homeCost, continuation: continuation.mean)
    isHomeDrafting = true
    return .draftAtHome(
      frontier.prefix(width).map { node, _ in
        DraftTask(
          session: session, node: node, prefix: tokens, path: tree.path(to: node), sampling: sampling,
          candidates: limits.candidates)
      })
  }
}
