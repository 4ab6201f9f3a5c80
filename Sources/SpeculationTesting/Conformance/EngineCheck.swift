import ConstrainedDecoding
import ModelBackend
import SpeculationCore

/// What every engine must do, whatever it serves: one check for each rule of `Engine`.
public enum EngineCheck: String, CaseIterable, Sendable {
  case costsAreMeasuredWithinTheirLimits
  case textsComeBackFromTheirTokens
  case settlingWaitsForWhatIsUnderWay

  /// - Throws: `CheckFailure`, or what the engine threw that it should not have.
  public func run(_ fixture: EngineFixture<any Engine>) async throws {
    let engine = try await fixture.engine()
    switch self {
    case .costsAreMeasuredWithinTheirLimits: try await Self.costs(engine)
    case .textsComeBackFromTheirTokens: try Self.texts(engine)
    case .settlingWaitsForWhatIsUnderWay: try await Self.settling(engine)
    }
  }

  private static func costs(_ engine: any Engine) async throws {
    let costs = try await engine.measureCosts(maxBatch: 6, budget: .milliseconds(300), contextLength: 20)
    try require(costs[1] != nil, "nothing is known of a pass over one token")
    for (size, duration) in costs {
      try require((1...6).contains(size), "measured passes over \(size) tokens, where 6 were the limit")
      try require(duration > .zero, "a pass over \(size) tokens took \(duration)")
    }
    // However long a text is asked for: no longer than the context.
    let long = try await engine.measureCosts(maxBatch: 1, budget: .zero, contextLength: 1 << 20)
    try require(long.keys.sorted() == [1], "measured \(long.keys.sorted()) where 1 was the limit")
  }

  private static func texts(_ engine: any Engine) throws {
    let source = EngineTexts(engine.model)
    let text = source.text(20, 3).flatMap { engine.tokenizer.bytes(of: $0) }
    let letters = String(decoding: text, as: UTF8.self)
    let tokens = try engine.tokenizer.encode(letters, addSpecial: false, parseSpecial: false)
    try require(
      tokens.flatMap { engine.tokenizer.bytes(of: $0) } == Array(letters.utf8), "another text comes back")
    for token in [TokenID(-1), TokenID(clamping: engine.model.vocabulary.size), .max] {
      try require(engine.tokenizer.bytes(of: token).isEmpty, "\(token) is no token and has bytes")
    }
    let prompt = try? engine.tokenizer.render(Conversation(messages: [.init(role: "user", content: "7")]))
    try require(prompt?.text.contains("7") ?? true, "a conversation's prompt leaves out what was said")
  }

  private static func settling(_ engine: any Engine) async throws {
    let measuring = Task {
      try await engine.measureCosts(maxBatch: 4, budget: .seconds(60), contextLength: 8)
    }
    await Task.yield()
    engine.shutDown()
    await engine.settle()
    // Measured before the end came, or told so: nothing hangs.
    do {
      _ = try await measuring.value
    } catch let error as ModelError where error.code == .cancelled {}
    try await requireRefusal(.cancelled, "a measurement after the end") {
      try await engine.measureCosts(maxBatch: 1, budget: .zero, contextLength: 8)
    }
  }
}
