/// Making room in a full tree.
extension TokenTree {
  /// Removes the least likely nodes; of equals, the youngest. O(n).
  ///
  /// A child is never likelier than its parent and always younger, so a node goes after everything below it, and
  /// what is left is the tree of the likeliest.
  ///
  /// - Parameters:
  ///   - count: how many, at most
  ///   - bound: only nodes that are less likely than this
  ///   - mayGo: asked of every node but the root, by its place. Below a node that may go, all may go
  ///   - orphaned: told of a parent, before anything is removed, that it will lose a child of that probability after
  ///     it. The parent may go itself
  ///   - removed: called once for each node that goes, in the order of creation
  /// - Returns: the path probability of the likeliest node that went; nil when none did
  package mutating func removeLeastLikely(
    _ count: Int, below bound: Double = .infinity, mayGo: (_ place: Int, Annotation) -> Bool,
    orphaned: (_ parent: inout Annotation, _ probability: Float) -> Void,
    removed: (NodeID, Annotation) -> Void
  ) -> Double? {
    var removable: [Int32] = []
    var probabilities: [Double] = []
    removable.reserveCapacity(nodes.count)
    probabilities.reserveCapacity(nodes.count)
    for place in nodes.indices.dropFirst()
    where nodes[place].pathProbability < bound && mayGo(place, annotations[place]) {
      removable.append(Int32(place))
      probabilities.append(nodes[place].pathProbability)
    }
    let going = min(count, removable.count)
    guard going > 0 else { return nil }
    let likeliest = probabilities.smallest(going)
    var equals = going
    for place in removable where nodes[Int(place)].pathProbability < likeliest { equals -= 1 }
    var goes = [Bool](repeating: false, count: nodes.count)
    for place in removable.reversed() {
      let node = nodes[Int(place)]
      guard node.pathProbability < likeliest || node.pathProbability == likeliest && equals > 0 else {
        continue
      }
      if node.pathProbability == likeliest { equals -= 1 }
      goes[Int(place)] = true
      annotate(place: Int(node.parent)) { orphaned(&$0, node.probability) }
    }
    keep(below: 0, removed) { !goes[$0] }
    return likeliest
  }
}

extension [Double] {
  /// The largest of the `count` smallest. Reorders the array. O(n) on average: quickselect, whose pivots are the
  /// medians of first, middle and last.
  fileprivate mutating func smallest(_ count: Int) -> Double {
    withUnsafeMutableBufferPointer { values in
      let wanted = count - 1
      var low = 0
      var high = values.count - 1
      while low < high {
        let (a, b, c) = (values[low], values[(low + high) / 2], values[high])
        let pivot = Swift.max(Swift.min(a, b), Swift.min(Swift.max(a, b), c))
        var left = low
        var right = high
        while left <= right {
          while values[left] < pivot { left += 1 }
          while values[right] > pivot { right -= 1 }
          if left <= right {
            values.swapAt(left, right)
            left += 1
            right -= 1
          }
        }
        if wanted <= right {
          high = right
        } else if wanted >= left {
          low = left
        } else {
          break
        }
      }
      return values[wanted]
    }
  }
}
