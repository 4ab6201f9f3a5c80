import ModelBackend
import Simulator
import SpeculationCore

// MARK: Capacity

extension TargetCheck {
  /// Fills the cache with texts two tokens shorter than the context.
  ///
  /// - Returns: the texts, of sessions 0, 1, ..., and the cells that are left.
  private static func fill(
    _ engine: any TargetModel, _ source: EngineTexts
  ) async throws -> (texts: [[TokenID]], left: Int) {
    let length = engine.model.contextLength - 2
    let capacity = engine.cacheCapacity.tokens
    let texts = (0..<capacity / length).map { source.text(length, UInt64($0)) }
    for (session, text) in texts.enumerated() {
      _ = try await engine.verify([VerificationRequest(UInt64(session), text)])
    }
    let left = capacity - texts.count * length
    try require(left > 4, "the check needs some cells beside full texts")
    return (texts, left)
  }

  static func refusal(_ fixture: EngineFixture<any TargetModel>) async throws {
    let engine = try await fixture.engine()
    let source = EngineTexts(engine.model)
    let (texts, left) = try await fill(engine, source)
    let other = source.text(left + 1, 90)
    let error = try await requireRefusal(.contextFull, "one token too many") {
      try await engine.choices(VerificationRequest(90, other))
    }
    for number in [left + 1, engine.cacheCapacity.tokens] {
      try require(error.message.contains("\(number)"), "\(number) is not in: \(error)")
    }
    // One that does not fit takes no other down with it.
    try await requireRefusal(.contextFull, "one token too many in all") {
      try await engine.verify([
        VerificationRequest(0, texts[0] + [source.token(1)]),
        VerificationRequest(90, Array(other.prefix(left))),
      ])
    }
    for (session, text) in texts.enumerated() {
      let pass = try await engine.verify([VerificationRequest(UInt64(session), text)])
      try require(pass.tokens == 1, "a refused pass costs session \(session) \(pass.tokens) tokens")
    }
    let fitting = try await engine.verify([
      VerificationRequest(0, texts[0] + [source.token(1)]),
      VerificationRequest(90, Array(other.prefix(left - 1))),
    ])
    try require(fitting.tokens == left, "\(fitting.tokens) tokens, not \(left)")
    try await requireRefusal(.contextFull, "a token beyond the last cell") {
      try await engine.choices(VerificationRequest(91, source.text(1, 91)))
    }
  }

  static func release(_ fixture: EngineFixture<any TargetModel>) async throws {
    for sharesPrefixes in [true, false] {
      let engine = try await fixture.engine { $0.sharesPrefixes = sharesPrefixes }
      let source = EngineTexts(engine.model)
      let (_, left) = try await fill(engine, source)
      let request = VerificationRequest(90, source.text(left + 20, 90))
      await engine.release(SessionID(77))
      try await requireRefusal(.contextFull, "20 tokens too many") { try await engine.choices(request) }
      // A session that was refused is not there, or releasing it does no harm.
      await engine.release(SessionID(90))
      await engine.release(SessionID(0))
      await engine.release(SessionID(0))
      try require(try await engine.choices(request).count == 1, "no answer after a release")
    }
  }

  static func guesses(_ fixture: EngineFixture<any TargetModel>) async throws {
    let engine = try await fixture.engine { $0.branches = 6 }
    let source = EngineTexts(engine.model)
    let text = source.text(4, 50)
    let draft = source.fan(6)
    _ = try await engine.choices(VerificationRequest(50, text, draft))
    // Texts in all other cells, on as many branches as there are beside one.
    let length = engine.model.contextLength
    var left = engine.cacheCapacity.tokens - text.count
    var session: UInt64 = 0
    while left > 0 {
      _ = try await engine.choices(VerificationRequest(session, source.text(min(left, length), session)))
      left -= min(left, length)
      session += 1
    }
    let pass = try await engine.verify([VerificationRequest(50, text)])
    try require(pass.tokens == 1, "a text lost cells to others: \(pass.tokens) tokens")
  }

  static func branches(_ fixture: EngineFixture<any TargetModel>) async throws {
    let engine = try await fixture.engine()
    let source = EngineTexts(engine.model)
    let branches = engine.cacheCapacity.branches
    func pass(_ leaves: Int...) async throws -> [Int] {
      let requests = leaves.enumerated().map {
        VerificationRequest(UInt64($0), source.text(3, UInt64($0)), source.fan($1))
      }
      return try await engine.verify(requests).results.map(\.choices.count)
    }
    func refused(_ leaves: Int...) async throws {
      let requests = leaves.enumerated().map {
        VerificationRequest(UInt64($0), source.text(3, UInt64($0)), source.fan($1))
      }
      try await requireRefusal(.invalidRequest, "\(leaves) leaves") { try await engine.verify(requests) }
    }
    try require(try await pass(branches) == [branches + 1], "a tree on all branches")
    try await refused(branches + 1)
    // What one session no longer needs is for the others, in the same pass.
    try require(try await pass(1, branches - 1) == [2, branches], "branches move to the second session")
    try require(try await pass(branches - 2, 2) == [branches - 1, 3], "branches move back")
    try await refused(branches - 1, 2)
    try require(try await pass(0, branches - 1) == [1, branches], "a session without guesses has one branch")
    try await refused(0, branches)
    await engine.release(SessionID(1))
    try require(try await pass(branches) == [branches + 1], "a tree on all branches after a release")
  }
}

// MARK: What is refused

extension TargetCheck {
  static func nonsense(_ fixture: EngineFixture<any TargetModel>) async throws {
    let engine = try await fixture.engine()
    let source = EngineTexts(engine.model)
    let text = source.text(5, 1)
    let size = TokenID(engine.model.vocabulary.size)
    var requests: [String: [VerificationRequest]] = [
      "no tokens": [VerificationRequest(1, [])],
      "a negative token": [VerificationRequest(1, [-1])],
      "a token beyond the vocabulary": [VerificationRequest(1, text + [size])],
      "a guess beyond the vocabulary": [
        VerificationRequest(1, text, DraftTree(tokens: [size], parents: [-1]))
      ],
      "a guess below itself": [VerificationRequest(1, text, DraftTree(tokens: [text[0]], parents: [0]))],
      "a guess above the root": [VerificationRequest(1, text, DraftTree(tokens: [text[0]], parents: [-2]))],
      "a session twice": [
        VerificationRequest(1, text), VerificationRequest(2, text), VerificationRequest(1, text),
      ],
      "a negative temperature": [VerificationRequest(1, text, sampling: SamplingSettings(temperature: -1))],
    ]
    // A good one beside a bad one is not served either.
    requests["a good one beside a bad one"] = [VerificationRequest(3, text), VerificationRequest(1, [])]
    for (what, bad) in requests.sorted(by: { $0.key < $1.key }) {
      try await requireRefusal(.invalidRequest, what) { try await engine.verify(bad) }
    }
    let length = engine.model.contextLength
    let error = try await requireRefusal(.contextFull, "a text beyond the context") {
      try await engine.verify([VerificationRequest(1, source.text(length + 1, 1))])
    }
    for number in [length, length + 1] {
      try require(error.message.contains("\(number)"), "\(number) is not in: \(error)")
    }
    let good = try await engine.choices(VerificationRequest(1, source.text(length, 1), source.fan(2)))
    try require(good.count == 3, "a text as long as the context, with guesses beyond it")
  }

  static func shutDown(_ fixture: EngineFixture<any TargetModel>) async throws {
    let engine = try await fixture.engine()
    let source = EngineTexts(engine.model)
    _ = try await engine.choices(VerificationRequest(1, source.text(5, 1)))
    engine.shutDown()
    try await requireRefusal(.cancelled, "a pass after the end") {
      try await engine.choices(VerificationRequest(1, source.text(5, 1)))
    }
    await engine.release(SessionID(1))
  }
}
