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

  @Test func chatPromptEndsWhereTheAnswerBegins() async throws {
    let engine = try await TestModel.load()
    let prompt = try engine.tokenizer.chatPrompt([
      ChatMessage(role: "system", content: "Be brief."), ChatMessage(role: "user", content: "Hi"),
    ])
    #expect(prompt.contains("Be brief.") && prompt.hasSuffix("<|im_start|>assistant\n"))
    #expect(throws: ModelError.self) {
      try engine.tokenizer.chatPrompt([ChatMessage(role: "user", content: "cut\u{0}here")])
    }
  }

  /// As the model's own template does; a system message of the conversation takes its place.
  @Test func theTemplatesSystemMessageIsAdded() async throws {
    let engine = try await TestModel.load()
    let user = ChatMessage(role: "user", content: "Hi")
    let alone = try engine.tokenizer.chatPrompt([user])
    #expect(alone.hasPrefix("<|im_start|>system\nYou are a helpful AI assistant named SmolLM"))
    let own = try engine.tokenizer.chatPrompt([ChatMessage(role: "system", content: "Be brief."), user])
    #expect(!own.contains("SmolLM") && own.hasPrefix("<|im_start|>system\nBe brief."))
  }

  @Test(arguments: [
    ("{{ '<|im_start|>system\\nYou are Q.\\nBe kind.<|im_end|>\\n' }}", "You are Q.\nBe kind."),
    ("{{ '<|im_start|>system\nYou are S<|im_end|>\n' }}", "You are S"),
    // An expression comes first, then the literal.
    (
      "{{ '<|im_start|>system\\n' + messages[0]['content'] + '<|im_end|>' }}{{ '<|im_start|>system\\nI.<|im_end|>' }}",
      "I."
    ),
    ("{{ '<|im_start|>system\\n' + x + '<|im_end|>' }}", nil), ("{{ '<|im_start|>' + role }}", nil),
    ("[INST] {{ system }} [/INST]", nil), ("<|im_start|>system", nil), ("", nil),
  ])
  func theDefaultIsFoundInTheTemplate(template: String, message: String?) {
    #expect(DefaultSystemMessage.of(template: template) == message)
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
