import LlamaBackend
import ModelBackend
import Simulator
import SpeculationCore
import SpeculationTesting
import SplitMix
import Testing

@Suite(.enabled(if: TestModel.isAvailable, TestModel.absence), .serialized)
struct CacheLedgerTests {
  /// Checks llama.cpp's own cells against the engine's ledger and against the naive model.
  private func check(_ engine: LlamaEngine, _ naive: NaiveEngine, _ note: String) async throws {
    let stored = try await engine.storedCells()
    #expect(stored == (await engine.expectedCells()), "\(note)")
    #expect(await engine.ledgerProblem() == nil, "\(note)")
    let usage = try await engine.cacheUsage()
    #expect(usage.used == stored.count, "\(note)")
    #expect(usage.retainedSequences == naive.released.count, "\(note)")
    let sequences = await engine.sessionSequences()
    #expect(sequences.keys.map(\.rawValue).sorted() == naive.sessions.keys.sorted(), "\(note)")
    for (session, cache) in naive.sessions {
      // Whoever else has a cell: this session has one for each of its tokens.
      let own = sequences[SessionID(session)] ?? []
      let cells = stored.filter { !own.isDisjoint(with: $0.sequences) }
      #expect(cells.map(\.position) == cache.positions.sorted(), "\(note), session \(session)")
      #expect(usage.sessions[SessionID(session)] == cells.count, "\(note), session \(session)")
    }
    let open = Set(sequences.values.joined())
    #expect(usage.retained == stored.count { open.isDisjoint(with: $0.sequences) }, "\(note)")
  }

  /// Sessions that begin alike, are verified and expanded, change their texts, end and come back.
  @Test(arguments: TestSeeds.first(8))
  func cellsMatchTheTreeAfterEveryCommit(seed: UInt64) async throws {
    let engine = try await TestModel.load(contextLength: 256, sessions: 8, sequences: 160)
    var generator = SplitMix64(seed: seed)
    var naive = NaiveEngine()
    var texts: [UInt64: [TokenID]] = [:]
    var finished: [[TokenID]] = []
    let beginnings = (0..<2).map { _ in (0..<60).map { _ in generator.token() } }
    var reused = 0
    for step in 0..<24 {
      let session = UInt64(Int.random(in: 0..<4, using: &generator))
      var text = texts[session] ?? generator.prompt(beginnings, finished)
      let note = "seed \(seed), step \(step), session \(session)"
      switch Int.random(in: 0..<10, using: &generator) {
      case 0..<4:
        let draft = generator.tree(Int.random(in: 0..<9, using: &generator))
        let expected = naive.takeOver(session, text)
        let result = try await engine.verify([.greedy(session, text, draft)])
        #expect(result.results[0].reusedPrefix == expected, "\(note)")
        reused += expected
        naive.sessions[session, default: NaiveCache()].verify(text, draft)
        // Commit along one of the paths, and one token more.
        text += (draft.paths.randomElement(using: &generator) ?? []) + [generator.token()]
      case 4..<6:
        let known = naive.sessions[session]?.sequences.filter { $0.starts(with: text) } ?? []
        var paths = (0...Int.random(in: 0..<4, using: &generator)).map { _ in
          (0..<Int.random(in: 0..<4, using: &generator)).map { _ in generator.token() }
        }
        if let one = known.sorted(by: { $0.lexicographicallyPrecedes($1) }).randomElement(using: &generator) {
          paths.append(Array(one.dropFirst(text.count)) + [generator.token()])
        }
        reused += naive.takeOver(session, text)
        _ = try await engine.expansions(session, text, paths)
        naive.sessions[session, default: NaiveCache()].expand(text, paths)
        if Int.random(in: 0..<3, using: &generator) == 0 { text += paths[0] + [generator.token()] }
      case 6:
        // Another text under the same session: all but the common part goes.
        text = Array(text.prefix(1 + Int.random(in: 0..<text.count, using: &generator))) + [generator.token()]
        reused += naive.takeOver(session, text)
        _ = try await engine.choices(session, text)
        naive.sessions[session, default: NaiveCache()].verify(text, DraftTree())
      case 7:
        // A long prompt in pieces.
        let budget = Int.random(in: 0..<30, using: &generator)
        let had = naive.sessions[session]?.cached(of: text) ?? 0
        let expected = naive.takeOver(session, text)
        let pass = try await engine.verify([.greedy(session, text)], prefillBudget: budget)
        let start = min(had, text.count - 1) + expected
        let end = text.count - 1 - start <= budget ? text.count : start + budget
        reused += expected
        #expect(pass.results[0].reusedPrefix == expected, "\(note)")
        #expect(pass.results[0].choices.isEmpty == (end < text.count), "\(note)")
        #expect(pass.tokens == end - start, "\(note)")
        naive.sessions[session, default: NaiveCache()].verify(Array(text.prefix(end)), DraftTree())
      default:
        await engine.release(SessionID(session))
        naive.release(session)
        finished.append(text)
        text = []
      }
      texts[session] = text.isEmpty ? nil : text
      try await check(engine, naive, note)
      #expect(try await engine.cacheUsage().reusedTokens == UInt64(reused), "\(note)")
    }
    for session in naive.sessions.keys.sorted() {
      await engine.release(SessionID(session))
      naive.release(session)
    }
    try await check(engine, naive, "seed \(seed), after release")
    let usage = try await engine.cacheUsage()
    #expect(usage.usedSequences == usage.retainedSequences)
  }

  /// The same with several sessions in a pass, too little room for all that is kept, budgets, and passes that
  /// fail after some of their tokens have been evaluated.
  @Test(arguments: TestSeeds.first(8))
  func theLedgerHoldsInAnyWeather(seed: UInt64) async throws {
    let engine = try await TestModel.load(contextLength: 200, sessions: 2, treeNodes: 8, sequences: 14)
    var generator = SplitMix64(seed: seed)
    var texts: [UInt64: [TokenID]] = [:]
    var finished: [[TokenID]] = []
    let beginnings = (0..<3).map { _ in (0..<110).map { _ in generator.token() } }
    var outcomes = (passed: 0, failed: 0, full: 0, unfinished: 0)
    for step in 0..<30 {
      let note = "seed \(seed), step \(step)"
      let chosen = (UInt64(0)..<5).shuffled(using: &generator).prefix(
        Int.random(in: 1..<4, using: &generator))
      switch Int.random(in: 0..<8, using: &generator) {
      case 0..<5:
        let requests = chosen.map { session in
          let text = texts[session] ?? generator.prompt(beginnings, finished)
          texts[session] = text
          return VerificationRequest.greedy(
            session, text, generator.tree(Int.random(in: 0..<5, using: &generator)))
        }
        let fails = Int.random(in: 0..<4, using: &generator) == 0
        let budget = Bool.random(using: &generator) ? Int.max : Int.random(in: 0..<80, using: &generator)
        if fails { await engine.setAfterDecode { _ in throw ModelError(.engineFailed, "test", hint: nil) } }
        let before = try await engine.cacheUsage().sessions
        do {
          let pass = try await engine.verify(requests, prefillBudget: budget)
          outcomes.passed += 1
          for (request, result) in zip(requests, pass.results) {
            #expect(result.session == request.session, "\(note)")
            if result.choices.isEmpty {
              outcomes.unfinished += 1
              #expect(budget < .max, "\(note)")
              continue
            }
            #expect(result.choices.count == request.draft.count + 1, "\(note)")
            let path = request.draft.paths.randomElement(using: &generator) ?? []
            texts[request.session.rawValue]? += path + [generator.token()]
          }
          let nodes = requests.reduce(0) { $0 + $1.draft.count + 1 }
          #expect(budget == .max || pass.tokens <= budget + nodes, "\(note)")
        } catch let error as ModelError {
          if error.code == .engineFailed { outcomes.failed += 1 } else { outcomes.full += 1 }
          // A session that the pass would have opened is not open; the others are.
          #expect(try await engine.cacheUsage().sessions.keys.sorted() == before.keys.sorted(), "\(note)")
        }
        await engine.setAfterDecode(nil)
      case 5:
        guard let session = chosen.first, let text = texts[session] else { continue }
        let paths = (0..<3).map { _ in (0..<2).map { _ in generator.token() } }
        do { _ = try await engine.expansions(session, text, paths) } catch is ModelError {
          outcomes.full += 1
        }
      case 6:
        guard let session = chosen.first, let text = texts[session] else { continue }
        texts[session] = Array(text.prefix(1 + Int.random(in: 0..<text.count, using: &generator)))
      default:
        guard let session = chosen.first else { continue }
        if Bool.random(using: &generator) {
          await engine.release(SessionID(session))
        } else {
          await engine.discard(SessionID(session))
        }
        finished.append(contentsOf: texts[session].map { [$0] } ?? [])
        texts[session] = nil
      }
      for (session, text) in texts where text.count > 180 {
        await engine.release(SessionID(session))
        texts[session] = nil
      }
      #expect(try await engine.storedCells() == (await engine.expectedCells()), "\(note)")
      #expect(await engine.ledgerProblem() == nil, "\(note)")
      let usage = try await engine.cacheUsage()
      #expect(usage.used == (try await engine.storedCells()).count, "\(note)")
      #expect(usage.used <= usage.capacity && usage.retained <= usage.used, "\(note)")
    }
    #expect(outcomes.passed > 0, "\(outcomes)")
  }

  @Test func aChainNeedsOneSequence() async throws {
    let engine = try await TestModel.load()
    var text = try TestModel.tokens(engine)
    for _ in 0..<4 {
      let draft = DraftTree(tokens: [100, 101, 102], parents: [-1, 0, 1])
      _ = try await engine.choices(1, text, draft)
      #expect(try await engine.cacheUsage().usedSequences == 1)
      text += [100, 103]
    }
  }

  @Test func guessesGiveWayWhenSequencesOrCellsAreShort() async throws {
    let engine = try await TestModel.load(contextLength: 60, sessions: 1, treeNodes: 4, sequences: 4)
    let text = try TestModel.tokens(engine)
    for seed in UInt64(0)..<4 {
      var generator = SplitMix64(seed: seed)
      var text = text
      for step in 0..<12 {
        let paths = (0..<3).map { _ in
          (0..<(1 + Int.random(in: 0..<5, using: &generator))).map { _ in generator.token() }
        }
        _ = try await engine.expansions(1, text, paths)
        if Int.random(in: 0..<2, using: &generator) == 0 { text += paths[0] }
        if text.count > 40 { text = Array(text.prefix(6)) }
        let stored = try await engine.storedCells()
        #expect(stored == (await engine.expectedCells()), "seed \(seed), step \(step)")
      }
    }
    let wide = DraftTree(tokens: [1, 2, 3, 4, 5].map { 100 + $0 }, parents: [-1, -1, -1, -1, -1])
    let error = await #expect(throws: ModelError.self) { try await engine.choices(1, text, wide) }
    #expect(error?.code == .invalidRequest)
    // The session is as usable as before.
    _ = try await engine.choices(1, text)
    #expect(try await engine.storedCells() == (await engine.expectedCells()))
  }
}
