import SpeculationCore

/// What a pass wants to know about one session.
struct SessionWork {
  var session: SessionID
  var prefix: [TokenID]
  /// Guessed tokens, every parent before its children; -1 is the root.
  var tokens: [TokenID]
  var parents: [Int]
  /// Who wants the model's output after each node: indices into the pass's results.
  var owners: [[Int]]
  /// Who wants the output after the root.
  var rootOwners: [Int]
  /// Tokens of the prefix to evaluate at most, leaving the last one; nil for a work that wants results.
  var readingLimit: Int?
  /// Whether nothing may be taken over from another session.
  var readsAnew = false

  /// Leaves only the first tokens of the prefix to be evaluated; nobody gets a result.
  mutating func keepPrefix(_ count: Int) {
    prefix.removeLast(prefix.count - count)
    tokens = []
    parents = []
    owners = []
    rootOwners = []
  }
}

/// The tokens of a session that a pass has to run through the model, and the sequences they need.
struct SessionPlan {
  enum Parent: Hashable {
    case trunkEnd
    case cached(Int)
    case new(Int)
  }

  struct NewToken {
    var token: TokenID
    var parent: Parent
    var position: Int
    var owners: [Int]
    /// Part of the prefix: becomes trunk, not a guess.
    var isTrunk: Bool
    /// How many sequences must hold it: one for each leaf below it.
    var sequences = 0
  }

  var new: [NewToken] = []
  /// Sequences to be had from outside the session.
  var missingSequences = 0
  /// Sequences of the session that the pass has no use for.
  var surplusSequences = 0
  /// Cached nodes that the pass builds on.
  var protected: Set<Int> = []
}

extension SessionCache {
  /// Works out what is missing. The cache must be aligned to the work's prefix.
  ///
  /// Cached nodes whose output is wanted must have been freed before: outputs are not kept.
  func plan(_ work: SessionWork) -> SessionPlan {
    var plan = SessionPlan()
    var known: [SessionPlan.Parent: [TokenID: Int]] = [:]
    var at = SessionPlan.Parent.trunkEnd
    for position in trunk.count..<work.prefix.count {
      plan.new.append(
        .init(token: work.prefix[position], parent: at, position: position, owners: [], isTrunk: true))
      at = .new(plan.new.count - 1)
    }
    let root = at
    if case .new(let index) = root { plan.new[index].owners = work.rootOwners }

    var places: [SessionPlan.Parent] = []
    places.reserveCapacity(work.tokens.count)
    var depths: [Int] = []
    for index in work.tokens.indices {
      let parent = work.parents[index]
      let above = parent < 0 ? root : places[parent]
      let depth = parent < 0 ? 1 : depths[parent] + 1
      depths.append(depth)
      places.append(
        place(work.tokens[index], below: above, depth: depth, prefix: work.prefix.count, &plan, &known))
      switch places[index] {
      case .new(let new): plan.new[new].owners += work.owners[index]
      case .cached(let node): protect(node, &plan)
      case .trunkEnd: break
      }
    }
    countSequences(&plan)
    return plan
  }

  private func place(
    _ token: TokenID, below parent: SessionPlan.Parent, depth: Int, prefix: Int, _ plan: inout SessionPlan,
    _ known: inout [SessionPlan.Parent: [TokenID: Int]]
  ) -> SessionPlan.Parent {
    switch parent {
    case .trunkEnd: if let node = child(of: -1, token: token) { return .cached(node) }
    case .cached(let above): if let node = child(of: above, token: token) { return .cached(node) }
    case .new: break
    }
    if let new = known[parent]?[token] { return .new(new) }
    let new = plan.new.count
    plan.new.append(
      .init(token: token, parent: parent, position: prefix + depth - 1, owners: [], isTrunk: false))
    known[parent, default: [:]][token] = new
    return .new(new)
  }

  private func protect(_ node: Int, _ plan: inout SessionPlan) {
    var at = node
    while at >= 0, plan.protected.insert(at).inserted { at = nodes[at].parent }
  }

  private func countSequences(_ plan: inout SessionPlan) {
    var wanted: [Content: Int] = [:]
    for index in plan.new.indices.reversed() {
      let sequences = max(1, plan.new[index].sequences)
      plan.new[index].sequences = sequences
      switch plan.new[index].parent {
      case .new(let above): plan.new[above].sequences += sequences
      case .cached(let node): wanted[.node(node), default: 0] += sequences
      case .trunkEnd: wanted[.prefix(trunk.count), default: 0] += sequences
      }
    }
    var present: [Content: Int] = [:]
    for sequence in sequences { present[sequence.content, default: 0] += 1 }
    var missing = 0
    var spare = 0
    for (content, count) in wanted { missing += max(0, count - present[content, default: 0]) }
    for sequence in sequences {
      if case .prefix(let count) = sequence.content, wanted[.prefix(count)] == nil { spare += 1 }
    }
    // Of several idle sequences at the trunk's end, those that the tokens there leave over can serve elsewhere.
    if let atEnd = wanted[.prefix(trunk.count)] {
      spare += max(0, present[.prefix(trunk.count), default: 0] - atEnd)
    }
    plan.missingSequences = max(0, missing - spare)
    plan.surplusSequences = max(0, spare - missing)
  }
}

// MARK: Sequences for a pass

extension SessionCache {
  /// Assigns sequences to a plan's tokens and gives each sequence the cells it lacks.
  ///
  /// - Parameter acquire: a sequence from outside that holds nothing. Called `plan.missingSequences` times at most.
  /// - Returns: for each new token, indices into `sequences`; all sequences of a token then hold the same cells, as
  ///   llama.cpp demands.
  mutating func prepare(
    _ plan: SessionPlan, memory: some SequenceMemory, acquire: () -> Int32
  ) -> [[Int]] {
    var assigned = [[Int]](repeating: [], count: plan.new.count)
    var taken = [Bool](repeating: false, count: sequences.count)

    func topLevel(_ index: Int) -> Content? {
      switch plan.new[index].parent {
      case .new: nil
      case .cached(let node): .node(node)
      case .trunkEnd: .prefix(trunk.count)
      }
    }
    // First the sequences that end exactly where a new token begins.
    for index in plan.new.indices {
      guard let content = topLevel(index) else { continue }
      for sequence in sequences.indices
      where !taken[sequence] && sequences[sequence].content == content
        && assigned[index].count < plan.new[index].sequences
      {
        taken[sequence] = true
        assigned[index].append(sequence)
      }
    }
    // Then idle ones, those that hold most first, then new ones.
    let source = holders()
    let idle = sequences.indices.filter { index in
      if case .prefix = sequences[index].content { !taken[index] } else { false }
    }.sorted { length(of: sequences[$0].content) > length(of: sequences[$1].content) }
    var nextIdle = idle.startIndex
    for index in plan.new.indices {
      guard let content = topLevel(index) else { continue }
      while assigned[index].count < plan.new[index].sequences {
        let sequence: Int
        if nextIdle < idle.endIndex {
          sequence = idle[nextIdle]
          nextIdle += 1
        } else {
          sequence = sequences.count
          sequences.append(CacheSequence(id: acquire(), content: .prefix(0)))
        }
        catchUp(sequence, to: content, source: source, memory: memory)
        assigned[index].append(sequence)
      }
    }
    distribute(plan, &assigned)
    return assigned
  }

  /// For each node, and for the trunk's end at the last index, a sequence that holds it; -1 where there is none.
  private func holders() -> [Int] {
    var holder = [Int](repeating: -1, count: nodes.count + 1)
    for (index, sequence) in sequences.enumerated() {
      switch sequence.content {
      case .node(let tip):
        var at = tip
        while at >= 0, holder[at] < 0 {
          holder[at] = index
          at = nodes[at].parent
        }
        holder[nodes.count] = index
      case .prefix(let count):
        if count == trunk.count { holder[nodes.count] = index }
      }
    }
    return holder
  }

  private mutating func catchUp(
    _ sequence: Int, to content: Content, source: [Int], memory: some SequenceMemory
  ) {
    let from = length(of: sequences[sequence].content)
    let to = length(of: content)
    let holder: Int =
      switch content {
      case .node(let node): source[node]
      case .prefix: source[nodes.count]
      }
    if to > from, holder >= 0 {
      memory.share(from: sequences[holder].id, to: sequences[sequence].id, positions: from..<to)
    }
    sequences[sequence].content = content
  }

  /// Hands a token's sequences down to its new children, each as many as it needs.
  private func distribute(_ plan: SessionPlan, _ assigned: inout [[Int]]) {
    var given = [Int](repeating: 0, count: plan.new.count)
    for index in plan.new.indices {
      guard case .new(let above) = plan.new[index].parent else { continue }
      let start = given[above]
      let count = plan.new[index].sequences
      given[above] += count
      assigned[index] = Array(assigned[above][start..<(start + count)])
    }
  }

  /// Enters a plan's tokens after the pass that evaluated them.
  mutating func enter(_ plan: SessionPlan, assigned: [[Int]], pass: UInt64) {
    for node in plan.protected { nodes[node].lastUse = pass }
    var place = [Int](repeating: -1, count: plan.new.count)
    for (index, new) in plan.new.enumerated() {
      if new.isTrunk {
        trunk.append(new.token)
        for sequence in assigned[index] { sequences[sequence].content = .prefix(trunk.count) }
        continue
      }
      let parent =
        switch new.parent {
        case .trunkEnd: -1
        case .cached(let node): node
        case .new(let above): place[above]
        }
      let depth = parent < 0 ? 1 : nodes[parent].depth + 1
      nodes.append(Node(token: new.token, parent: parent, depth: depth, lastUse: pass))
      place[index] = nodes.count - 1
      for sequence in assigned[index] { sequences[sequence].content = .node(nodes.count - 1) }
    }
  }

  /// Takes back what a failed pass may have left behind: whatever a sequence holds beyond its content.
  func rollBack(memory: some SequenceMemory) {
    for sequence in sequences { memory.remove(sequence: sequence.id, from: length(of: sequence.content)) }
  }
}
