import SpeculationCore

/// The same as `TokenTree`, done the obvious way: every node is its path from the root.
struct NaiveTree {
  struct Node: Equatable {
    var probability: Float
    /// Order of creation.
    var serial: Int
    var entropy: Float?
    var annotation: Int
  }

  var rootToken: TokenID
  var rootPosition: Int
  /// By the tokens below the root; the root is the empty path.
  var nodes: [[TokenID]: Node]
  private var nextSerial = 1

  init(root: TokenID, position: Int, annotation: Int) {
    rootToken = root
    rootPosition = position
    nodes = [[]: Node(probability: 1, serial: 0, entropy: nil, annotation: annotation)]
  }

  mutating func expand(_ path: [TokenID], entropy: Float, candidates: [Candidate], annotations: [Int]) {
    if nodes[path]!.entropy == nil { nodes[path]!.entropy = entropy }
    for (candidate, annotation) in zip(candidates, annotations) where nodes[path + [candidate.token]] == nil {
      nodes[path + [candidate.token]] = Node(
        probability: candidate.probability, serial: nextSerial, entropy: nil, annotation: annotation)
      nextSerial += 1
    }
  }

  mutating func attach(_ path: [TokenID], probability: Float, annotation: Int) {
    nodes[path] = Node(probability: probability, serial: nextSerial, entropy: nil, annotation: annotation)
    nextSerial += 1
  }

  /// - Returns: the annotations of what went.
  mutating func reroot(at path: [TokenID]) -> [Int] {
    let (kept, gone) = split { $0.starts(with: path) }
    if let last = path.last { rootToken = last }
    rootPosition += path.count
    nodes = Dictionary(uniqueKeysWithValues: kept.map { (Array($0.key.dropFirst(path.count)), $0.value) })
    return gone
  }

  mutating func restart(root: TokenID, position: Int, annotation: Int) -> [Int] {
    let gone = split { _ in false }.gone
    rootToken = root
    rootPosition = position
    nodes = [[]: Node(probability: 1, serial: nextSerial, entropy: nil, annotation: annotation)]
    nextSerial += 1
    return gone
  }

  mutating func prune(_ path: [TokenID]) -> [Int] {
    let (kept, gone) = split { !$0.starts(with: path) }
    nodes = kept
    return gone
  }

  /// Removes the least likely leaf that may go, the youngest of equals, over and over.
  ///
  /// - Returns: the annotations of what went, the path probability of the likeliest, and for each parent's annotation
  ///   the likeliest child that it lost
  mutating func removeLeastLikely(
    _ count: Int, mayGo: ([TokenID]) -> Bool
  ) -> (gone: [Int], likeliest: Double?, lost: [Int: Float]) {
    var result: (gone: [Int], likeliest: Double?, lost: [Int: Float]) = ([], nil, [:])
    for _ in 0..<count {
      let leaf = bestFirst.last { path in
        !path.isEmpty && mayGo(path)
          && !nodes.keys.contains { $0.count > path.count && $0.starts(with: path) }
      }
      guard let leaf, let node = nodes[leaf] else { break }
      result.gone.append(node.annotation)
      result.likeliest = max(result.likeliest ?? 0, pathProbability(leaf))
      result.lost[nodes[Array(leaf.dropLast())]!.annotation, default: 0].formMax(node.probability)
      nodes[leaf] = nil
    }
    result.gone.sort()
    return result
  }

  private func split(_ keep: ([TokenID]) -> Bool) -> (kept: [[TokenID]: Node], gone: [Int]) {
    let kept = nodes.filter { keep($0.key) }
    return (kept, nodes.filter { !keep($0.key) }.map(\.value.annotation).sorted())
  }

  func pathProbability(_ path: [TokenID]) -> Double {
    path.indices.reduce(1) { $0 * Double(nodes[Array(path[...$1])]!.probability) }
  }

  /// All paths by falling path probability, then by creation.
  var bestFirst: [[TokenID]] {
    nodes.keys.map { ($0, pathProbability($0), nodes[$0]!.serial) }
      .sorted { $0.1 != $1.1 ? $0.1 > $1.1 : $0.2 < $1.2 }
      .map(\.0)
  }

  func children(of path: [TokenID]) -> [TokenID] {
    nodes.filter { $0.key.count == path.count + 1 && $0.key.starts(with: path) }
      .sorted { $0.value.serial < $1.value.serial }
      .map { $0.key.last! }
  }
}

extension Float {
  mutating func formMax(_ other: Float) { self = max(self, other) }
}
