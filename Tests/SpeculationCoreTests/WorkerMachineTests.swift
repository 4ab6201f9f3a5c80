import SpeculationCore
import SpeculationTesting
import Testing

private let session = SessionID(1)

private func worker(
  limits: DraftLimits = DraftLimits(passWidth: 2, candidates: 2, maxDepth: 1), maxSessions: Int = 2,
  contextLength: Int = 8
) -> WorkerMachine {
  WorkerMachine(
    configuration: .init(limits: limits, maxSessions: maxSessions, contextLength: contextLength))
}

/// The states of the machine: without sessions; drafting for session 1; waiting for news with session 1 open;
/// drafting for a session that has been closed meanwhile.
private enum State: String, CaseIterable {
  case empty, drafting, waiting, orphaned

  var machine: WorkerMachine {
    get throws {
      var machine = worker()
      guard self != .empty else { return machine }
      _ = try machine.open(session, .init(context: [10, 11], sampling: .greedy))
      switch self {
      case .waiting:
        _ = machine.passFinished([guesses([20: 0.6, 21: 0.3])], duration: .milliseconds(1))
        _ = machine.passFinished([guesses([:]), guesses([:])], duration: .milliseconds(1))
      case .orphaned: _ = machine.close(session)
      default: break
      }
      return machine
    }
  }
}

private enum Event: String, CaseIterable {
  case open, openOther, openEmpty, openBadly, openFull, commitGuess, commitOther, commitMuch, commitNothing
  case commitGap, commitUnknown, close, closeUnknown, closeAll, passFinished, passFailed

  func apply(to machine: inout WorkerMachine) throws(ProtocolViolation) -> [WorkerMachine.Action] {
    let other = SessionID(2)
    switch self {
    case .open: return try machine.open(session, .init(context: [10, 11], sampling: .greedy))
    case .openOther: return try machine.open(other, .init(context: [10], sampling: .greedy))
    case .openEmpty: return try machine.open(other, .init(context: [], sampling: .greedy))
    case .openBadly:
      return try machine.open(other, .init(context: [1], sampling: SamplingSettings(temperature: -1)))
    case .openFull: return try machine.open(other, .init(context: Array(0..<8), sampling: .greedy))
    case .commitGuess: return try machine.commit(session, .init(position: 2, tokens: [20]))
    case .commitOther: return try machine.commit(session, .init(position: 2, tokens: [30]))
    case .commitMuch: return try machine.commit(session, .init(position: 7, tokens: [1, 2, 3, 4, 5, 6]))
    case .commitNothing: return try machine.commit(session, .init(position: 1, tokens: []))
    case .commitGap: return try machine.commit(session, .init(position: 3, tokens: [20]))
    case .commitUnknown: return try machine.commit(SessionID(7), .init(position: 99, tokens: []))
    case .close: return machine.close(session)
    case .closeUnknown: return machine.close(SessionID(7))
    case .closeAll: return machine.closeAll()
    case .passFinished:
      return machine.passFinished([guesses([20: 0.6, 21: 0.3])], duration: .milliseconds(1))
    case .passFailed: return machine.passFailed(reason: "no")
    }
  }
}

@Suite struct WorkerMachineTests {
  private enum Answer: Equatable {
    case actions([String])
    case violation(String)
    /// Only a bug of the driver sends it, and it traps.
    case trap
  }

  private static let badSettings = "session 2: temperature must be between 0 and 100, not -1.0"
  private static let empty = "session 2 was opened with an empty context"
  private static let twice = "session 1 was opened twice"
  private static let gap = "session 1: a commit ends at position 3, not 2"
  private static let nothing = "session 1: a commit without tokens"

  private static let table: [State: [Event: Answer]] = [
    .empty: [
      .open: .actions(["expand 1"]), .openOther: .actions(["expand 1"]), .openEmpty: .violation(empty),
      .openBadly: .violation(badSettings), .openFull: .actions(["declined 2"]), .commitGuess: .actions([]),
      .commitOther: .actions([]), .commitMuch: .actions([]), .commitNothing: .actions([]),
      .commitGap: .actions([]), .commitUnknown: .actions([]), .close: .actions([]),
      .closeUnknown: .actions([]), .closeAll: .actions([]), .passFinished: .trap, .passFailed: .trap,
    ],
    .drafting: [
      .open: .violation(twice), .openOther: .actions([]), .openEmpty: .violation(empty),
      .openBadly: .violation(badSettings), .openFull: .actions(["declined 2"]), .commitGuess: .actions([]),
      .commitOther: .actions([]), .commitMuch: .actions(["declined 1", "release 1"]),
      .commitNothing: .violation(nothing), .commitGap: .violation(gap), .commitUnknown: .actions([]),
      .close: .actions(["release 1"]), .closeUnknown: .actions([]), .closeAll: .actions(["release 1"]),
      .passFinished: .actions(["expansion 1", "expand 2"]),
      .passFailed: .actions(["declined 1", "release 1"]),
    ],
    .waiting: [
      .open: .violation(twice), .openOther: .actions(["expand 1"]), .openEmpty: .violation(empty),
      .openBadly: .violation(badSettings), .openFull: .actions(["declined 2"]), .commitGuess: .actions([]),
      .commitOther: .actions(["expand 1"]), .commitMuch: .actions(["declined 1", "release 1"]),
      .commitNothing: .violation(nothing), .commitGap: .violation(gap), .commitUnknown: .actions([]),
      .close: .actions(["release 1"]), .closeUnknown: .actions([]), .closeAll: .actions(["release 1"]),
      .passFinished: .trap, .passFailed: .trap,
    ],
    .orphaned: [
      .open: .actions([]), .openOther: .actions([]), .openEmpty: .violation(empty),
      .openBadly: .violation(badSettings), .openFull: .actions(["declined 2"]), .commitGuess: .actions([]),
      .commitOther: .actions([]), .commitMuch: .actions([]), .commitNothing: .actions([]),
      .commitGap: .actions([]), .commitUnknown: .actions([]), .close: .actions([]),
      .closeUnknown: .actions([]), .closeAll: .actions([]), .passFinished: .actions([]),
      .passFailed: .actions([]),
    ],
  ]

  @Test func everyEventInEveryState() throws {
    for state in State.allCases {
      for event in Event.allCases {
        let expected = try #require(Self.table[state]?[event], "no answer for \(event) in \(state)")
        if expected == .trap { continue }
        var machine = try state.machine
        let answer: Answer
        do throws(ProtocolViolation) {
          answer = .actions(try event.apply(to: &machine).map(\.kind))
        } catch {
          answer = .violation(error.description)
        }
        #expect(answer == expected, "\(event) in \(state)")
        #expect(machine.brokenInvariant == nil, "\(event) in \(state)")
      }
    }
  }

  @Test func declinesWhatDoesNotFit() throws {
    var machine = worker(maxSessions: 1)
    _ = try machine.open(session, .init(context: [1], sampling: .greedy))
    let actions = try machine.open(SessionID(2), .init(context: [1], sampling: .greedy))
    guard case .send(.declined(_, let reason))? = actions.first else {
      Issue.record("\(actions)")
      return
    }
    #expect(reason == "all 1 sessions are taken")
    #expect(machine.sessionCount == 1)
  }

  @Test func announcesIdsInOrderAndNamesSites() throws {
    var machine = worker(limits: DraftLimits(passWidth: 2, candidates: 2, minProbability: 0.2, maxDepth: 2))
    _ = try machine.open(session, .init(context: [10, 11], sampling: .greedy))
    var actions = machine.passFinished([guesses([20: 0.6, 21: 0.3, 22: 0.1])], duration: .milliseconds(1))
    var expansion = try #require(actions.first?.expansion)
    #expect(expansion.site == .root(position: 1) && expansion.firstChild == 1)
    #expect(expansion.distribution.candidates.map(\.token) == [20, 21])
    #expect(actions.last?.tasks?.map(\.path) == [[20], [21]])
    // A commit while the pass is under way: the other branch is gone, the new root keeps its name.
    #expect(try machine.commit(session, .init(position: 2, tokens: [21])).isEmpty)
    actions = machine.passFinished(
      [guesses([30: 0.9]), guesses([31: 0.9, 32: 0.15])], duration: .milliseconds(1))
    expansion = try #require(actions.first?.expansion)
    #expect(actions.compactMap(\.expansion).count == 1)
    #expect(expansion.site == .node(2) && expansion.firstChild == 3 && expansion.knownPosition == 2)
    #expect(expansion.distribution.candidates.map(\.token) == [31])
    // Off the tree: a root without a name.
    _ = try machine.commit(session, .init(position: 3, tokens: [77]))
    actions = machine.passFinished([guesses([:])], duration: .milliseconds(1))
    #expect(machine.isDrafting)
    actions = machine.passFinished([guesses([50: 0.9])], duration: .milliseconds(1))
    expansion = try #require(actions.first?.expansion)
    #expect(expansion.site == .root(position: 3) && expansion.firstChild == 4)
    #expect(actions.last?.tasks?.first?.prefix == [10, 11, 21, 77])
  }

  @Test func aPausedSessionFollowsTheTextWithoutDrafting() throws {
    var machine = worker(limits: DraftLimits(passWidth: 1, candidates: 2, minProbability: 0.2))
    _ = try machine.open(session, .init(context: [10, 11], sampling: .greedy))
    var actions = machine.passFinished([guesses([20: 0.6, 21: 0.3])], duration: .milliseconds(1))
    #expect(actions.last?.tasks?.map(\.path) == [[20]])
    #expect(try machine.commit(session, .init(position: 2, tokens: [20], pause: true)).isEmpty)
    // What was under way is still of use; nothing follows it.
    actions = machine.passFinished([guesses([30: 0.9])], duration: .milliseconds(1))
    #expect(actions.count == 1 && actions[0].expansion?.site == .node(1))
    #expect(try machine.commit(session, .init(position: 3, tokens: [30], pause: true)).isEmpty)
    #expect(!machine.isDrafting)
    actions = try machine.commit(session, .init(position: 4, tokens: [40]))
    #expect(actions.last?.tasks?.first?.prefix == [10, 11, 20, 30, 40])
  }

  /// A session opened again under its old id while the old one's pass is under way: the two roots are alike in
  /// everything but what they follow.
  @Test func aStalePassDoesNotTouchTheNextSessionOfThatId() throws {
    var machine = worker()
    _ = try machine.open(session, .init(context: [10, 11], sampling: .greedy))
    #expect(machine.closeAll().map(\.kind) == ["release 1"])
    #expect(try machine.open(session, .init(context: [50, 51], sampling: .greedy)).isEmpty)
    let actions = machine.passFinished([guesses([20: 0.9])], duration: .milliseconds(1))
    #expect(actions.map(\.kind) == ["expand 1"])
    #expect(machine.nodeCount(of: session) == 1)
  }

  @Test func aPassNeverOverfillsATree() throws {
    let limits = DraftLimits(
      passWidth: 8, candidates: 5, minProbability: 0, minPathProbability: 0, maxDepth: 100, maxNodes: 16)
    var machine = worker(limits: limits, contextLength: 1000)
    _ = try machine.open(session, .init(context: [1], sampling: .greedy))
    while machine.isDrafting {
      let width = (machine.nodeCount(of: session)! == 1) ? 1 : (16 - machine.nodeCount(of: session)!) / 5
      let distribution = guesses([1: 0.2, 2: 0.2, 3: 0.2, 4: 0.2, 5: 0.2])
      _ = machine.passFinished(Array(repeating: distribution, count: width), duration: .milliseconds(1))
      #expect(machine.nodeCount(of: session)! <= 16)
    }
    #expect(machine.nodeCount(of: session) == 16)
  }

  /// The best nodes of all sessions share a pass; a flat d(b) fills it, a proportional one takes the best alone.
  @Test func sharesPassesBetweenSessions() throws {
    func width(_ cost: CostCurve) throws -> Int {
      var machine = WorkerMachine(
        configuration: .init(limits: DraftLimits(passWidth: 4), contextLength: 100), cost: cost)
      _ = try machine.open(SessionID(1), .init(context: [1], sampling: .greedy))
      for id in 2...3 { _ = try machine.open(SessionID(UInt64(id)), .init(context: [1], sampling: .greedy)) }
      let actions = machine.passFinished([guesses([20: 0.9, 21: 0.05])], duration: .nanoseconds(0))
      let tasks = try #require(actions.last?.tasks)
      #expect(tasks.first?.session == SessionID(2) && tasks.first?.path == [])
      return tasks.count
    }
    let flat = CostCurve(measured: [1: .milliseconds(5), 4: .milliseconds(5)])
    let proportional = CostCurve(measured: [1: .milliseconds(5), 4: .milliseconds(20)])
    #expect(try width(flat) == 4)
    #expect(try width(proportional) == 1)
    #expect(try width(CostCurve()) == 4)
  }

  @Test func drawsTheContextsLimit() throws {
    var machine = worker(
      limits: DraftLimits(minProbability: 0, minPathProbability: 0, maxDepth: 100), contextLength: 4)
    _ = try machine.open(session, .init(context: [1, 2], sampling: .greedy))
    var deepest = 0
    var actions: [WorkerMachine.Action] = machine.passFinished([guesses([5: 1])], duration: .milliseconds(1))
    while let tasks = actions.compactMap(\.tasks).first {
      for task in tasks { deepest = max(deepest, task.prefix.count + task.path.count) }
      actions = machine.passFinished(tasks.map { _ in guesses([5: 1]) }, duration: .milliseconds(1))
    }
    #expect(deepest == 3)
  }
}
