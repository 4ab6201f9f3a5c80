import Simulator
import SpeculationCore
import SpeculationTesting
import SplitMix
import Testing

private let session = SessionID(1)

/// 10 ms for each token that is read, 20 ms for a node: 25 tokens are read at once, pieces are of 16.
private func worker(
  limits: DraftLimits = DraftLimits(passWidth: 1, candidates: 1, maxDepth: 2), excerptTokens: Int = 1024
) -> WorkerMachine {
  WorkerMachine(
    configuration: .init(
      limits: limits, contextLength: 4096, readingCost: .milliseconds(10), excerptTokens: excerptTokens),
    cost: CostCurve(measured: [1: .milliseconds(20)]))
}

private func text(_ count: Int, from first: Int = 0) -> [TokenID] {
  (first..<(first + count)).map(TokenID.init)
}

/// A draft model that reads, as slowly as the machine expects, and is sure of whatever it says.
private struct Engine {
  var read: [SessionID: Int] = [:]
  /// Tokens of every text that it has from earlier sessions.
  var cached = 0
  var passes: [String] = []
  var sent: [WorkerMessage] = []
  var discarded: [SessionID] = []
  var next: WorkerMachine.Action?
  private var time: [Duration] = []

  /// Takes in what a machine decided.
  mutating func take(_ actions: [WorkerMachine.Action]) {
    for action in actions {
      switch action {
      case .expand, .read:
        #expect(next == nil, "two passes at once")
        next = action
      case .send(let message): sent.append(message)
      case .discard(let sequence): discarded.append(sequence)
      case .release: break
      }
    }
  }

  /// Runs the pass under way to its end.
  mutating func run(_ machine: inout WorkerMachine) {
    guard let pass = next else { return }
    next = nil
    switch pass {
    case .expand(let tasks):
      let unread = tasks.reduce(0) { $0 + max(0, $1.prefix.count - 1 - read[$1.sequence, default: 0]) }
      for task in tasks { read[task.sequence] = task.prefix.count }
      passes.append("guess \(tasks.map { "\($0.skipped)" }.joined(separator: "+"))")
      take(
        machine.passFinished(
          tasks.map { _ in guesses([7: 0.9]) }, duration: .milliseconds(20 + 10 * unread),
          passTokens: tasks.count + unread))
    case .read(let task):
      let before = max(read[task.sequence, default: 0], task.stage == 0 ? cached : 0)
      let after = max(before, min(before + task.limit, task.tokens.count - 1))
      read[task.sequence] = after
      passes.append(task.limit == 0 ? "ask" : "read \(task.tokens.count): \(after)")
      take(
        machine.readingFinished(
          cached: after, passTokens: after - before, duration: .milliseconds(10 * (after - before))))
    default: Issue.record("no pass")
    }
    #expect(machine.brokenInvariant == nil)
  }

  mutating func run(_ machine: inout WorkerMachine, passes count: Int) {
    for _ in 0..<count { run(&machine) }
  }
}

@Suite struct ContextReadingTests {
  @Test func aShortTextIsReadByTheFirstGuess() throws {
    var machine = worker()
    let actions = try machine.open(session, .init(context: text(25), sampling: .greedy))
    let task = try #require(actions.first?.tasks?.first)
    #expect(task.prefix == text(25) && task.skipped == 0 && task.sequence == session)
  }

  /// Waiting for a second is better than guessing badly for two.
  @Test func aTextOfMiddlingLengthIsReadBeforeTheFirstGuess() throws {
    var machine = worker()
    var engine = Engine()
    engine.take(try machine.open(session, .init(context: text(100), sampling: .greedy)))
    engine.run(&machine, passes: 7)
    #expect(
      engine.passes == [
        "ask", "read 100: 16", "read 100: 32", "read 100: 48", "read 100: 64", "read 100: 80",
        "guess 0",
      ])
  }

  /// The first guess follows from the beginning and the end; reading and guessing then take turns.
  @Test func aLongTextIsGuessedFromAnExcerptWhileItIsRead() throws {
    var machine = worker()
    var engine = Engine()
    engine.take(try machine.open(session, .init(context: text(500), sampling: .greedy)))
    #expect(engine.next?.reading?.limit == 0)
    engine.run(&machine)
    let first = try #require(engine.next?.tasks?.first)
    #expect(first.prefix == text(8) + text(17, from: 483) && first.skipped == 475)
    #expect(first.sequence != session)
    engine.run(&machine)
    #expect(engine.next?.reading?.tokens == text(500) && engine.next?.reading?.limit == 16)
    // The controller hears of it as of any other guess.
    guard case .expansion(session, let expansion) = engine.sent.first else {
      Issue.record("\(engine.sent)")
      return
    }
    #expect(expansion.site == .root(position: 499) && expansion.knownPosition == 499)
  }

  @Test func guessesComeFromTheWholeTextOnceItIsRead() throws {
    var machine = worker()
    var engine = Engine()
    engine.take(try machine.open(session, .init(context: text(500), sampling: .greedy)))
    var discarded = 0
    var position = 499
    while !engine.passes.contains("guess 0"), engine.passes.count < 2000 {
      position += 1
      // Never what was guessed, so that there is always something to guess.
      let actions = try machine.commit(session, .init(position: position, tokens: [TokenID(position)]))
      engine.take(actions)
      if case .read(let task) = engine.next, task.stage == 0 {
        #expect(task.tokens == text(task.tokens.count))
      }
      let before = engine.next
      engine.run(&machine)
      if case .read = before, engine.next?.tasks?.first?.skipped == 0 { discarded += 1 }
    }
    #expect(engine.passes.contains("guess 0"))
    #expect(discarded == 1)
    let reading = engine.passes.count { $0.hasPrefix("read") }
    let guessing = engine.passes.count { $0.hasPrefix("guess") }
    // A piece takes as long as eight guesses; commits are the limit here, one for each pass.
    #expect(reading >= 31 && guessing >= 31)
  }

  /// 2,000 tokens are worth an excerpt of 300 in between; each excerpt is forgotten with the next one.
  @Test func aVeryLongTextHasALargerExcerptInBetween() throws {
    var machine = worker()
    var engine = Engine()
    var prefixes: [Int] = []
    engine.take(try machine.open(session, .init(context: text(2000), sampling: .greedy)))
    var end = 1999
    for turn in 0..<400 {
      if let task = engine.next?.tasks?.first, prefixes.last != task.skipped { prefixes.append(task.skipped) }
      engine.run(&machine)
      if engine.next == nil || turn % 2 == 0 {
        end += 1
        engine.take(try machine.commit(session, .init(position: end, tokens: [TokenID(end)])))
      }
    }
    #expect(prefixes == [1975, 1700])
    #expect(engine.discarded.count == 1)
  }

  @Test func whatTheEngineHasNeedsNoExcerpt() throws {
    var machine = worker()
    var engine = Engine()
    engine.cached = 480
    engine.take(try machine.open(session, .init(context: text(500), sampling: .greedy)))
    engine.run(&machine, passes: 2)
    #expect(engine.passes == ["ask", "guess 0"])
  }

  @Test func withoutRoomForExcerptsTextsAreReadFirst() throws {
    var machine = worker(excerptTokens: 0)
    var engine = Engine()
    engine.take(try machine.open(session, .init(context: text(500), sampling: .greedy)))
    engine.run(&machine, passes: 40)
    #expect(engine.passes.prefix(3) == ["ask", "read 500: 16", "read 500: 32"])
    #expect(engine.passes.first { $0.hasPrefix("guess") } == "guess 0")
  }

  /// Closed while a piece of it is being read: nothing of it is left, and the next session's turn comes.
  @Test func aSessionMayEndWhileItIsRead() throws {
    var machine = worker()
    var engine = Engine()
    engine.take(try machine.open(session, .init(context: text(500), sampling: .greedy)))
    engine.run(&machine, passes: 2)
    #expect(engine.next?.reading != nil)
    let actions = machine.close(session)
    #expect(actions.map(\.kind) == ["discard 1", "release 1"])
    engine.take(try machine.open(SessionID(2), .init(context: text(12), sampling: .greedy)))
    engine.run(&machine)
    #expect(engine.next?.tasks?.first?.session == SessionID(2))
    #expect(machine.sessionCount == 1)
  }

  @Test func aReadingThatFailsEndsItsSessionAlone() throws {
    var machine = worker()
    var engine = Engine()
    engine.take(try machine.open(session, .init(context: text(500), sampling: .greedy)))
    engine.run(&machine, passes: 2)
    #expect(engine.next?.reading?.session == session)
    engine.take(try machine.open(SessionID(2), .init(context: text(12), sampling: .greedy)))
    let actions = machine.passFailed(reason: "no")
    #expect(actions.map(\.kind) == ["declined 1", "discard 1", "release 1", "expand 1"])
    #expect(actions.last?.tasks?.first?.session == SessionID(2))
  }

  /// Of several texts the one that is soonest read is read first; nobody waits for all of another's text.
  @Test func severalTextsAreReadInTurn() throws {
    var machine = worker()
    var engine = Engine()
    engine.take(try machine.open(SessionID(1), .init(context: text(800), sampling: .greedy)))
    engine.take(try machine.open(SessionID(2), .init(context: text(150, from: 5000), sampling: .greedy)))
    engine.take(try machine.open(SessionID(3), .init(context: text(30, from: 9000), sampling: .greedy)))
    engine.run(&machine, passes: 40)
    let first = engine.sent.firstIndex { if case .expansion(SessionID(1), _) = $0 { true } else { false } }
    let second = engine.sent.firstIndex { if case .expansion(SessionID(2), _) = $0 { true } else { false } }
    let third = engine.sent.firstIndex { if case .expansion(SessionID(3), _) = $0 { true } else { false } }
    #expect(first != nil && second != nil && third != nil)
    let readings = engine.passes.filter { $0.hasPrefix("read") }
    let switched = try #require(readings.firstIndex { $0.hasPrefix("read 800") })
    #expect(readings[..<switched].contains { $0.hasPrefix("read 150") }, "\(readings)")
    #expect(readings[switched...].allSatisfy { $0.hasPrefix("read 800") })
  }

  /// Text that is committed while nothing is drafted is read as it comes.
  @Test func aPausedSessionReadsOn() throws {
    var machine = worker()
    var engine = Engine()
    engine.take(try machine.open(session, .init(context: text(20), sampling: .greedy)))
    engine.run(&machine, passes: 10)
    #expect(engine.next == nil)
    engine.take(try machine.commit(session, .init(position: 119, tokens: text(100, from: 20), pause: true)))
    #expect(engine.next?.reading?.tokens == text(120))
    engine.run(&machine, passes: 10)
    #expect(engine.next == nil)
    #expect(engine.passes.last?.hasPrefix("read 120") == true)
    engine.take(try machine.commit(session, .init(position: 120, tokens: [120])))
    #expect(engine.next?.tasks?.first?.prefix == text(121))
  }

  /// Whatever happens in whatever order: one pass at a time, the text as it is, and work while there is some.
  @Test func randomRuns() throws {
    try forEachSeed(count: 60) { seed in try randomRun(seed) }
  }

  private func randomRun(_ seed: UInt64) throws {
    var random = SplitMix64(seed: seed)
    var machine = worker(
      limits: DraftLimits(passWidth: 4, candidates: 3, maxDepth: 8),
      excerptTokens: random.chance(0.2) ? 0 : 1024)
    var engine = Engine()
    var texts: [SessionID: [TokenID]] = [:]
    var nextID: UInt64 = 1
    for _ in 0..<600 {
      let open = texts.keys.sorted()
      switch random.next() % 16 {
      case 0 where open.count < 6:
        let id = SessionID(nextID)
        nextID += 1
        texts[id] = text(
          [5, 60, 200, 500, 1500].randomElement(using: &random)!, from: Int(random.next() % 3))
        engine.take(try machine.open(id, .init(context: texts[id]!, sampling: .greedy)))
      case 1 where !open.isEmpty:
        let id = open.randomElement(using: &random)!
        texts[id] = nil
        engine.take(machine.close(id))
      case 2, 3, 4, 5, 6:
        guard let id = open.randomElement(using: &random) else { continue }
        let tokens = (0...Int(random.next() % 4)).map { _ in TokenID(random.chance(0.7) ? 7 : 8) }
        texts[id]! += tokens
        engine.take(
          try machine.commit(
            id, .init(position: texts[id]!.count - 1, tokens: tokens, pause: random.chance(0.1))))
      case 7 where engine.next != nil && random.chance(0.1):
        engine.next = nil
        let actions = machine.passFailed(reason: "planned")
        for case .send(.declined(let id, _)) in actions { texts[id] = nil }
        engine.take(actions)
      default:
        check(engine.next, texts)
        engine.run(&machine)
      }
      #expect(machine.brokenInvariant == nil)
      #expect(machine.sessionCount == texts.count)
    }
    // Then all is read, and guessed from, without further news.
    var passes = 0
    while engine.next != nil, passes < 2000 {
      engine.run(&machine)
      passes += 1
    }
    #expect(engine.next == nil && !machine.isDrafting)
  }

  private func check(_ pass: WorkerMachine.Action?, _ texts: [SessionID: [TokenID]]) {
    for task in pass?.tasks ?? [] {
      guard let text = texts[task.session] else { continue }
      // The text may have gone on since.
      let known = text.prefix(task.skipped + task.prefix.count)
      if known.count < task.skipped + task.prefix.count { continue }
      let head = task.skipped == 0 ? task.prefix.count : ReadingTask.head
      #expect(known.starts(with: task.prefix[..<head]))
      #expect(Array(known.suffix(task.prefix.count - head)) == Array(task.prefix[head...]))
    }
  }
}
