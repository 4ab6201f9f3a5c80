import Simulator
import SpeculationCore
import SpeculationTesting
import SplitMix
import Testing

@Suite struct CacheLedgerTests {
  private typealias Request = CacheLedger.Request

  private static func text(_ count: Int, from first: TokenID = 0) -> [TokenID] {
    (0..<count).map { first + TokenID($0) }
  }

  private static func request(
    _ session: UInt64, _ prefix: [TokenID], _ tokens: [TokenID] = [], _ parents: [Int32] = []
  ) -> Request {
    Request(session: SessionID(session), prefix: prefix, tokens: tokens, parents: parents)
  }

  @Test func guessesThatCameTrueAreNotEvaluatedAgain() throws {
    var ledger = CacheLedger()
    let prompt = Self.text(5)
    // 10 and 20 below the root, 11 below 10.
    let first = try ledger.run([Self.request(1, prompt, [10, 20, 11], [-1, -1, 0])])
    #expect(first == [.init(isComplete: true, evaluated: 8, reused: 0)])
    #expect(ledger.usage == .init(cells: 8, branches: 2))
    // 10 and 11 are committed, and 12 by the target.
    let second = try ledger.run([Self.request(1, prompt + [10, 11, 12], [13], [-1])])
    #expect(second == [.init(isComplete: true, evaluated: 2, reused: 0)])
    #expect(ledger.cachedTokens(of: SessionID(1)) == 8 && ledger.cachedGuesses(of: SessionID(1)) == 1)
    #expect(ledger.usage == .init(cells: 9, branches: 1))
    // None came true.
    let third = try ledger.run([Self.request(1, prompt + [10, 11, 12, 30])])
    #expect(third[0].evaluated == 1 && ledger.usage.cells == 9)
    // The text is another one from the second token on.
    let fourth = try ledger.run([Self.request(1, [0, 50, 51])])
    #expect(fourth[0].evaluated == 2 && ledger.usage.cells == 3)
  }

  @Test func equalSiblingsHaveOneCell() throws {
    var ledger = CacheLedger()
    let parts = try ledger.run([Self.request(1, [0], [5, 5, 6, 6], [-1, -1, 0, 1])])
    #expect(parts[0].evaluated == 3 && ledger.usage.branches == 1)
  }

  @Test func prefixesAreReadWithinTheBudgetInOrder() throws {
    var ledger = CacheLedger()
    _ = try ledger.run([Self.request(3, Self.text(4, from: 300))])
    let requests = [
      Self.request(1, Self.text(21, from: 100)), Self.request(2, Self.text(31, from: 200), [7], [-1]),
      Self.request(3, Self.text(5, from: 300)),
    ]
    // The last token of each is free, so whoever only decodes gets an answer.
    var parts = try ledger.run(requests, prefillBudget: 25)
    #expect(parts.map(\.isComplete) == [true, false, true])
    #expect(parts.map(\.evaluated) == [21, 5, 1])
    parts = try ledger.run([requests[1]], prefillBudget: 24)
    #expect(parts == [.init(isComplete: false, evaluated: 24, reused: 0)])
    parts = try ledger.run([requests[1]], prefillBudget: 1)
    #expect(parts == [.init(isComplete: true, evaluated: 3, reused: 0)])
    parts = try ledger.run([Self.request(4, Self.text(2, from: 400))], prefillBudget: 0)
    #expect(parts == [.init(isComplete: false, evaluated: 0, reused: 0)])
  }

  @Test func aPassThatDoesNotFitChangesNothing() throws {
    var ledger = CacheLedger(.init(cells: 100, branches: 4))
    _ = try ledger.run([Self.request(1, Self.text(60)), Self.request(2, Self.text(20, from: 100), [7], [-1])])
    let before = ledger
    // Only the guess gives way.
    #expect(throws: CacheLedger.Refusal.cellsFull(needed: 21, used: 80, capacity: 100)) {
      try ledger.run([Self.request(3, Self.text(21, from: 200))])
    }
    #expect(ledger == before)
    #expect(throws: CacheLedger.Refusal.branchesFull(needed: 3, used: 2, capacity: 4)) {
      try ledger.run([Self.request(3, [200], [1, 2, 3], [-1, -1, -1])])
    }
    #expect(ledger == before)
    _ = try ledger.run([Self.request(3, [200], [1, 2], [-1, -1])])
    ledger.release(SessionID(1))
    ledger.release(SessionID(99))
    _ = try ledger.run([Self.request(4, Self.text(40, from: 300))])
    #expect(ledger.brokenInvariant == nil)
    #expect(ledger.openSessions == [SessionID(2), SessionID(3), SessionID(4)])
  }

  @Test func guessesGiveWayToTextsOldestFirst() throws {
    var ledger = CacheLedger(.init(cells: 20))
    _ = try ledger.run([Self.request(1, [1], [5, 6, 7], [-1, 0, 1])])
    _ = try ledger.run([Self.request(2, [2], [5, 6, 7], [-1, 0, 1])])
    _ = try ledger.run([Self.request(3, Self.text(14))])
    #expect(ledger.cachedGuesses(of: SessionID(1)) == 1 && ledger.cachedGuesses(of: SessionID(2)) == 3)
    // What came true and has gone is evaluated again, and counts against the budget.
    let parts = try ledger.run([Self.request(1, [1, 5, 6, 7, 8])], prefillBudget: 1)
    #expect(parts == [.init(isComplete: false, evaluated: 1, reused: 0)])
  }

  @Test func requestsThatMakeNoSenseAreRefused() {
    var ledger = CacheLedger(.init(contextLength: 3, vocabularySize: 10))
    for requests in [
      [Self.request(1, [])], [Self.request(1, [-1])], [Self.request(1, [10])],
      [Self.request(1, [1], [10], [-1])],
      [Self.request(1, [1], [5], [0])], [Self.request(1, [1], [5], [-2])],
      [Self.request(1, [1]), Self.request(2, [1]), Self.request(1, [1])],
    ] {
      let refusal = #expect(throws: CacheLedger.Refusal.self) { try ledger.run(requests) }
      if case .invalid? = refusal { continue }
      Issue.record("\(requests) are \(refusal.map(String.init(describing:)) ?? "accepted")")
    }
    #expect(throws: CacheLedger.Refusal.contextFull(SessionID(1), tokens: 4, contextLength: 3)) {
      try ledger.run([Self.request(1, [1, 2, 3, 4])])
    }
    #expect(throws: Never.self) { try ledger.run([Self.request(1, [1, 2, 3])]) }
  }

  // MARK: Sharing

  @Test func textsThatBeginAlikeHaveTheirCellsTogether() throws {
    var ledger = CacheLedger()
    let prompt = Self.text(40)
    _ = try ledger.run([Self.request(1, prompt)])
    let parts = try ledger.run([Self.request(2, prompt + [100, 101])])
    #expect(parts == [.init(isComplete: true, evaluated: 2, reused: 40)])
    #expect(ledger.usage == .init(cells: 42, branches: 2))
    // Both go on, each in cells of its own.
    _ = try ledger.run([Self.request(1, prompt + [200, 201]), Self.request(2, prompt + [100, 101, 102])])
    #expect(ledger.usage.cells == 45)
    ledger.release(SessionID(1))
    #expect(ledger.usage == .init(cells: 45, branches: 2, retainedCells: 2, retainedSessions: 1))
    // What is left of the released text is worth nothing: it is continued.
    #expect(try ledger.run([Self.request(3, prompt + [200, 201, 202])])[0].reused == 42)
    #expect(ledger.usage == .init(cells: 46, branches: 2))
    #expect(ledger.brokenInvariant == nil)
  }

  @Test func whatIsKeptNeverStandsInTheWay() throws {
    var ledger = CacheLedger(.init(cells: 100, branches: 3))
    for session in UInt64(1)...5 {
      _ = try ledger.run([Self.request(session, Self.text(30, from: TokenID(session) * 100))])
      ledger.release(SessionID(session))
    }
    #expect(ledger.usage == .init(cells: 90, branches: 3, retainedCells: 90, retainedSessions: 3))
    _ = try ledger.run([Self.request(9, Self.text(97), [7, 8, 9], [-1, -1, -1])])
    #expect(ledger.usage == .init(cells: 100, branches: 3))
  }

  // MARK: Against a model of it that knows nothing but texts

  /// What must be in the cache when nothing is shared: open texts, and the guesses of the running pass.
  private struct NaiveCache {
    var limits: CacheLedger.Limits
    var texts: [SessionID: Int] = [:]

    func fits(_ requests: [Request], _ cached: [Int]) -> Bool {
      var cells = 0
      var branches = 0
      for (session, count) in texts where !requests.contains(where: { $0.session == session }) {
        cells += count
        branches += count > 0 ? 1 : 0
      }
      for (request, count) in zip(requests, cached) {
        var paths: Set<[TokenID]> = []
        if count == request.prefix.count {
          var byIndex: [[TokenID]] = []
          for (token, parent) in zip(request.tokens, request.parents) {
            byIndex.append((parent < 0 ? [] : byIndex[Int(parent)]) + [token])
          }
          paths = Set(byIndex)
        }
        let leaves = paths.count { path in !paths.contains { $0.count > path.count && $0.starts(with: path) }
        }
        cells += count + paths.count
        branches += count > 0 ? max(1, leaves) : 0
      }
      return cells <= limits.cells && branches <= limits.branches
    }
  }

  @Test func randomPassesKeepTheRules() throws {
    var refusals = 0
    var runs = 0
    try forEachSeed(count: 300) { seed in
      runs += 1
      var random = SplitMix64(seed: seed)
      let limits = CacheLedger.Limits(
        cells: Int.random(in: 30...200, using: &random), branches: Int.random(in: 2...12, using: &random),
        sharesPrefixes: random.chance(0.7))
      var ledger = CacheLedger(limits)
      var naive = NaiveCache(limits: limits)
      let beginnings = [Self.text(30), Self.text(12) + Self.text(20, from: 50)]
      var texts: [SessionID: [TokenID]] = [:]
      for _ in 0..<60 {
        let before = ledger
        if random.chance(0.2) {
          let session = SessionID(UInt64.random(in: 0..<6, using: &random))
          ledger.release(session)
          texts[session] = nil
          naive.texts[session] = nil
          if ledger.openSessions.contains(session) { throw CheckFailure("\(session) is still open") }
        } else {
          let requests = Self.draw(&texts, beginnings, &random)
          let budget = random.chance(0.5) ? .max : Int.random(in: 0...20, using: &random)
          let isDone = try Self.pass(requests, budget, &ledger, &naive, before)
          refusals += isDone ? 0 : 1
        }
        if let broken = ledger.brokenInvariant { throw CheckFailure(broken) }
      }
    }
    #expect(refusals > runs || runs < 100)
  }

  /// Requests of some sessions, new ones and old ones, whose texts have grown, partly by what was guessed.
  private static func draw(
    _ texts: inout [SessionID: [TokenID]], _ beginnings: [[TokenID]], _ random: inout SplitMix64
  ) -> [Request] {
    let sessions = (UInt64(0)..<6).filter { _ in random.chance(0.4) }.map { SessionID($0) }
    return sessions.map { session in
      var text = texts[session] ?? []
      if text.isEmpty || random.chance(0.1) {
        text = Array(beginnings.randomElement(using: &random)!.prefix(Int.random(in: 1...32, using: &random)))
      }
      for _ in 0..<Int.random(in: 0...3, using: &random) { text.append(random.token()) }
      texts[session] = text
      let guesses = Int.random(in: 0...4, using: &random)
      return Request(
        session: session, prefix: text, tokens: (0..<guesses).map { _ in random.token() },
        parents: (0..<guesses).map { Int32.random(in: -1..<Int32($0), using: &random) })
    }
  }

  /// - Returns: false for a pass that was refused.
  private static func pass(
    _ requests: [Request], _ budget: Int, _ ledger: inout CacheLedger, _ naive: inout NaiveCache,
    _ before: CacheLedger
  ) throws -> Bool {
    let parts: [CacheLedger.Part]
    do throws(CacheLedger.Refusal) {
      parts = try ledger.run(requests, prefillBudget: budget)
    } catch {
      if ledger != before { throw CheckFailure("a refusal changes something") }
      // With an unlimited budget every prefix would be cached.
      if budget == .max, !ledger.limits.sharesPrefixes, naive.fits(requests, requests.map(\.prefix.count)) {
        throw CheckFailure("refused, but it fits: \(error)")
      }
      return false
    }
    var left = budget
    for (request, part) in zip(requests, parts) {
      let cached = ledger.cachedTokens(of: request.session)
      if part.isComplete != (cached == request.prefix.count) { throw CheckFailure("\(part) of \(request)") }
      if part.isComplete, part.evaluated == 0 { throw CheckFailure("an answer without an evaluation") }
      if budget == .max, !part.isComplete { throw CheckFailure("an unlimited budget is used up") }
      left -= part.isComplete ? 0 : part.evaluated
      if left < 0 { throw CheckFailure("over the budget") }
      naive.texts[request.session] = cached
    }
    if !ledger.limits.sharesPrefixes, !naive.fits(requests, requests.map { naive.texts[$0.session]! }) {
      throw CheckFailure("done, but it does not fit")
    }
    return true
  }
}

extension SplitMix64 {
  fileprivate mutating func token() -> TokenID { TokenID.random(in: 100..<103, using: &self) }
}
