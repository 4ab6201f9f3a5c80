import ModelBackend
import Simulator
import SpeculationCore
import SplitMix

/// What every draft must do, whoever made its engine: one check for each rule of `DraftModel`. The engine's cache
/// must hold exactly the tokens that were asked for.
public enum DraftCheck: String, CaseIterable, Sendable {
  case expansionsDoNotDependOnTheBatch
  case expansionsFollowTheirPaths
  case candidatesAreRanked
  case guessesAreKeptForLaterPasses
  case textsAreReadAhead
  case aPassThatDoesNotFitChangesNothing
  case aReleaseMakesRoom
  case requestsThatMakeNoSenseAreRefused
  case nothingIsDoneAfterAShutDown
  case theBooksAgree

  /// - Throws: `CheckFailure`, or what the engine threw that it should not have.
  public func run(_ fixture: EngineFixture<any DraftModel>) async throws {
    switch self {
    case .expansionsDoNotDependOnTheBatch: try await Self.batches(fixture)
    case .expansionsFollowTheirPaths: try await Self.paths(fixture)
    case .candidatesAreRanked: try await Self.candidates(fixture)
    case .guessesAreKeptForLaterPasses: try await Self.guesses(fixture)
    case .textsAreReadAhead: try await Self.reading(fixture)
    case .aPassThatDoesNotFitChangesNothing: try await Self.refusal(fixture)
    case .aReleaseMakesRoom: try await Self.release(fixture)
    case .requestsThatMakeNoSenseAreRefused: try await Self.nonsense(fixture)
    case .nothingIsDoneAfterAShutDown: try await Self.shutDown(fixture)
    case .theBooksAgree: try await Self.books(fixture)
    }
  }
}

extension ExpansionRequest {
  init(
    _ session: UInt64, _ prefix: [TokenID], _ path: [TokenID] = [], candidates: Int = 4,
    sampling: SamplingSettings = .greedy
  ) {
    self.init(
      session: SessionID(session), prefix: prefix, path: path, sampling: sampling, candidates: candidates)
  }
}

// MARK: Answers

extension DraftCheck {
  /// The same candidate first, unless two are as good as equally likely.
  private static func requireSame(_ a: Distribution, _ b: Distribution, _ note: String) throws {
    let (first, other) = (a.candidates[0], b.candidates[0])
    try require(
      abs(first.probability - other.probability) < nearTieMargin
        && abs(a.entropy - b.entropy) < nearTieMargin,
      "\(note): \(a) and \(b)")
    if first.token != other.token {
      try require(
        a.candidates.count > 1 && first.probability - a.candidates[1].probability < nearTieMargin,
        "\(note): \(a) and \(b)")
    }
  }

  private static func batches(_ fixture: EngineFixture<any DraftModel>) async throws {
    let engine = try await fixture.engine(for: .comparison)
    let source = EngineTexts(engine.model)
    let texts = (UInt64(0)..<3).map { source.text(8 + Int($0), $0) }
    let path = [source.token(1), source.token(2)]
    let requests = texts.indices.flatMap { index in
      [[], path, [path[0]], path].map { ExpansionRequest(UInt64(index), texts[index], $0) }
    }
    let together = try await engine.expand(requests).results
    try require(together.count == requests.count, "\(together.count) results for \(requests.count) requests")
    for (index, request) in requests.enumerated() {
      var alone = request
      alone.session = SessionID(9)
      let expected = try await engine.expand([alone]).results[0]
      try requireSame(together[index], expected, "request \(index)")
      if index % 4 == 3 { try require(together[index] == together[index - 2], "equal paths differ") }
      await engine.release(SessionID(9))
    }
  }

  private static func paths(_ fixture: EngineFixture<any DraftModel>) async throws {
    let engine = try await fixture.engine(for: .comparison)
    let source = EngineTexts(engine.model)
    let text = source.text(8, 1)
    // Grown as a worker grows a tree: each pass expands what the one before has found.
    var paths: [[TokenID]] = [[]]
    for _ in 0..<3 {
      let found = try await engine.expand(paths.map { ExpansionRequest(1, text, $0, candidates: 2) }).results
      for (path, distribution) in zip(paths, found) {
        let plain = try await engine.expand([ExpansionRequest(2, text + path, candidates: 2)]).results[0]
        try requireSame(distribution, plain, "after \(path)")
      }
      paths = zip(paths, found).flatMap { path, found in found.candidates.map { path + [$0.token] } }
    }
  }

  private static func candidates(_ fixture: EngineFixture<any DraftModel>) async throws {
    let engine = try await fixture.engine()
    let source = EngineTexts(engine.model)
    let text = source.text(8, 1)
    for sampling in [SamplingSettings.greedy, SamplingSettings(temperature: 0.8, seed: 3)] {
      for count in [1, 2, 8] {
        let request = ExpansionRequest(1, text, candidates: count, sampling: sampling)
        let distribution = try await engine.expand([request]).results[0]
        let found = distribution.candidates
        try require((1...count).contains(found.count), "\(found.count) candidates where \(count) are wanted")
        try require(Set(found.map(\.token)).count == found.count, "a candidate is there twice: \(found)")
        try require(
          zip(found, found.dropFirst()).allSatisfy { $0.probability >= $1.probability },
          "candidates are not ranked: \(found)")
        try require(
          found.allSatisfy { (0...1).contains($0.probability) }
            && found.reduce(0) { $0 + $1.probability } < 1.001, "not probabilities: \(found)")
        try require(distribution.entropy >= 0, "an entropy of \(distribution.entropy)")
      }
    }
  }
}

// MARK: Capacity

extension DraftCheck {
  private static func guesses(_ fixture: EngineFixture<any DraftModel>) async throws {
    let engine = try await fixture.engine()
    let source = EngineTexts(engine.model)
    let text = source.text(10, 1)
    let (a, b, c) = (source.token(1), source.token(2), source.token(3))
    func tokens(_ prefix: [TokenID], _ paths: [TokenID]...) async throws -> Int {
      try await engine.expand(paths.map { ExpansionRequest(1, prefix, $0) }).tokens
    }
    for (what, evaluated, expected) in [
      ("the root", try await tokens(text, []), 10), ("a child of it", try await tokens(text, [a]), 1),
      ("a child of that", try await tokens(text, [a, b]), 1),
      ("it again, and its sibling", try await tokens(text, [a, b], [a, c]), 2),
      ("what came true", try await tokens(text + [a, b], [c]), 1),
      ("another text", try await tokens(text + [c], [a], [b]), 3),
    ] {
      try require(evaluated == expected, "\(what): \(evaluated) tokens, not \(expected)")
    }
  }

  private static func reading(_ fixture: EngineFixture<any DraftModel>) async throws {
    let engine = try await fixture.engine()
    let source = EngineTexts(engine.model)
    var text = source.text(30, 1)
    func requireReading(
      _ session: UInt64, limit: Int, cached: Int, evaluated: Int, _ what: String
    ) async throws {
      let pass = try await engine.read(
        ReadingRequest(session: SessionID(session), tokens: text, limit: limit))
      try require(
        pass.results == [cached] && pass.tokens == evaluated,
        "\(what): \(pass.results) cached by \(pass.tokens) tokens, not \(cached) by \(evaluated)")
    }
    try await requireReading(1, limit: 0, cached: 0, evaluated: 0, "asking what is cached")
    try await requireReading(1, limit: 12, cached: 12, evaluated: 12, "a piece")
    try await requireReading(1, limit: 100, cached: 29, evaluated: 17, "the rest but the last token")
    try await requireReading(1, limit: 100, cached: 29, evaluated: 0, "nothing left to read")
    let guess = try await engine.expand([ExpansionRequest(1, text)])
    try require(guess.tokens == 1, "\(guess.tokens) tokens for a guess after a text that was read")
    text += [source.token(1), source.token(2), source.token(3)]
    try await requireReading(1, limit: 100, cached: 32, evaluated: 2, "a text that has gone on")
    try await requireReading(2, limit: 0, cached: 32, evaluated: 0, "a text that another session has read")
    await engine.release(SessionID(1))
    await engine.release(SessionID(2))
    try await requireReading(3, limit: 0, cached: 32, evaluated: 0, "a text that was read before")
    await engine.discard(SessionID(3))
    try await requireReading(4, limit: 0, cached: 0, evaluated: 0, "a text that was discarded")
    try await requireRefusal(.invalidRequest, "reading no tokens") {
      try await engine.read(ReadingRequest(session: SessionID(1), tokens: [], limit: 5))
    }
  }

  /// Fills the cache but for a few cells, with texts two tokens shorter than the context.
  private static func fill(
    _ engine: any DraftModel, _ source: EngineTexts, capacity: Int
  ) async throws -> (texts: [[TokenID]], left: Int) {
    let length = engine.model.contextLength - 2
    let texts = (0..<capacity / length).map { source.text(length, UInt64($0)) }
    for (session, text) in texts.enumerated() {
      _ = try await engine.expand([ExpansionRequest(UInt64(session), text)])
    }
    return (texts, capacity - texts.count * length)
  }

  private static func refusal(_ fixture: EngineFixture<any DraftModel>) async throws {
    let engine = try await fixture.engine()
    let source = EngineTexts(engine.model)
    let (texts, left) = try await fill(engine, source, capacity: EngineSize().cacheTokens)
    let other = source.text(left, 90)
    let path = [source.token(1)]
    try await requireRefusal(.contextFull, "one guess too many") {
      try await engine.expand([ExpansionRequest(0, texts[0]), ExpansionRequest(90, other, path)])
    }
    for (session, text) in texts.enumerated() {
      let pass = try await engine.expand([ExpansionRequest(UInt64(session), text)])
      try require(pass.tokens == 1, "a refused pass costs session \(session) \(pass.tokens) tokens")
    }
    let fitting = try await engine.expand([ExpansionRequest(90, Array(other.dropLast()), path)])
    try require(fitting.tokens == left, "\(fitting.tokens) tokens, not \(left)")
    // The guess gives way.
    _ = try await engine.expand([ExpansionRequest(91, source.text(1, 91))])
  }

  private static func release(_ fixture: EngineFixture<any DraftModel>) async throws {
    let engine = try await fixture.engine()
    let source = EngineTexts(engine.model)
    let (_, left) = try await fill(engine, source, capacity: EngineSize().cacheTokens)
    let request = ExpansionRequest(90, source.text(left + 20, 90))
    await engine.release(SessionID(77))
    try await requireRefusal(.contextFull, "20 tokens too many") { try await engine.expand([request]) }
    await engine.release(SessionID(90))
    await engine.release(SessionID(0))
    await engine.release(SessionID(0))
    try require(try await engine.expand([request]).results.count == 1, "no answer after a release")
  }
}

// MARK: What is refused

extension DraftCheck {
  private static func nonsense(_ fixture: EngineFixture<any DraftModel>) async throws {
    let engine = try await fixture.engine()
    let source = EngineTexts(engine.model)
    let text = source.text(5, 1)
    let size = TokenID(engine.model.vocabulary.size)
    let requests: [(String, [ExpansionRequest])] = [
      ("no tokens", [ExpansionRequest(1, [])]), ("a negative token", [ExpansionRequest(1, [-1])]),
      ("a token beyond the vocabulary", [ExpansionRequest(1, text + [size])]),
      ("a guess beyond the vocabulary", [ExpansionRequest(1, text, [size])]),
      ("two texts of a session", [ExpansionRequest(1, text), ExpansionRequest(1, text + text)]),
      ("a good one beside a bad one", [ExpansionRequest(3, text), ExpansionRequest(1, [])]),
      ("a negative temperature", [ExpansionRequest(1, text, sampling: SamplingSettings(temperature: -1))]),
    ]
    for (what, bad) in requests {
      try await requireRefusal(.invalidRequest, what) { try await engine.expand(bad) }
    }
    let length = engine.model.contextLength
    try await requireRefusal(.contextFull, "a text beyond the context") {
      try await engine.expand([ExpansionRequest(1, source.text(length + 1, 1))])
    }
    _ = try await engine.expand([ExpansionRequest(1, source.text(length, 1))])
  }

  private static func shutDown(_ fixture: EngineFixture<any DraftModel>) async throws {
    let engine = try await fixture.engine()
    let source = EngineTexts(engine.model)
    _ = try await engine.expand([ExpansionRequest(1, source.text(5, 1))])
    engine.shutDown()
    try await requireRefusal(.cancelled, "a pass after the end") {
      try await engine.expand([ExpansionRequest(1, source.text(5, 1))])
    }
    await engine.release(SessionID(1))
  }

  /// Beside a `CacheLedger` with room for all: what is evaluated of trees that grow below texts that grow.
  private static func books(_ fixture: EngineFixture<any DraftModel>) async throws {
    for seed in UInt64(1)...3 {
      let engine = try await fixture.engine {
        $0.cacheTokens = 1024
        $0.branches = 64
      }
      let source = EngineTexts(engine.model)
      var random = SplitMix64(seed: seed)
      var ledger = CacheLedger(
        CacheLedger.Limits(cells: 1024, branches: 64, contextLength: engine.model.contextLength))
      var texts = (UInt64(0)..<3).map { source.text(20, $0 / 2) }
      for step in 0..<25 {
        var requests: [ExpansionRequest] = []
        var books: [CacheLedger.Request] = []
        for index in texts.indices where random.chance(0.6) {
          for _ in 0..<Int.random(in: 0...2, using: &random) { texts[index].append(source.common(&random)) }
          let paths = (0...Int.random(in: 0..<3, using: &random)).map { _ in
            (0..<Int.random(in: 0...3, using: &random)).map { _ in source.common(&random) }
          }
          requests += paths.map { ExpansionRequest(UInt64(index), texts[index], $0) }
          books.append(
            CacheLedger.Request(session: SessionID(UInt64(index)), prefix: texts[index], expanding: paths))
        }
        let tokens = try ledger.run(books, keepsGuesses: true).reduce(0) { $0 + $1.evaluated }
        let pass = try await engine.expand(requests)
        try require(
          pass.tokens == tokens,
          "seed \(seed), step \(step): \(pass.tokens) tokens, not \(tokens): \(requests)")
        if random.chance(0.1) {
          let session = SessionID(UInt64.random(in: 0..<3, using: &random))
          ledger.release(session)
          await engine.release(session)
        }
      }
    }
  }
}
