import LlamaBackend
import ModelBackend
import SpeculationCore
import Testing

@Suite(.enabled(if: TestModel.isAvailable, TestModel.absence))
struct TokenizerTests {
  @Test func textGoesRoundTrip() async throws {
    let engine = try await TestModel.load()
    for text in ["", "Hello, world", "naïve café — 日本語 🚀", "a\nb\t  c", "\u{0}zero"] {
      let tokens = try engine.tokenizer.encode(text, addSpecial: false, parseSpecial: false)
      let bytes = tokens.flatMap { engine.tokenizer.bytes(of: $0) }
      #expect(String(decoding: bytes, as: UTF8.self) == text)
    }
  }

  @Test func specialTokensOnlyWhenAsked() async throws {
    let engine = try await TestModel.load()
    let parsed = try engine.tokenizer.encode("<|im_end|>", addSpecial: false, parseSpecial: true)
    #expect(parsed.count == 1)
    #expect(engine.model.endTokens.contains(parsed[0]))
    #expect(engine.tokenizer.bytes(of: parsed[0]).isEmpty)
    let letters = try engine.tokenizer.encode("<|im_end|>", addSpecial: false, parseSpecial: false)
    #expect(letters.count > 1)
    #expect(engine.tokenizer.bytes(of: -1).isEmpty && engine.tokenizer.bytes(of: .max).isEmpty)
  }

  @Test func descriptionNamesTheModel() async throws {
    let engine = try await TestModel.load(contextLength: 300)
    #expect(engine.model.architecture == "llama")
    #expect(engine.model.summary.hasSuffix(" Q4_1"))
    #expect(engine.model.summary.hasPrefix("135M"))
    #expect(engine.model.contextLength == 300)
    #expect(engine.model.vocabulary.size == 49152)
    #expect(engine.model.vocabulary == (try await TestModel.load()).model.vocabulary)
  }
}
