import ModelBackend
import Simulator
import SpeculationCore
import SplitMix

/// The engine beside a `CacheLedger` of its size: what the simulated engine says of a pass is what the real one
/// does.
extension TargetCheck {
  /// With room for all: which tokens are evaluated, which are reused, whose prefix is complete.
  static func books(_ fixture: EngineFixture<any TargetModel>) async throws {
    for seed in UInt64(1)...3 {
      for sharesPrefixes in [true, false] {
        let engine = try await fixture.engine {
          $0.cacheTokens = 1024
          $0.branches = 64
          $0.sharesPrefixes = sharesPrefixes
        }
        var run = BookRun(engine, sharesPrefixes: sharesPrefixes, seed: seed)
        for step in 0..<25 {
          let requests = run.draw()
          let budget = run.random.chance(0.5) ? .max : Int.random(in: 0...24, using: &run.random)
          let note = "seed \(seed), step \(step)"
          let parts = try run.ledger.run(requests.map(\.books), prefillBudget: budget)
          let pass = try await engine.verify(requests, prefillBudget: budget)
          for (part, result) in zip(parts, pass.results) {
            try require(
              part.isComplete == !result.choices.isEmpty,
              "\(note): \(result.session) has \(result.choices.count) choices, for \(part)")
            try require(
              part.reused == result.reusedPrefix,
              "\(note): \(result.session) reuses \(result.reusedPrefix), for \(part)")
          }
          let tokens = parts.reduce(0) { $0 + $1.evaluated }
          try require(pass.tokens == tokens, "\(note): \(pass.tokens) tokens, not \(tokens): \(requests)")
          if run.random.chance(0.3) {
            let session = run.end()
            run.ledger.release(session)
            await engine.release(session)
          }
        }
      }
    }
  }

  /// With little room: what is refused. Until the first refusal, since an engine may have given up guesses before
  /// it found that even so there is no room.
  static func limits(_ fixture: EngineFixture<any TargetModel>) async throws {
    var refusals = 0
    for seed in UInt64(1)...6 {
      let engine = try await fixture.engine {
        $0.branches = 6
        $0.sharesPrefixes = seed % 2 == 0
      }
      var run = BookRun(engine, sharesPrefixes: seed % 2 == 0, seed: seed)
      for step in 0..<40 {
        let requests = run.draw()
        var refusal: CacheLedger.Refusal?
        do throws(CacheLedger.Refusal) {
          _ = try run.ledger.run(requests.map(\.books))
        } catch {
          refusal = error
        }
        guard let refusal else {
          _ = try await engine.verify(requests)
          if run.random.chance(0.15) {
            let session = run.end()
            run.ledger.release(session)
            await engine.release(session)
          }
          continue
        }
        try await requireRefusal(ModelError(refusal).code, "seed \(seed), step \(step): \(refusal)") {
          try await engine.verify(requests)
        }
        refusals += 1
        break
      }
    }
    try require(refusals > 0, "nothing was ever refused")
  }

  /// Random sessions whose texts grow, partly by what was guessed, and begin alike now and then.
  private struct BookRun {
    let source: EngineTexts
    let contextLength: Int
    var ledger: CacheLedger
    var random: SplitMix64
    private var texts: [SessionID: [TokenID]] = [:]

    init(_ engine: any TargetModel, sharesPrefixes: Bool, seed: UInt64) {
      source = EngineTexts(engine.model)
      contextLength = engine.model.contextLength
      ledger = CacheLedger(
        CacheLedger.Limits(
          cells: engine.cacheCapacity.tokens, branches: engine.cacheCapacity.branches,
          contextLength: engine.model.contextLength, vocabularySize: engine.model.vocabulary.size,
          sharesPrefixes: sharesPrefixes))
      random = SplitMix64(seed: seed)
    }

    mutating func draw() -> [VerificationRequest] {
      (UInt64(0)..<5).filter { _ in random.chance(0.4) }.map { number in
        let session = SessionID(number)
        var text = texts[session] ?? []
        if text.isEmpty || text.count > contextLength - 4 || random.chance(0.05) {
          let beginning = source.text(40, UInt64.random(in: 0..<2, using: &random))
          text = Array(beginning.prefix(Int.random(in: 1...40, using: &random)))
        }
        for _ in 0..<Int.random(in: 0...3, using: &random) { text.append(source.common(&random)) }
        texts[session] = text
        return VerificationRequest(number, text, source.tree(Int.random(in: 0...4, using: &random), &random))
      }
    }

    /// A session that is over.
    mutating func end() -> SessionID {
      let session = SessionID(UInt64.random(in: 0..<5, using: &random))
      texts[session] = nil
      return session
    }
  }
}

extension VerificationRequest {
  fileprivate var books: CacheLedger.Request {
    CacheLedger.Request(session: session, prefix: prefix, tokens: draft.tokens, parents: draft.parents)
  }
}
