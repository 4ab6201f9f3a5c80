import Simulator
import SpeculationCore
import SpeculationTesting
import SplitMix
import Testing

/// A tree beside its naive model; every operation goes to both and both are compared.
private struct Pair {
  var tree: TokenTree<Int>
  var naive: NaiveTree
  /// Every id there ever was: the dead must be known as dead.
  var dead: [TokenTree<Int>.NodeID] = []
  var nextAnnotation = 1

  init() {
    tree = TokenTree(root: 7, position: 3, annotation: 0)
    naive = NaiveTree(root: 7, position: 3, annotation: 0)
  }

  func node(_ path: [TokenID]) -> TokenTree<Int>.NodeID? {
    var node = tree.root
    for token in path {
      guard let child = tree.child(of: node, token: token) else { return nil }
      node = child
    }
    return node
  }

  mutating func expand(_ path: [TokenID], entropy: Float, candidates: [Candidate]) throws {
    let annotations = candidates.indices.map { nextAnnotation + $0 }
    nextAnnotation += candidates.count
    let isThere = candidates.map { naive.nodes[path + [$0.token]] != nil }
    let children = tree.expand(node(path)!, entropy: entropy, candidates: candidates) { annotations[$0] }
    naive.expand(path, entropy: entropy, candidates: candidates, annotations: annotations)
    try require(children.map(\.isNew) == isThere.map { !$0 }, "expand says wrongly what is new")
    try require(children.map { tree.token(of: $0.child) } == candidates.map(\.token), "children out of order")
  }

  /// A single guess, if it is not there yet; else another probability for it.
  mutating func guess(_ path: [TokenID], _ token: TokenID, probability: Float) throws {
    if let known = node(path + [token]) {
      tree.setProbability(of: known, to: probability)
      naive.nodes[path + [token]]!.probability = probability
    } else {
      let new = tree.attach(
        token, below: node(path)!, probability: probability, annotation: nextAnnotation)
      try require(tree.token(of: new) == token, "attached another token")
      naive.attach(path + [token], probability: probability, annotation: nextAnnotation)
      nextAnnotation += 1
    }
  }

  mutating func reroot(at path: [TokenID]) throws {
    var gone: [Int] = []
    var ids: [TokenTree<Int>.NodeID] = []
    tree.reroot(at: node(path)!) { id, annotation in
      gone.append(annotation)
      ids.append(id)
    }
    dead += ids
    try require(gone.sorted() == naive.reroot(at: path), "re-rooting removes the wrong nodes")
  }

  mutating func restart(root: TokenID, position: Int) throws {
    var gone: [Int] = []
    var ids: [TokenTree<Int>.NodeID] = []
    tree.restart(root: root, position: position, annotation: nextAnnotation) { id, annotation in
      gone.append(annotation)
      ids.append(id)
    }
    dead += ids
    let expected = naive.restart(root: root, position: position, annotation: nextAnnotation)
    nextAnnotation += 1
    try require(gone.sorted() == expected, "restarting removes the wrong nodes")
  }

  mutating func prune(_ path: [TokenID]) throws {
    var gone: [Int] = []
    var ids: [TokenTree<Int>.NodeID] = []
    tree.prune(node(path)!) { id, annotation in
      gone.append(annotation)
      ids.append(id)
    }
    dead += ids
    try require(gone.sorted() == naive.prune(path), "pruning removes the wrong nodes")
  }

  /// - Parameter held: it and its ancestors have to stay
  mutating func removeLeastLikely(_ count: Int, held: [TokenID]) throws {
    var held = Set(held.indices.map { naive.nodes[Array(held[...$0])]!.annotation })
    held.insert(naive.nodes[[]]!.annotation)
    var gone: [Int] = []
    var ids: [TokenTree<Int>.NodeID] = []
    var lost: [Int: Float] = [:]
    let likeliest = tree.removeLeastLikely(count, mayGo: { !held.contains($1) }) {
      lost[$0, default: 0].formMax($1)
    } removed: { id, annotation in
      gone.append(annotation)
      ids.append(id)
    }
    dead += ids
    let annotations = naive.nodes.mapValues(\.annotation)
    let expected = naive.removeLeastLikely(count) { !held.contains(annotations[$0]!) }
    try require(gone.sorted() == expected.gone, "removes \(gone), not \(expected.gone)")
    try require(ids.map(\.serial) == ids.map(\.serial).sorted(), "removes out of order")
    try require(likeliest == expected.likeliest, "another likeliest")
    try require(lost == expected.lost, "parents are told of other losses")
  }

  /// Compares everything that can be asked of a tree.
  func compare() throws {
    if let broken = tree.brokenInvariant { throw CheckFailure(broken) }
    try require(tree.count == naive.nodes.count, "\(tree.count) nodes, not \(naive.nodes.count)")
    try require(
      tree.rootPosition == naive.rootPosition && tree.token(of: tree.root) == naive.rootToken, "another root")
    for (path, expected) in naive.nodes {
      guard let node = node(path) else { throw CheckFailure("\(path) is missing") }
      try require(tree.contains(node) && tree.path(to: node) == path, "\(path) is not where it is found")
      try require(tree.depth(of: node) == path.count, "depth of \(path)")
      try require(tree.position(of: node) == naive.rootPosition + path.count, "position of \(path)")
      // Above a root nothing is known; its probability after its parent stays what it was.
      try require(tree.probability(of: node) == expected.probability, "probability of \(path)")
      try require(tree.entropy(of: node) == expected.entropy, "entropy of \(path)")
      try require(tree.isExpanded(node) == (expected.entropy != nil), "expansion of \(path)")
      try require(tree.annotation(of: node) == expected.annotation, "annotation of \(path)")
      let children = tree.children(of: node).map { tree.token(of: $0) }
      try require(children == naive.children(of: path), "children of \(path)")
      let parent = tree.parent(of: node).map { tree.path(to: $0) }
      try require(parent == (path.isEmpty ? nil : Array(path.dropLast())), "parent of \(path)")
    }
    for id in dead { try require(!tree.contains(id), "a removed node is still there") }
    let order = naive.bestFirst
    var visited: [[TokenID]] = []
    tree.visitBestFirst { node, probability in
      visited.append(tree.path(to: node))
      if probability != tree.pathProbability(of: node) { visited.append([-1]) }
      return .descend
    }
    try require(visited == order, "best first is \(visited), not \(order)")
  }

  /// Expanded nodes whose annotation is a multiple of three have given up a child of 0.5.
  func compareFrontierWithLosses(minPathProbability: Double) throws {
    let ranks = naive.bestFirst.compactMap { path -> (path: [TokenID], rank: Double)? in
      let node = naive.nodes[path]!
      let isStunted = node.annotation % 3 == 0
      let rank = naive.pathProbability(path) * (node.entropy == nil ? 1 : isStunted ? 0.5 : 0)
      return node.entropy == nil || isStunted ? (path, rank) : nil
    }
    let expected = ranks.filter { path, rank in
      rank >= minPathProbability && (rank > 0 || naive.nodes[path]!.entropy == nil)
    }
    .sorted {
      $0.rank != $1.rank ? $0.rank > $1.rank : naive.nodes[$0.path]!.serial < naive.nodes[$1.path]!.serial
    }
    let found = tree.frontier(
      limit: 5, minPathProbability: minPathProbability, maxDepth: 100, lost: { $0 % 3 == 0 ? 0.5 : 0 })
    try require(
      found.map { tree.path(to: $0.node) } == expected.prefix(5).map(\.path), "frontier with losses")
    try require(found.map(\.rank) == expected.prefix(5).map(\.rank), "ranks in the frontier")
  }

  /// Compares what the frontier leaves out under limits.
  func compareFrontier(limit: Int, minPathProbability: Double, maxDepth: Int) throws {
    let expected = naive.bestFirst.filter {
      naive.nodes[$0]!.entropy == nil && naive.pathProbability($0) >= minPathProbability
        && $0.count <= maxDepth && $0.count % 3 != 2
    }
    let found = tree.frontier(
      limit: limit, minPathProbability: minPathProbability, maxDepth: maxDepth,
      isEligible: { tree.depth(of: $0) % 3 != 2 })
    try require(found.map { tree.path(to: $0.node) } == Array(expected.prefix(max(limit, 0))), "frontier")
    for (node, probability) in found {
      try require(probability == naive.pathProbability(tree.path(to: node)), "probability in the frontier")
    }
  }
}

private func require(_ condition: Bool, _ message: @autoclosure () -> String) throws {
  if !condition { throw CheckFailure(message()) }
}

@Suite struct TokenTreeTests {
  /// Every sequence of up to three operations, on a vocabulary of two.
  @Test func allSmallHistories() throws {
    var histories = 0
    func explore(_ pair: Pair, _ depth: Int) throws {
      histories += 1
      try pair.compare()
      try pair.compareFrontier(limit: 2, minPathProbability: 0.3, maxDepth: 1)
      try pair.compareFrontierWithLosses(minPathProbability: 0.2)
      guard depth > 0 else { return }
      for path in pair.naive.bestFirst {
        let guesses: [[Candidate]] = [
          [], [Candidate(token: 1, probability: 0.5)],
          [Candidate(token: 2, probability: 0.5), Candidate(token: 1, probability: 0.25)],
        ]
        for candidates in guesses {
          var next = pair
          try next.expand(path, entropy: Float(candidates.count), candidates: candidates)
          try explore(next, depth - 1)
        }
        for probability: Float in [0.25, 1] {
          var guessed = pair
          try guessed.guess(path, 1, probability: probability)
          try explore(guessed, depth - 1)
        }
        var moved = pair
        try moved.reroot(at: path)
        try explore(moved, depth - 1)
        if !path.isEmpty {
          var pruned = pair
          try pruned.prune(path)
          try explore(pruned, depth - 1)
        }
        var cut = pair
        try cut.removeLeastLikely(2, held: path)
        try explore(cut, depth - 1)
      }
      var restarted = pair
      try restarted.restart(root: 1, position: pair.naive.rootPosition + 2)
      try explore(restarted, depth - 1)
    }
    try explore(Pair(), 3)
    #expect(histories > 1_000)
  }

  @Test func longRandomHistories() throws {
    try forEachSeed(count: 200) { seed in
      var random = SplitMix64(seed: seed)
      var pair = Pair()
      for _ in 0..<80 {
        let paths = pair.naive.bestFirst
        let path = paths.randomElement(using: &random)!
        switch random.uniform() {
        case ..<0.15 where paths.count < 40:
          try pair.guess(
            path, TokenID.random(in: 0..<6, using: &random),
            probability: [0, 0.25, 0.5, 1].randomElement(using: &random)!)
        case ..<0.75 where paths.count < 40:
          let first = TokenID.random(in: 0..<6, using: &random)
          let candidates = (0..<Int.random(in: 0...4, using: &random)).map {
            // Powers of two and few of them: many equal products, which creation has to order.
            Candidate(
              token: (first + TokenID($0)) % 6,
              probability: [0, 0.25, 0.5, 0.5, 1].randomElement(using: &random)!)
          }
          try pair.expand(path, entropy: Float(random.uniform()), candidates: candidates)
        case ..<0.85:
          // Near the root, so that something is left.
          try pair.reroot(at: Array(path.prefix(Int.random(in: 0...2, using: &random))))
        case ..<0.9:
          try pair.removeLeastLikely(
            Int.random(in: 0...12, using: &random), held: random.chance(0.5) ? path : [])
        case ..<0.92: try pair.restart(root: 5, position: pair.naive.rootPosition + 1)
        default: if !path.isEmpty { try pair.prune(path) }
        }
        try pair.compare()
        try pair.compareFrontierWithLosses(minPathProbability: random.chance(0.5) ? 0 : 0.2)
        try pair.compareFrontier(
          limit: Int.random(in: 0...8, using: &random),
          minPathProbability: [0, 0.1, 0.5].randomElement(using: &random)!,
          maxDepth: Int.random(in: 0...4, using: &random))
      }
    }
  }

  @Test func visitsCanSkipAndStop() {
    var tree = TokenTree(root: 0, position: 0, annotation: ())
    let children = tree.expand(
      tree.root, entropy: 1,
      candidates: [Candidate(token: 1, probability: 0.6), Candidate(token: 2, probability: 0.4)]
    ) { _ in () }
    tree.expand(children[0].child, entropy: 1, candidates: [Candidate(token: 3, probability: 0.9)]) { _ in ()
    }
    var seen: [TokenID] = []
    tree.visitBestFirst { node, _ in
      seen.append(tree.token(of: node))
      return tree.token(of: node) == 1 ? .skipChildren : .descend
    }
    #expect(seen == [0, 1, 2])
    seen = []
    tree.visitBestFirst { node, _ in
      seen.append(tree.token(of: node))
      return seen.count == 2 ? .stop : .descend
    }
    #expect(seen == [0, 1])
  }

  /// Reaching a probability outside 0...1 would let a child overtake its parent.
  @Test func probabilitiesAreClamped() {
    var tree = TokenTree(root: 0, position: 0, annotation: ())
    let children = tree.expand(
      tree.root, entropy: 0,
      candidates: [Candidate(token: 1, probability: 1.0005), Candidate(token: 2, probability: -0.5)]
    ) { _ in () }
    #expect(children.map { tree.probability(of: $0.child) } == [1, 0])
    #expect(tree.brokenInvariant == nil)
  }
}
