import LlamaBackend
import ModelBackend
import Simulator
import SpeculationCore
import SpeculationTesting
import Testing

/// What should be cached, kept in the most obvious way: the set of all cached sequences of tokens.
private struct NaiveCache {
  /// Every sequence whose last token has a cell. Closed under prefixes.
  var sequences: Set<[TokenID]> = []

  private mutating func add(_ sequence: [TokenID]) {
    for length in 1...sequence.count { sequences.insert(Array(sequence.prefix(length))) }
  }

  mutating func verify(_ prefix: [TokenID], _ draft: DraftTree) {
    sequences = []
    add(prefix)
    for path in draft.paths { add(prefix + path) }
  }

  mutating func expand(_ prefix: [TokenID], _ paths: [[TokenID]]) {
    sequences = sequences.filter { prefix.starts(with: $0) || $0.starts(with: prefix) }
    // Outputs are not kept, so what is asked again is evaluated again, and what was below it goes.
    for path in paths {
      let sequence = prefix + path
      if sequences.contains(sequence) { sequences = sequences.filter { !$0.starts(with: sequence) } }
    }
    for path in paths { add(prefix + path) }
  }

  /// Positions of the cells.
  var positions: [Int] { sequences.map { $0.count - 1 } }
}

@Suite(.enabled(if: TestModel.isAvailable, TestModel.absence), .serialized)
struct CacheLedgerTests {
  /// Checks llama.cpp's own cells against the engine's ledger and against the naive model.
  private func check(_ engine: LlamaEngine, _ naive: [UInt64: NaiveCache], _ note: String) async throws {
    let stored = try await engine.storedCells()
    #expect(stored == (await engine.expectedCells()), "\(note)")
    #expect(stored.map(\.position).sorted() == naive.values.flatMap(\.positions).sorted(), "\(note)")
    let usage = try await engine.cacheUsage()
    #expect(usage.used == stored.count, "\(note)")
    for (session, cache) in naive {
      #expect(usage.sessions[SessionID(session)] == cache.sequences.count, "\(note), session \(session)")
    }
  }

  @Test func cellsMatchTheTreeAfterEveryCommit() async throws {
    let engine = try await TestModel.load(contextLength: 256, sessions: 4, lanes: 96)
    for seed in UInt64(0)..<8 {
      var generator = SplitMix64(seed: seed)
      var naive: [UInt64: NaiveCache] = [:]
      var texts: [UInt64: [TokenID]] = [:]
      for step in 0..<16 {
        let session = UInt64(Int.random(in: 0..<3, using: &generator))
        var text = texts[session] ?? (0..<6).map { _ in generator.token() }
        let note = "seed \(seed), step \(step), session \(session)"
        switch Int.random(in: 0..<10, using: &generator) {
        case 0..<4:
          let draft = generator.tree(Int.random(in: 0..<9, using: &generator))
          _ = try await engine.choices(session, text, draft)
          naive[session, default: NaiveCache()].verify(text, draft)
          // Commit along one of the paths, and one token more.
          text += (draft.paths.randomElement(using: &generator) ?? []) + [generator.token()]
        case 4..<8:
          let known = naive[session]?.sequences.filter { $0.starts(with: text) } ?? []
          var paths = (0...Int.random(in: 0..<4, using: &generator)).map { _ in
            (0..<Int.random(in: 0..<4, using: &generator)).map { _ in generator.token() }
          }
          if let one = known.sorted(by: { $0.lexicographicallyPrecedes($1) }).randomElement(using: &generator)
          {
            paths.append(Array(one.dropFirst(text.count)) + [generator.token()])
          }
          _ = try await engine.expansions(session, text, paths)
          naive[session, default: NaiveCache()].expand(text, paths)
          if Int.random(in: 0..<3, using: &generator) == 0 { text += paths[0] + [generator.token()] }
        case 8:
          // Another text under the same session: all but the common part goes.
          text =
            Array(text.prefix(1 + Int.random(in: 0..<text.count, using: &generator))) + [generator.token()]
          _ = try await engine.choices(session, text)
          naive[session, default: NaiveCache()].verify(text, DraftTree())
        default:
          await engine.release(SessionID(session))
          naive[session] = nil
          text = []
        }
        texts[session] = text.isEmpty ? nil : text
        try await check(engine, naive, note)
      }
      for session in naive.keys { await engine.release(SessionID(session)) }
      try await check(engine, [:], "seed \(seed), after release")
      #expect(try await engine.cacheUsage().usedLanes == 0)
    }
  }

  @Test func aChainNeedsOneLane() async throws {
    let engine = try await TestModel.load()
    var text = try TestModel.tokens(engine)
    for _ in 0..<4 {
      let draft = DraftTree(tokens: [100, 101, 102], parents: [-1, 0, 1])
      _ = try await engine.choices(1, text, draft)
      #expect(try await engine.cacheUsage().usedLanes == 1)
      text += [100, 103]
    }
  }

  @Test func guessesGiveWayWhenLanesOrCellsAreShort() async throws {
    let engine = try await TestModel.load(contextLength: 60, sessions: 1, treeNodes: 4, lanes: 4)
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
