extension TokenTree {
  /// What to do with a node that best-first traversal has reached.
  public enum Visit { case descend, skipChildren, stop }

  /// Visits nodes by falling path probability; of equals, the one created first. The root comes first.
  ///
  /// Because a child's path probability never exceeds its parent's and its serial is higher, a parent is
  /// always visited before its children.
  public func visitBestFirst(_ visit: (NodeID, _ pathProbability: Double) -> Visit) {
    visitRanked(minPathProbability: 0) { visit(NodeID(serial: $0.serial), $0.probability) }
  }

  /// The same for nodes of at least `minPathProbability`. O(k·c·log(k·c)) for k visits.
  @inline(__always)
  func visitRanked(minPathProbability: Double, _ visit: (RankedNode) -> Visit) {
    guard minPathProbability <= 1 else { return }
    var waiting = RankedNodes()
    var best = RankedNode(probability: 1, serial: nodes[0].serial, place: 0, parentTurn: Self.none)
    var turn: Int32 = 0
    while true {
      switch visit(best) {
      case .stop: return
      case .skipChildren: break
      case .descend:
        var child = nodes[Int(best.place)].firstChild
        while child != Self.none {
          let node = nodes[Int(child)]
          if node.pathProbability >= minPathProbability {
            waiting.insert(
              RankedNode(
                probability: node.pathProbability, serial: node.serial, place: child, parentTurn: turn))
          }
          child = node.nextSibling
        }
      }
      guard let next = waiting.popBest() else { return }
      best = next
      turn += 1
    }
  }

  /// The nodes most worth expanding, best first.
  ///
  /// An unexpanded node ranks by its path probability. An expanded one that gave up children ranks by the path
  /// probability of the likeliest of them: that is what expanding it again would bring.
  ///
  /// - Parameters:
  ///   - limit: how many at most
  ///   - minPathProbability: leave out what ranks lower than this
  ///   - maxDepth: leave out nodes further below the root than this
  ///   - lost: how likely, after the node, the likeliest child is that it gave up; 0: it has all
  ///   - isEligible: whether a node may be taken
  public func frontier(
    limit: Int, minPathProbability: Double, maxDepth: Int, lost: (Annotation) -> Float = { _ in 0 },
    isEligible: (NodeID) -> Bool = { _ in true }
  ) -> [(node: NodeID, rank: Double)] {
    var result: [(NodeID, Double)] = []
    guard limit > 0 else { return result }
    let deepest = rootPosition + maxDepth
    // Expanded ones that were visited and rank lower than what is visited.
    var stunted = RankedNodes()
    func take(_ ranked: RankedNode) {
      let id = NodeID(serial: ranked.serial)
      if result.count < limit, isEligible(id) { result.append((id, ranked.probability)) }
    }
    visitRanked(minPathProbability: minPathProbability) { ranked in
      while let best = stunted.best, best.precedes(ranked), let next = stunted.popBest() { take(next) }
      let node = nodes[Int(ranked.place)]
      if !node.isExpanded {
        take(ranked)
      } else {
        var again = ranked
        again.probability *= Double(lost(annotations[Int(ranked.place)]))
        if again.probability > 0, again.probability >= minPathProbability { stunted.insert(again) }
      }
      if result.count == limit { return .stop }
      return node.position < deepest ? .descend : .skipChildren
    }
    while result.count < limit, let next = stunted.popBest() { take(next) }
    return result
  }
}
