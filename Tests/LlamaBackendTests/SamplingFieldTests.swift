import ConstrainedDecoding
import Foundation
import LlamaBackend
import ModelBackend
import Simulator
import SpeculationCore
import SpeculationTesting
import SplitMix
import Testing

/// Every sampling field: a text that is written with trees of guesses is the text of plain decoding.
@Suite(.enabled(if: TestModel.isAvailable, TestModel.absence), .serialized)
struct SamplingFieldTests {
  struct Field: Sendable, CustomStringConvertible {
    var description: String
    var adjustments: LogitAdjustments?
    var grammar: String?
    var logprobs: Int?
    var topK: Int32 = 0
  }

  static let schema =
    #"{"type":"object","properties":{"name":{"type":"string","maxLength":12},"age":{"type":"integer","minimum":0,"maximum":120}},"required":["name","age"],"additionalProperties":false}"#

  static let biases = [(28, -100), (30, 3), (42, 2.5), (216, -3), (281, -100)].map {
    LogitAdjustments.Bias(token: $0.0, value: Float($0.1))
  }

  static let fields: [Field] = [
    Field(description: "bias", adjustments: LogitAdjustments(promptLength: 4, biases: biases)),
    Field(description: "repetition", adjustments: LogitAdjustments(promptLength: 4, repetition: 1.3)),
    Field(description: "presence", adjustments: LogitAdjustments(promptLength: 4, presence: 1.5)),
    Field(description: "frequency", adjustments: LogitAdjustments(promptLength: 4, frequency: 0.8), topK: 40),
    Field(description: "logprobs", logprobs: 5),
    Field(description: "grammar", grammar: "root ::= ([a-z]+ \" \"){3,6} \".\""),
    Field(description: "schema", grammar: try? JSONSchemaGrammar.rules(schema: Array(schema.utf8)).text),
    Field(
      description: "all",
      adjustments: LogitAdjustments(
        promptLength: 4, repetition: 1.1, presence: 0.5, frequency: 0.2, biases: biases),
      grammar: JSONSchemaGrammar.anyObject, logprobs: 3, topK: 50),
  ]

  private func sampling(_ field: Field, seed: UInt64) -> SamplingSettings {
    // Every fourth text is greedy.
    SamplingSettings(
      temperature: seed % 4 == 0 ? 0 : 0.8, topK: field.topK, seed: seed, adjustments: field.adjustments)
  }

  private func request(
    _ session: UInt64, _ text: [TokenID], _ draft: DraftTree, _ field: Field, _ sampling: SamplingSettings
  ) throws -> VerificationRequest {
    VerificationRequest(
      session: SessionID(session), prefix: text, draft: draft, sampling: sampling,
      grammar: try field.grammar.map { Grammar(try GrammarRules($0), promptLength: 4) },
      logprobs: field.logprobs)
  }

  @Test(arguments: fields)
  func speculationKeepsTheText(field: Field) async throws {
    let engine = try await TestModel.shared()
    let ends = Set(engine.model.endTokens)
    let prompt = Array(try TestModel.tokens(engine, "Once upon a time").prefix(4))
    #expect(prompt.count == 4)
    for seed in UInt64(0)..<8 {
      let sampling = sampling(field, seed: seed)
      let (plainID, treeID) = (1000 + seed, 2000 + seed)
      var plain = prompt
      var plainChoices: [TargetChoice] = []
      while plainChoices.count < 20, !plain.last.map(ends.contains)! {
        let pass = try await engine.verify([request(plainID, plain, DraftTree(), field, sampling)])
        plainChoices.append(pass.results[0].choices[0])
        plain.append(plainChoices.last!.token)
      }
      try check(plain, plainChoices, field, engine)
      let same = try await writesTheSame(
        engine, treeID, prompt: prompt, plain: plain, choices: plainChoices, field, sampling)
      #expect(same, "\(field), seed \(seed)")
      await engine.release(SessionID(plainID))
      await engine.release(SessionID(treeID))
    }
  }

  /// Writes the text again with trees: partly right paths, wrong siblings, tokens that a grammar forbids, tokens
  /// after an end. False where it differs and no near-tie explains it.
  private func writesTheSame(
    _ engine: LlamaEngine, _ id: UInt64, prompt: [TokenID], plain: [TokenID],
    choices expected: [TargetChoice],
    _ field: Field, _ sampling: SamplingSettings
  ) async throws -> Bool {
    var random = SplitMix64(seed: id)
    var text = prompt
    while text.count < plain.count {
      let right = Array(
        plain[text.count..<min(plain.count, text.count + Int.random(in: 0..<4, using: &random))])
      var draft = DraftTree()
      var parent: Int32 = -1
      for token in right {
        let wrong = TokenID.random(in: 0..<TokenID(engine.model.vocabulary.size), using: &random)
        let below = TokenID.random(in: 0..<TokenID(engine.model.vocabulary.size), using: &random)
        let at = Int32(draft.count)
        draft = DraftTree(
          tokens: draft.tokens + [wrong, token, below], parents: draft.parents + [parent, parent, at])
        parent = at + 1
      }
      let choices = try await engine.verify([request(id, text, draft, field, sampling)]).results[0].choices
      var at: Int32 = -1
      while text.count < plain.count {
        let choice = choices[Int(at) + 1]
        let plainChoice = expected[text.count - prompt.count]
        if choice != plainChoice { return false }
        if let logprobs = choice.logprobs { #expect(logprobs.top.count == field.logprobs) }
        text.append(choice.token)
        let child = draft.tokens.indices.first { draft.parents[$0] == at && draft.tokens[$0] == choice.token }
        guard let child else { break }
        at = Int32(child)
      }
    }
    return true
  }

  /// What the field asks for is there.
  private func check(
    _ plain: [TokenID], _ choices: [TargetChoice], _ field: Field, _ engine: LlamaEngine
  ) throws {
    #expect(choices.allSatisfy { ($0.logprobs != nil) == (field.logprobs != nil) })
    let text = String(
      decoding: plain.dropFirst(4).flatMap { engine.tokenizer.bytes(of: $0) }, as: UTF8.self)
    let isOver = plain.last.map { engine.model.endTokens.contains($0) } ?? false
    if field.description == "bias" { #expect(!plain.dropFirst(4).contains(28) && !plain.contains(281)) }
    guard isOver, field.grammar != nil, field.description != "grammar" else { return }
    let object = try JSONSerialization.jsonObject(with: Data(text.utf8)) as? [String: Any]
    #expect(object != nil, "\(text)")
    if field.description == "schema" {
      #expect(
        object?.count == 2 && (object?["name"] as? String).map { $0.unicodeScalars.count <= 12 } == true)
      #expect((object?["age"] as? Int).map { (0...120).contains($0) } == true, "\(text)")
    }
  }

  /// A draft with the same adjustments ranks first what the target chooses.
  @Test func draftsFollowTheAdjustments() async throws {
    let engine = try await TestModel.shared()
    let text = try TestModel.tokens(engine, "one two one two one two one")
    let adjustments = LogitAdjustments(
      promptLength: 2, repetition: 1.5, presence: 2, frequency: 1, biases: Self.biases)
    for seed in UInt64(1)...8 {
      let sampling = SamplingSettings(temperature: 0.8, seed: seed, adjustments: adjustments)
      let path: [TokenID] = [100, 200, 100]
      let guess = try await engine.expand([
        ExpansionRequest(
          session: SessionID(3001), prefix: text, path: path, sampling: sampling, candidates: 3)
      ]).results[0].candidates[0]
      let choice = try await engine.choices(3002, text + path, sampling: sampling)[0]
      #expect(guess.token == choice.token, "seed \(seed)")
    }
    await engine.release(SessionID(3001))
    await engine.release(SessionID(3002))
  }

}

/// The matcher against llama.cpp's grammar sampler, over a real vocabulary.
@Suite(.enabled(if: TestModel.isAvailable, TestModel.absence), .serialized)
struct GrammarReferenceTests {
  static let grammars: [String] = [
    "root ::= \"yes\" | \"no\" | \"maybe\"",
    "root ::= [a-zéà-ü]+ ([ ,] [^a-z]+)? \"!\"",
    "root ::= item{2,4}\nitem ::= \"-\" [ ]? [a-z0-9]{1,5} \"\\n\"",
    "root ::= \"(\" root \")\" | [0-9]+ | root2\nroot2 ::= \"x\" root2? \"y\"",
    "root ::= .{3,8} \"\\n\"",
    JSONSchemaGrammar.anyObject,
    (try? JSONSchemaGrammar.rules(schema: Array(SamplingFieldTests.schema.utf8)).text) ?? "",
    (try? JSONSchemaGrammar.rules(
      schema: Array(
        #"{"type":"array","minItems":1,"items":{"anyOf":[{"type":"string","pattern":"^[a-z]+\\d?$"},{"type":"number"},{"type":"string","format":"date"},{"type":"object","additionalProperties":{"type":"boolean"}}]}}"#
          .utf8)
    ).text) ?? "",
  ]

  @Test(arguments: grammars)
  func allowsWhatLlamaAllows(grammar: String) async throws {
    let engine = try await TestModel.load(contextLength: 64, sessions: 1)
    let vocabulary = engine.weights.vocabularySize
    let tokens = TokenBytes(vocabularySize: vocabulary) { engine.tokenizer.bytes(of: $0) }
    let ends = engine.model.endTokens
    let session = try GrammarSession(
      Grammar(GrammarRules(grammar), promptLength: 0), tokens: tokens, endTokens: ends)
    for seed in UInt64(0)..<3 {
      var random = SplitMix64(seed: seed)
      let reference = try #require(LlamaGrammarReference(grammar, model: engine.weights))
      var text: [TokenID] = []
      for _ in 0..<12 {
        let state = try #require(session.state(after: text))
        let set = session.allowed(in: state)
        let own = (0..<vocabulary).filter { set.contains($0) }.map { TokenID($0) }
        // llama.cpp takes control tokens by the text of their names; here they have no text.
        let theirs = reference.allowed().filter {
          ends.contains($0) || !engine.tokenizer.bytes(of: $0).isEmpty
        }
        #expect(own == theirs, "seed \(seed), after \(text)")
        guard let next = own.filter({ !ends.contains($0) }).randomElement(using: &random) else { break }
        text.append(next)
        reference.accept(next)
      }
    }
  }
}
