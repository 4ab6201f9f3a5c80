/// Redundancy: what is worth drafting locally beside the target pass, or before it.
extension SessionMachine {
  /// What the policies of drafting locally weigh.
  package struct LocalOutlook {
    package var now: Timestamp
    /// T(1) in seconds; nil while unknown.
    package var targetSeconds: Double?

    package init(now: Timestamp, targetSeconds: Double?) {
      self.now = now
      self.targetSeconds = targetSeconds
    }
  }

  /// Whether the schedule asks for drafting before the next verification.
  var isToDraftFirst: Bool {
    guard case .beforeVerification(let length) = configuration.localSchedule else { return false }
    return draftedThisStep < length && mayDraftAtLocal
  }

  private var mayDraftAtLocal: Bool {
    localIsUsable && !isLocalDrafting && gate.isOpen && configuration.localPolicy != .never
  }

  /// Nodes that the local draft model may take at once now; 0 where the schedule or the policy wants none.
  private var localAllowance: Int {
    guard mayDraftAtLocal else { return 0 }
    switch (configuration.localSchedule, state) {
    case (.overlapped, .verifying): return configuration.localLimits.passWidth
    case (.beforeVerification(let length), .drafting):
      return min(length - draftedThisStep, configuration.localLimits.passWidth)
    default: return 0
    }
  }

  /// The nodes that are worth a local draft pass now, best first. A session that was to draft first and finds nothing
  /// worth it is ready after this.
  package mutating func localFrontier(_ outlook: LocalOutlook) -> [(node: NodeID, rank: Double)] {
    var frontier: [(node: NodeID, rank: Double)] = []
    let allowance = localAllowance
    // A guess at depth d is of use when d + 1 more tokens can be committed; expanding a node guesses below it.
    if allowance > 0, usableDepth > 0 {
      let limits = configuration.localLimits
      frontier = tree.frontier(
        limit: allowance, minPathProbability: max(limits.minPathProbability, leastWorthwhile(outlook)),
        maxDepth: min(limits.maxDepth, usableDepth - 1), lost: \.lost
      ) { isWorthDraftingLocally($0, outlook) }.filter { $0.rank > floor }
    }
    if frontier.isEmpty, case .drafting = state { state = .ready }
    return frontier
  }

  /// A local draft pass over these nodes begins.
  package mutating func beginLocalDraft(_ nodes: some Sequence<NodeID>) -> [DraftTask<NodeID>] {
    isLocalDrafting = true
    return nodes.map { node in
      DraftTask(
        session: session, node: node, prefix: tokens, path: tree.path(to: node), sampling: sampling,
        candidates: configuration.localLimits.candidates)
    }
  }

  /// Path probability below which no local draft pass is worth its price.
  ///
  /// A pass over a node at path probability p opens a child that is right with probability p times the mean
  /// continuation; a guess that is right saves a target pass of its own for that token, T(1).
  private func leastWorthwhile(_ outlook: LocalOutlook) -> Double {
    guard case .value(let price) = configuration.localPolicy, let single = outlook.targetSeconds else {
      return 0
    }
    return price.inSeconds / (single * max(continuation.mean, 0.05))
  }

  /// What the policy says of one unexpanded node.
  private func isWorthDraftingLocally(_ node: NodeID, _ outlook: LocalOutlook) -> Bool {
    switch configuration.localPolicy {
    case .never: false
    case .always: true
    case .entropy(let threshold):
      !tree.annotation(of: tree.root).isExpandedByWorker
        || tree.annotation(of: node).names.isEmpty
          && tree.parent(of: node).map { (tree.entropy(of: $0) ?? 0) > threshold } ?? true
    case .value: isComingTooLate(node, outlook)
    }
  }

  /// Whether every worker's expansion of a node would miss the start of the next step.
  ///
  /// A node that a worker has named lies on its tree: it comes to it in its own order, sooner than anything that
  /// is known here. Of any other node the worker learns by the commit that made the root the root.
  private func isComingTooLate(_ node: NodeID, _ outlook: LocalOutlook) -> Bool {
    let nextStep = stepBegan.advanced(by: Duration(inSeconds: outlook.targetSeconds ?? 0))
    let isNamed = !tree.annotation(of: node).names.isEmpty
    for mirror in workers.values {
      guard let delay = mirror.newsDelay else { continue }
      // Silent for longer than news takes there and back twice: it cannot be counted on.
      let patience = delay * 2 + Duration(inSeconds: 2 * (outlook.targetSeconds ?? 0))
      guard mirror.lastHeard.duration(to: outlook.now) <= patience else { continue }
      if isNamed { return false }
      if rootMoved.advanced(by: delay) <= nextStep { return false }
    }
    return true
  }
}
