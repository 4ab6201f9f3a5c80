import Simulator
import SpeculationCore
import SpeculationTesting
import SplitMix
import Testing

private let session = SessionID(1)
private let worker = WorkerID(1)

/// A draft whose guesses after a path are drawn by a hash of it.
private struct HashedDraft {
  let seed: UInt64
  var candidates = 6

  func distribution(after path: [TokenID]) -> Distribution {
    var hash = seed
    for token in path { hash = (hash ^ UInt64(token) &+ 1) &* 0x9E37_79B9_7F4A_7C15 }
    var random = SplitMix64(seed: hash)
    var rest: Float = 1
    var probabilities: [Float] = []
    for _ in 0..<candidates {
      let share = rest * Float(0.2 + 0.7 * random.uniform())
      probabilities.append(share)
      rest -= share
    }
    probabilities.sort(by: >)
    return Distribution(
      entropy: 1,
      candidates: probabilities.enumerated().map {
        Candidate(token: TokenID($0.offset + 1), probability: $0.element)
      })
  }

  /// The likeliest nodes of the endless tree, best first, the root left out.
  func likeliest(_ count: Int) -> [[TokenID]] {
    let match = MatchEstimator()
    var waiting: [(path: [TokenID], probability: Double)] = [([], 1)]
    var result: [[TokenID]] = []
    while result.count <= count {
      let index = waiting.indices.max { waiting[$0].probability < waiting[$1].probability }!
      let best = waiting.remove(at: index)
      result.append(best.path)
      for candidate in distribution(after: best.path).candidates {
        waiting.append(
          (
            best.path + [candidate.token],
            best.probability * Double(match.probability(confidence: candidate.probability))
          ))
      }
    }
    return Array(result.dropFirst())
  }
}

/// A worker and what its controller would know of it.
private struct Follower {
  var machine: WorkerMachine
  let draft: HashedDraft
  var tasks: [DraftTask<WorkerMachine.NodeID>] = []
  var committed: [TokenID] = [7]
  var alive: Set<RemoteNodeID> = []
  var nextID: RemoteNodeID = 1
  var most = 0
  var forgotten = 0

  init(seed: UInt64, maxNodes: Int, said: Int, width: Int = 4, candidates: Int = 6) throws {
    draft = HashedDraft(seed: seed, candidates: candidates)
    machine = WorkerMachine(
      configuration: .init(
        limits: DraftLimits(
          passWidth: width, candidates: candidates, minProbability: 0, minPathProbability: 0, maxDepth: 1000,
          maxNodes: maxNodes),
        contextLength: 10_000))
    take(try machine.open(session, .init(context: committed, sampling: .greedy, maxNodes: said)))
  }

  mutating func take(_ actions: [WorkerMachine.Action]) {
    tasks = actions.compactMap(\.tasks).first ?? []
    for expansion in actions.compactMap(\.expansion) {
      for id in expansion.forgotten {
        forgotten += 1
        #expect(id < nextID)
        alive.remove(id)
      }
      #expect(expansion.forgotten == expansion.forgotten.sorted())
      #expect(expansion.firstChild == nextID)
      nextID += RemoteNodeID(expansion.distribution.candidates.count)
      alive.formUnion(expansion.firstChild..<nextID)
    }
  }

  mutating func pass() throws {
    let distributions = tasks.map { draft.distribution(after: Array($0.prefix.dropFirst()) + $0.path) }
    take(machine.passFinished(distributions, duration: .milliseconds(1)))
    most = max(most, machine.nodeCount(of: session)!)
    if let broken = machine.brokenInvariant { throw CheckFailure(broken) }
  }

  mutating func commit(_ tokens: [TokenID]) throws {
    committed += tokens
    let actions = try machine.commit(session, .init(position: committed.count - 1, tokens: tokens))
    if !actions.isEmpty { take(actions) }
  }

  var isIdle: Bool { tasks.isEmpty }
}

@Suite struct WorkerEvictionTests {
  /// It drafts until nothing likelier can come, and has then all that a tree of 7/8 of its size would hold, but for
  /// the children of one expansion.
  @Test(arguments: [16, 32, 100, 400], [1, 4, 64])
  func aFullTreeHoldsTheLikeliestNodes(size: Int, width: Int) throws {
    try forEachSeed(count: 5) { seed in
      var follower = try Follower(seed: seed, maxNodes: size, said: 65536, width: width)
      var passes = 0
      while !follower.isIdle {
        try follower.pass()
        passes += 1
        guard passes < 10_000 else { throw CheckFailure("it never rests") }
      }
      let nodes = follower.machine.announcedNodes(of: session)
      let paths = Set(nodes.values)
      for path in follower.draft.likeliest(size - size / 8 - 8) where !paths.contains(path) {
        throw CheckFailure("\(path) is missing among \(paths.count)")
      }
      guard follower.most <= size else { throw CheckFailure("held \(follower.most) nodes") }
      // What was given up last is said with the next expansion.
      guard Set(nodes.keys).isSubset(of: follower.alive) else { throw CheckFailure("names are lost") }
    }
  }

  /// What was given up far below an old root comes again once the text has come near it.
  @Test func whatWasGivenUpComesAgainWhenItIsLikely() throws {
    try forEachSeed(count: 10) { seed in
      var random = SplitMix64(seed: seed)
      var follower = try Follower(seed: seed, maxNodes: 64, said: 48, width: 8)
      for _ in 0..<40 {
        for _ in 0..<Int.random(in: 0...20, using: &random) where !follower.isIdle { try follower.pass() }
        let after = Array(follower.committed.dropFirst())
        let best = follower.draft.distribution(after: after).candidates
        try follower.commit([best[random.chance(0.8) ? 0 : 3].token])
      }
      while !follower.isIdle { try follower.pass() }
      let rest = follower.committed.count - 1
      let ahead = HashedDraft(seed: seed)
      let paths = Set(follower.machine.announcedNodes(of: session).values)
      // The chain of best guesses, as far as it is likelier than what a tree of 48 can hold.
      var path: [TokenID] = []
      var probability: Float = 1
      while true {
        let best = ahead.distribution(after: Array(follower.committed.suffix(rest)) + path).candidates[0]
        probability *= best.probability
        guard probability > 0.2 else { break }
        path.append(best.token)
        guard paths.contains(path) else { throw CheckFailure("\(path) is missing") }
      }
      guard follower.forgotten > 50, follower.most <= 48 else { throw CheckFailure("\(follower.most) nodes") }
    }
  }

  /// A controller that does not know the word is told nothing: the tree waits, as it always did.
  @Test func nothingIsGivenUpForAControllerThatWouldNotHear() throws {
    var machine = WorkerMachine(
      configuration: .init(
        limits: DraftLimits(
          passWidth: 4, candidates: 4, minProbability: 0, minPathProbability: 0, maxNodes: 32),
        contextLength: 1000))
    var actions = try machine.open(session, .init(context: [7], sampling: .greedy))
    while let tasks = actions.compactMap(\.tasks).first {
      actions = machine.passFinished(
        tasks.map { HashedDraft(seed: 1).distribution(after: $0.path) }, duration: .milliseconds(1))
      #expect(actions.compactMap(\.expansion).allSatisfy { $0.forgotten.isEmpty })
    }
    #expect((29...32).contains(machine.nodeCount(of: session)!))
  }

  @Test func aTreeOfTooFewNodesIsRefused() throws {
    var machine = WorkerMachine(configuration: .init(limits: DraftLimits(), contextLength: 100))
    #expect(throws: ProtocolViolation("session 1 was opened for 15 nodes, fewer than 16")) {
      try machine.open(session, .init(context: [7], sampling: .greedy, maxNodes: 15))
    }
    #expect(
      try machine.open(session, .init(context: [7], sampling: .greedy, maxNodes: 16)).map(\.kind) == [
        "expand 1"
      ])
  }
}

@Suite struct ControllerEvictionTests {
  private func expansion(
    _ site: ExpansionSite, _ first: RemoteNodeID, _ distribution: Distribution, known: Int = 1,
    forgotten: [RemoteNodeID] = []
  ) -> Expansion {
    Expansion(
      site: site, firstChild: first, distribution: distribution, knownPosition: known, forgotten: forgotten)
  }

  @Test func tellsWorkersHowMuchItHolds() {
    var machine = controller(configuration(maxTreeNodes: 24))
    _ = machine.start()
    guard case .session(.send(.open(_, let opening), _))? = machine.workerJoined(worker).first else {
      Issue.record("not opened")
      return
    }
    #expect(opening.maxNodes == 24)
  }

  @Test func aNodeGivenUpLosesItsNameAndStaysWhileThereIsRoom() {
    var machine = controller()
    _ = machine.start()
    _ = machine.workerJoined(worker)
    _ = machine.receive(expansion(.root(position: 1), 1, guesses([20: 0.5, 21: 0.3])), from: worker)
    _ = machine.receive(expansion(.node(1), 3, guesses([30: 0.9]), forgotten: [2]), from: worker)
    #expect(machine.treeCount == 3)
    #expect(machine.mirrored(from: worker)?.live == [1: [20], 3: [20, 30]])
    // An expansion of it after all leads nowhere.
    _ = machine.receive(expansion(.node(2), 4, guesses([31: 0.9])), from: worker)
    #expect(machine.statistics.lateExpansions == 1 && machine.treeCount == 3)
    // Announced again it is the same node under a new name.
    _ = machine.receive(expansion(.root(position: 1), 5, guesses([21: 0.3])), from: worker)
    #expect(machine.treeCount == 3)
    #expect(machine.mirrored(from: worker)?.live == [1: [20], 3: [20, 30], 5: [21]])
    #expect(machine.brokenInvariant == nil)
  }

  @Test func whatIsGivenUpHasToBeThere() {
    for (forgotten, sentence) in [
      ([0], "gives up node 0 after 0, of 2 announced"), ([3], "gives up node 3 after 0, of 2 announced"),
      ([2, 1], "gives up node 1 after 2, of 2 announced"),
      ([1, 1], "gives up node 1 after 1, of 2 announced"),
    ] as [([RemoteNodeID], String)] {
      var machine = controller()
      _ = machine.start()
      _ = machine.workerJoined(worker)
      _ = machine.receive(expansion(.root(position: 1), 1, guesses([20: 0.5, 21: 0.3])), from: worker)
      let actions = machine.receive(
        expansion(.node(1), 3, guesses([30: 0.9]), forgotten: forgotten), from: worker)
      #expect(actions.first?.violation == "session 1: \(sentence)")
    }
  }

  /// A commit was under way when the worker gave up what it confirms: the worker starts anew from there.
  @Test func aCommittedNodeMayHaveBeenGivenUp() {
    var machine = controller()
    _ = machine.start()
    _ = machine.workerJoined(worker)
    _ = machine.receive(expansion(.root(position: 1), 1, guesses([20: 0.5, 21: 0.3])), from: worker)
    _ = machine.verified(verdicts(20), duration: .milliseconds(1), passTokens: 1)
    _ = machine.verified(verdicts(22), duration: .milliseconds(1), passTokens: 1)
    _ = machine.receive(expansion(.node(2), 3, guesses([30: 0.9]), forgotten: [1]), from: worker)
    #expect(machine.mirrored(from: worker)?.behind == [:])
    _ = machine.receive(expansion(.root(position: 3), 4, guesses([40: 0.9]), known: 3), from: worker)
    #expect(machine.mirrored(from: worker)?.live == [4: [40]])
    #expect(machine.brokenInvariant == nil)
  }

  /// The least likely of what nobody holds goes; what is named or under verification stays.
  @Test func aFullTreeMakesRoomForAWorker() {
    let candidates = (0..<4).map { TokenID($0) + 20 }
    var machine = controller(
      configuration(
        verification: VerificationPolicy(rule: .everything, maxNodes: 2, minPathProbability: 0),
        maxTreeNodes: 16))
    _ = machine.start()
    _ = machine.workerJoined(worker)
    var next: RemoteNodeID = 1
    func send(_ site: ExpansionSite, forgotten: [RemoteNodeID] = []) {
      let distribution = Distribution(
        entropy: 1,
        candidates: zip(candidates, [0.4, 0.3, 0.1, 0.05]).map { Candidate(token: $0, probability: $1) })
      #expect(
        machine.receive(expansion(site, next, distribution, forgotten: forgotten), from: worker).isEmpty)
      next += 4
    }
    send(.root(position: 1))
    send(.node(1))
    send(.node(2))
    // Each round gives up the second level and announces it again below another node.
    for round in 0..<10 {
      send(.node(round % 2 == 0 ? 3 : 4), forgotten: Array((next - 8)..<(next - 4)))
      #expect(machine.statistics.droppedExpansions == 0)
      #expect(machine.treeCount < 16 + 2)
      #expect(machine.brokenInvariant == nil)
    }
    // More than it was told to hold.
    send(.node(1))
    send(.node(2))
    #expect(machine.statistics.droppedExpansions > 0)
  }

  /// A worker that gives up a node and goes on below it: what is below has gone with it, and nothing breaks.
  @Test func whoGivesUpANodeHasNothingBelowIt() {
    let worker = WorkerID(1)
    var machine = controller(configuration(maxTreeNodes: 16))
    _ = machine.workerJoined(worker)
    _ = machine.start()
    var next: RemoteNodeID = 1
    func expand(_ site: ExpansionSite, forgotten: [RemoteNodeID] = []) {
      let first = TokenID(next) + 20
      let expansion = Expansion(
        site: site, firstChild: next,
        distribution: guesses(0.5, [first: 0.4, first + 1: 0.3, first + 2: 0.2, first + 3: 0.05]),
        knownPosition: 1, forgotten: forgotten)
      next += 4
      #expect(machine.receive(expansion, from: worker).compactMap(\.violation) == [])
      #expect(machine.brokenInvariant == nil)
    }
    expand(.root(position: 1))
    expand(.node(1))
    expand(.node(2), forgotten: [1])
    expand(.node(3))
    expand(.node(4))
    #expect(machine.treeCount == 20)
    #expect(machine.statistics.lateExpansions == 0)
    // Nodes 5 to 8 are below node 1. Room is made for what comes, of which node 1 has to be a part.
    for id in 5...8 as ClosedRange<RemoteNodeID> { expand(.node(id)) }
    #expect(machine.statistics.lateExpansions == 4)
    expand(.node(9))
    #expect(machine.treeCount < 24)
  }
}
