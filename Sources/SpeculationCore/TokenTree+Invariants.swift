extension TokenTree {
  /// Everything that must hold between operations; the first breach as a sentence. For tests. O(n·c).
  package var brokenInvariant: String? {
    var linked = 1
    if nodes[0].parent != Self.none { return "the root has a parent" }
    for (index, node) in nodes.enumerated() {
      if find(NodeID(serial: node.serial)) != index {
        return "serial \(node.serial) does not lead to \(index)"
      }
      if index > 0 && node.serial <= nodes[index - 1].serial { return "\(index) is older than its neighbour" }
      var tokens: [TokenID] = []
      var last = Self.none
      var child = node.firstChild
      while child != Self.none {
        guard nodes.indices.contains(Int(child)) else { return "child \(child) is linked but not there" }
        let below = nodes[Int(child)]
        if below.parent != index { return "child \(child) of \(index) names parent \(below.parent)" }
        if child <= max(last, Int32(index)) { return "child \(child) lies before its parent or sibling" }
        if below.position != node.position + 1 { return "child \(child) is at position \(below.position)" }
        let expected = node.pathProbability * Double(below.probability)
        if abs(below.pathProbability - expected) > 1e-12 { return "path probability of \(child) is off" }
        if tokens.contains(below.token) { return "two children of \(index) with token \(below.token)" }
        tokens.append(below.token)
        linked += 1
        last = child
        child = below.nextSibling
      }
      if node.lastChild != last { return "last child of \(index) is \(node.lastChild), not \(last)" }
    }
    if linked != count { return "count is \(count), linked nodes are \(linked)" }
    if places.count != Int(nextSerial - nodes[0].serial) { return "\(places.count) places" }
    let used = places.count { $0 != Self.none }
    return used == count ? nil : "\(used) places used by \(count) nodes"
  }
}
