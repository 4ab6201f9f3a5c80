import SpeculationCore
import SpeculationTesting
import Testing

private let worker = WorkerID(1)
private let stranger = WorkerID(9)

/// The states of the machine, each with worker 1 attached and a local draft model.
private enum State: String, CaseIterable {
  case idle, verifying, verifyingAndDrafting, drafting, finished

  /// The machine in this state, and the local draft pass that is under way.
  var machine: (DrivenSession, [DraftTask<SessionMachine.NodeID>]) {
    var machine: DrivenSession
    switch self {
    case .idle, .verifying: machine = controller(hasLocal: true, configuration())
    case .verifyingAndDrafting: machine = controller(hasLocal: true, configuration(localPolicy: .always))
    case .drafting:
      machine = controller(
        hasLocal: true, configuration(localPolicy: .always, schedule: .beforeVerification(length: 1)))
    case .finished: machine = controller(hasLocal: true, configuration(maxTokens: 0))
    }
    _ = machine.workerJoined(worker)
    let actions = self == .idle ? [] : machine.start()
    return (machine, actions.compactMap(\.localTasks).first ?? [])
  }
}

private enum Event: String, CaseIterable {
  case start, joined, joinedAgain, left, strangerLeft, expansion, strangersExpansion, violation
  case verified, verifiedEnd, verificationFailed, localDrafted, localDraftFailed, cancel

  func apply(
    to machine: inout DrivenSession, tasks: [DraftTask<SessionMachine.NodeID>]
  ) -> [DrivenSession.Action] {
    let expansion = Expansion(
      site: .root(position: 1), firstChild: 1, distribution: guesses(0.5, [20: 0.9, 21: 0.05]),
      knownPosition: 1)
    switch self {
    case .start: return machine.start()
    case .joined: return machine.workerJoined(WorkerID(2))
    case .joinedAgain: return machine.workerJoined(worker)
    case .left: return machine.workerLeft(worker)
    case .strangerLeft: return machine.workerLeft(stranger)
    case .expansion: return machine.receive(expansion, from: worker)
    case .strangersExpansion: return machine.receive(expansion, from: stranger)
    case .violation:
      var bad = expansion
      bad.firstChild = 7
      return machine.receive(bad, from: worker)
    case .verified: return machine.verified(verdicts(30), duration: .milliseconds(1), passTokens: 1)
    case .verifiedEnd: return machine.verified(verdicts(0), duration: .milliseconds(1), passTokens: 1)
    case .verificationFailed: return machine.verificationFailed(reason: "no")
    case .localDrafted:
      return machine.localDrafted(
        tasks.map(\.node), tasks.map { _ in guesses(0.5, [20: 0.9]) }, duration: .milliseconds(1))
    case .localDraftFailed: return machine.localDraftFailed()
    case .cancel: return machine.cancel()
    }
  }
}

@Suite struct SessionMachineTests {
  /// What every event does in every state. nil: only a bug of the driver sends it, and it traps.
  private static let table: [State: [Event: [String]?]] = [
    .idle: [
      .start: ["verify 0"], .joined: ["open 2"], .joinedAgain: [], .left: [], .strangerLeft: [],
      .expansion: [], .strangersExpansion: [], .violation: ["disconnect 1"], .verified: nil,
      .verifiedEnd: nil, .verificationFailed: nil, .localDrafted: nil, .localDraftFailed: nil,
      .cancel: ["close 1", "finish cancelled"],
    ],
    .verifying: [
      .start: nil, .joined: ["open 2"], .joinedAgain: [], .left: [], .strangerLeft: [],
      .expansion: [], .strangersExpansion: [], .violation: ["disconnect 1"],
      .verified: ["emit 1", "commit 1", "verify 0"],
      .verifiedEnd: ["emit 1", "close 1", "finish endOfText"],
      .verificationFailed: ["close 1", "finish failed"], .localDrafted: nil, .localDraftFailed: nil,
      .cancel: ["close 1", "finish cancelled"],
    ],
    .verifyingAndDrafting: [
      .start: nil, .joined: ["open 2"], .joinedAgain: [], .left: [], .strangerLeft: [],
      .expansion: [], .strangersExpansion: [], .violation: ["disconnect 1"],
      .verified: ["emit 1", "commit 1", "verify 0"],
      .verifiedEnd: ["emit 1", "close 1", "finish endOfText"],
      .verificationFailed: ["close 1", "finish failed"], .localDrafted: ["draft 1"], .localDraftFailed: [],
      .cancel: ["close 1", "finish cancelled"],
    ],
    .drafting: [
      .start: nil, .joined: ["open 2"], .joinedAgain: [], .left: [], .strangerLeft: [],
      .expansion: [], .strangersExpansion: [], .violation: ["disconnect 1"], .verified: nil,
      .verifiedEnd: nil, .verificationFailed: nil, .localDrafted: ["verify 1"],
      .localDraftFailed: ["verify 0"], .cancel: ["close 1", "finish cancelled"],
    ],
    .finished: [
      .start: nil, .joined: [], .joinedAgain: [], .left: [], .strangerLeft: [], .expansion: [],
      .strangersExpansion: [], .violation: [], .verified: [], .verifiedEnd: [], .verificationFailed: [],
      .localDrafted: [], .localDraftFailed: [], .cancel: [],
    ],
  ]

  @Test func everyEventInEveryState() throws {
    for state in State.allCases {
      for event in Event.allCases {
        guard let known = Self.table[state]?[event] else {
          Issue.record("no answer for \(event) in \(state)")
          continue
        }
        guard let expected = known else { continue }
        var (machine, tasks) = state.machine
        let actions = event.apply(to: &machine, tasks: tasks).map(\.kind)
        #expect(actions == expected, "\(event) in \(state)")
        #expect(machine.brokenInvariant == nil, "\(event) in \(state)")
      }
    }
  }

  /// No second event may upset what the first did: every pair, from every state.
  @Test func everyPairOfEvents() {
    for state in State.allCases {
      for first in Event.allCases {
        guard let known = Self.table[state]?[first], let expected = known else { continue }
        for second in [Event.joined, .left, .expansion, .strangersExpansion, .violation, .cancel] {
          var (machine, tasks) = state.machine
          _ = first.apply(to: &machine, tasks: tasks)
          let isOver = machine.isFinished
          #expect(isOver == (expected.contains { $0.hasPrefix("finish") } || state == .finished))
          let actions = second.apply(to: &machine, tasks: [])
          #expect(!isOver || actions.isEmpty, "\(second) after \(first) in \(state)")
          #expect(machine.brokenInvariant == nil, "\(second) after \(first) in \(state)")
        }
      }
    }
  }

  @Test func endsBeforeItBegins() {
    var full = controller(configuration(contextLength: 2))
    #expect(full.start().map(\.kind) == ["finish contextFull"])
    var none = controller(configuration(maxTokens: 0))
    #expect(none.start().map(\.kind) == ["finish length"])
  }

  @Test func everyViolation() {
    let good = Expansion(
      site: .root(position: 1), firstChild: 1, distribution: guesses(0.5, [20: 0.9]), knownPosition: 1)
    func changed(_ change: (inout Expansion) -> Void) -> Expansion {
      var copy = good
      change(&copy)
      return copy
    }
    let violations: [(String, Expansion)] = [
      ("entropy is nan", changed { $0.distribution.entropy = .nan }),
      ("entropy is inf", changed { $0.distribution.entropy = .infinity }),
      ("entropy is -0.1", changed { $0.distribution.entropy = -0.1 }),
      ("5 candidates, more than 4", changed { $0.distribution = guesses([1: 0, 2: 0, 3: 0, 4: 0, 5: 0]) }),
      ("token -1 is not in the vocabulary", changed { $0.distribution = guesses([-1: 0.5]) }),
      ("token 100 is not in the vocabulary", changed { $0.distribution = guesses([100: 0.5]) }),
      ("probability of token 1 is nan", changed { $0.distribution = guesses([1: .nan]) }),
      ("probability of token 1 is 1.5", changed { $0.distribution = guesses([1: 1.5]) }),
      ("probability of token 1 is -0.5", changed { $0.distribution = guesses([1: -0.5]) }),
      ("token 1 is named twice", changed { $0.distribution = guesses([1: 0.5, 1: 0.25]) }),
      ("children start at id 2, not 1", changed { $0.firstChild = 2 }),
      ("children start at id 0, not 1", changed { $0.firstChild = 0 }),
      ("expansion of node 0, which was never announced", changed { $0.site = .node(0) }),
      ("expansion of node 1, which was never announced", changed { $0.site = .node(1) }),
      ("acknowledges position 2, outside 1...1", changed { $0.knownPosition = 2 }),
      ("acknowledges position 0, outside 1...1", changed { $0.knownPosition = 0 }),
      ("expands the root at 0 while knowing 1", changed { $0.site = .root(position: 0) }),
    ]
    for (sentence, expansion) in violations {
      var machine = controller()
      _ = machine.start()
      _ = machine.workerJoined(worker)
      let actions = machine.receive(expansion, from: worker)
      #expect(actions.map(\.kind) == ["disconnect 1"], "\(sentence)")
      #expect(actions.first?.violation == "session 1: \(sentence)")
      #expect(machine.treeCount == 0 && machine.mirrored(from: worker) == nil)
      // The session goes on without it.
      #expect(
        machine.verified(verdicts(20), duration: .milliseconds(1), passTokens: 1).map(\.kind)
          == ["emit 1", "verify 0"])
    }
    var machine = controller()
    _ = machine.start()
    _ = machine.workerJoined(worker)
    #expect(machine.receive(good, from: worker).isEmpty && machine.treeCount == 1)
  }

  @Test func aWorkerThatRepeatsItselfIsStoppedAtItsCapacity() {
    var machine = controller(configuration(maxTreeNodes: 16))
    _ = machine.start()
    _ = machine.workerJoined(worker)
    var sent = 0
    var violation: String?
    while violation == nil && sent < 1000 {
      let expansion = Expansion(
        site: .root(position: 1), firstChild: RemoteNodeID(sent + 1), distribution: guesses([20: 0.9]),
        knownPosition: 1)
      violation = machine.receive(expansion, from: worker).first?.violation
      sent += 1
    }
    #expect(violation == "session 1: holds more than 64 nodes; it does not follow commits")
    #expect(machine.brokenInvariant == nil)
  }

  /// The worker did not know the newest commits when it drafted; what it said leads to live nodes all the same.
  @Test func lateExpansionsLeadToLiveNodes() {
    var machine = controller()
    _ = machine.start()
    _ = machine.workerJoined(worker)
    for token in [20, 21, 22] as [TokenID] {
      _ = machine.verified(verdicts(token), duration: .milliseconds(1), passTokens: 1)
    }
    // It still stands at position 1, and announces 20 (committed), then 21 below it, 22 below that.
    func expand(_ site: ExpansionSite, _ first: RemoteNodeID, _ distribution: Distribution) {
      let actions = machine.receive(
        Expansion(site: site, firstChild: first, distribution: distribution, knownPosition: 1), from: worker)
      #expect(actions.isEmpty)
      #expect(machine.brokenInvariant == nil)
    }
    // The opening told it position 1; the mirror starts at the joining, which was before the commits.
    expand(.root(position: 1), 1, guesses([90: 0.5, 20: 0.4]))
    #expect(machine.mirrored(from: worker)?.behind == [2: 2])
    expand(.node(1), 3, guesses([91: 0.5]))  // off the text: nothing comes of it
    expand(.node(2), 4, guesses([21: 0.8]))
    #expect(machine.mirrored(from: worker)?.behind == [2: 2, 4: 3])
    expand(.node(4), 5, guesses([93: 0.3, 94: 0.3, 22: 0.2]))
    #expect(machine.mirrored(from: worker)?.live == [7: []])
    #expect(machine.treeCount == 0)
    expand(.node(7), 8, guesses([40: 0.9, 41: 0.05]))
    #expect(machine.mirrored(from: worker)?.live == [7: [], 8: [40], 9: [41]])
    #expect(machine.statistics.lateExpansions == 4)
    // An acknowledgement lets go of what lies above it, and only of that.
    let acknowledging = Expansion(
      site: .node(8), firstChild: 10, distribution: guesses([42: 0.5]), knownPosition: 3)
    #expect(machine.receive(acknowledging, from: worker).isEmpty)
    #expect(machine.mirrored(from: worker)?.behind == [4: 3])
    let actions = machine.verified(verdicts(40), duration: .milliseconds(1), passTokens: 1)
    #expect(actions.last?.set?.tokens == [42])
    #expect(machine.mirrored(from: worker)?.live == [8: [], 10: [42]])
    #expect(machine.mirrored(from: worker)?.behind == [4: 3, 7: 4])
  }

  @Test func commitsTheLongestVerifiedPath() throws {
    var machine = controller()
    _ = machine.workerJoined(worker)
    _ = machine.receive(
      Expansion(
        site: .root(position: 1), firstChild: 1, distribution: guesses([20: 0.6, 21: 0.4]), knownPosition: 1),
      from: worker)
    _ = machine.receive(
      Expansion(site: .node(2), firstChild: 3, distribution: guesses([22: 0.9]), knownPosition: 1),
      from: worker)
    let set = try #require(machine.start().first?.set)
    #expect(set.tokens == [20, 21, 22] && set.parents == [-1, -1, 1])
    // A guess that arrives while the target computes is not verified: it is the last token, not one to pass.
    _ = machine.receive(
      Expansion(site: .node(3), firstChild: 4, distribution: guesses([23: 0.9]), knownPosition: 1),
      from: worker)
    _ = machine.receive(
      Expansion(site: .node(4), firstChild: 5, distribution: guesses([24: 0.9]), knownPosition: 1),
      from: worker)
    let actions = machine.verified(verdicts(21, 99, 22, 23), duration: .milliseconds(1), passTokens: 4)
    let committed = try #require(actions.first?.committed)
    #expect(committed.map(\.token) == [21, 22, 23])
    #expect(committed.map(\.position) == [2, 3, 4])
    #expect(committed.map(\.origin) == [.remote, .remote, .target])
    // It was expanded already: no bubble.
    #expect(machine.statistics.bubbles == 0)
    #expect(actions.last?.set?.tokens == [24])
    guard case .session(.send(.commit(_, let commit), worker)) = actions[1] else {
      Issue.record("\(actions[1])")
      return
    }
    #expect(commit == .init(position: 4, tokens: [21, 22, 23]))
  }

  /// A worker that declined and comes back counts from 1 again; old names must not be mistaken for new ones.
  @Test func namesOfAnEarlierStayAreForgotten() {
    var machine = controller()
    _ = machine.start()
    _ = machine.workerJoined(worker)
    _ = machine.receive(
      Expansion(
        site: .root(position: 1), firstChild: 1, distribution: guesses([20: 0.6, 21: 0.3]), knownPosition: 1),
      from: worker)
    _ = machine.workerLeft(worker)
    _ = machine.workerJoined(worker)
    _ = machine.receive(
      Expansion(
        site: .root(position: 1), firstChild: 1, distribution: guesses([21: 0.6, 20: 0.3]), knownPosition: 1),
      from: worker)
    #expect(machine.mirrored(from: worker)?.live == [1: [21], 2: [20]])
    #expect(machine.brokenInvariant == nil)
    _ = machine.verified(verdicts(20), duration: .milliseconds(1), passTokens: 1)
    #expect(machine.mirrored(from: worker)?.live == [2: []])
    #expect(machine.brokenInvariant == nil)
  }
}
