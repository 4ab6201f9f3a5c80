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

  /// The most probable unexpanded nodes, best first.
  ///
  /// - Parameters:
  ///   - limit: how many at most
  ///   - minPathProbability: leave out what is less likely to be used than this
  ///   - maxDepth: leave out nodes further below the root than this
  ///   - isEligible: asked only of unexpanded nodes
  public func frontier(
    limit: Int, minPathProbability: Double, maxDepth: Int, isEligible: (NodeID) -> Bool = { _ in true }
  ) -> [(node: NodeID, pathProbability: Double)] {
    var result: [(NodeID, Double)] = []
    guard limit > 0 else { return result }
    let deepest = rootPosition + maxDepth
    visitRanked(minPathProbability: minPathProbability) { ranked in
      let node = nodes[Int(ranked.place)]
      let id = NodeID(serial: node.serial)
      if !node.isExpanded && isEligible(id) {
        result.append((id, ranked.probability))
        if result.count == limit { return .stop }
      }
      return node.position < deepest ? .descend : .skipChildren
    }
    return result
  }
}
