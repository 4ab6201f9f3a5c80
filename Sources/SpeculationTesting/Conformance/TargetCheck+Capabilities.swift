import ConstrainedDecoding
import ModelBackend
import SpeculationCore

extension TargetCheck {
  /// Each of `EngineCapabilities`, where the engine claims it.
  static func capabilities(_ fixture: EngineFixture<any TargetModel>) async throws {
    let engine = try await fixture.engine(for: .comparison)
    let source = EngineTexts(engine.model)
    let text = source.text(12, 1)
    if engine.capabilities.margins {
      let choice = try await engine.choices(VerificationRequest(1, text))[0]
      try require(choice.margin >= 0 && choice.margin < .infinity, "a margin of \(choice.margin)")
    }
    if engine.capabilities.logprobs {
      var request = VerificationRequest(2, text)
      request.logprobs = 2
      let choice = try await engine.choices(request)[0]
      try require(choice.logprobs?.chosen.token == choice.token, "no log-probability of the chosen token")
    }
    if engine.capabilities.sampling == .keyed {
      var sampling = SamplingSettings(temperature: 1.5, seed: 1)
      let first = try await engine.choices(VerificationRequest(3, text, sampling: sampling))[0].token
      let again = try await engine.choices(VerificationRequest(4, text, sampling: sampling))[0].token
      try require(first == again, "the same seed chose \(first) and \(again)")
      var chosen: Set<TokenID> = [first]
      for seed in UInt64(2)..<40 {
        sampling.seed = seed
        chosen.insert(try await engine.choices(VerificationRequest(5, text, sampling: sampling))[0].token)
      }
      try require(chosen.count > 1, "all seeds chose \(first)")
    }
    if engine.capabilities.grammars {
      var request = VerificationRequest(6, text)
      request.grammar = Grammar(try GrammarRules("root ::= [0-9]"), promptLength: text.count)
      let digit = try await engine.choices(request)[0].token
      let bytes = engine.tokenizer.bytes(of: digit)
      try require(bytes.count == 1 && (0x30...0x39).contains(bytes[0]), "\(bytes) where a digit is allowed")
      request.prefix.append(digit)
      let last = try await engine.choices(request)[0].token
      try require(engine.model.endTokens.contains(last), "\(last) where the grammar is over")
    }
  }

  /// To the bit, where the engine says so of itself; and the comparison leaves nothing behind.
  static func shapes(_ fixture: EngineFixture<any TargetModel>) async throws {
    let engine = try await fixture.engine()
    let report = try await engine.checkDeterminism(prompt: 24, positions: 6, others: 3)
    try require(
      report.isDeterministic || !engine.capabilities.isDeterministic,
      "it says they agree, but \(report.verdict)")
    try require(
      report.shapes.allSatisfy { $0.positions == 6 }, "shapes that compared nothing: \(report.shapes)")
    let request = VerificationRequest(1, CostMeasurement.text(30, of: engine.model))
    let pass = try await engine.verify([request])
    try require(
      pass.tokens == 30 && pass.results[0].reusedPrefix == 0,
      "\(pass.results[0].reusedPrefix) of 30 tokens are left of a comparison")
  }

  /// A text that begins like the one of the measurement has to be read.
  static func measuring(_ fixture: EngineFixture<any TargetModel>) async throws {
    let engine = try await fixture.engine()
    _ = try await engine.measureCosts(maxBatch: 2, budget: .zero, contextLength: 20)
    let request = VerificationRequest(1, CostMeasurement.text(20, of: engine.model))
    let pass = try await engine.verify([request])
    try require(
      pass.tokens == 20 && pass.results[0].reusedPrefix == 0,
      "\(pass.results[0].reusedPrefix) of 20 tokens are left of a measurement")
  }
}
