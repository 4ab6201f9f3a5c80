import ModelBackend
import SpeculationCore

/// Makes tokens of one request's texts, no more than there is room for and only while its client waits.
struct PromptReader: Sendable {
  let tokenizer: any Tokenizer
  let model: ModelDescription
  let connection: ClientConnection

  struct Prompt: Sendable {
    var tokens: [TokenID]
    /// Text that goes before the answer.
    var echo = ""
    /// Where the prompt is a conversation's.
    var chat: ChatPrompt?
  }

  /// - Throws: `APIError`, `ClientGone`
  func chat(_ conversation: Conversation) throws -> Prompt {
    let prompt = try rendered(conversation)
    if conversation.toolChoice == .required, prompt.calls == nil {
      throw APIError.invalid(
        "tool_choice demands a call, and this model's chat template knows none: serve it with a --chat-template"
          + " that does", param: "tool_choice", code: "unsupported_parameter")
    }
    do {
      let tokens = try tokenizer.encode(
        prompt, limit: model.contextLength - 1, checkWanted: connection.checkPresence)
      return Prompt(tokens: try notEmpty(tokens, path: "messages"), chat: prompt)
    } catch let error as TooManyTokens {
      throw tooLong(error, path: "messages")
    }
  }

  /// - Throws: `APIError` with what the template says against the conversation
  func rendered(_ conversation: Conversation) throws -> ChatPrompt {
    do {
      return try tokenizer.render(conversation)
    } catch let error as ModelError where [.unsupportedModel, .invalidRequest].contains(error.code) {
      throw APIError.invalid("\(error)", param: "messages")
    }
  }

  /// - Throws: `APIError`, `ClientGone`
  func completions(_ prompts: [PromptInput], echoes: Bool) throws -> [Prompt] {
    try prompts.enumerated().map { index, prompt in
      let path = prompts.count == 1 ? "prompt" : "prompt[\(index)]"
      switch prompt {
      case .text(let text):
        return Prompt(
          tokens: try tokens(of: text, addSpecial: true, path: path), echo: echoes ? text : "")
      case .tokens(let tokens):
        try check(tokens: tokens, path: path)
        if tokens.count >= model.contextLength {
          throw tooLong(TooManyTokens(count: tokens.count, limit: model.contextLength - 1), path: path)
        }
        return Prompt(tokens: tokens, echo: echoes ? self.text(of: tokens) : "")
      }
    }
  }

  func check(tokens: [TokenID], path: String) throws(APIError) {
    let size = model.vocabulary.size
    guard let index = tokens.firstIndex(where: { Int($0) >= size }) else { return }
    throw .invalid(
      "\(path)[\(index)] is \(tokens[index]); the vocabulary has \(size) tokens", param: "\(path)[\(index)]",
      code: "invalid_value")
  }

  func text(of tokens: [TokenID]) -> String {
    String(decoding: tokens.flatMap { tokenizer.bytes(of: $0) }, as: UTF8.self)
  }

  /// The tokens of a prompt that leaves room for an answer.
  private func tokens(of text: String, addSpecial: Bool, path: String) throws -> [TokenID] {
    let tokens: [TokenID]
    do {
      tokens = try tokenizer.encode(
        text, addSpecial: addSpecial, parseSpecial: true, limit: model.contextLength - 1,
        checkWanted: connection.checkPresence)
    } catch let error as TooManyTokens {
      throw tooLong(error, path: path)
    }
    return try notEmpty(tokens, path: path)
  }

  private func notEmpty(_ tokens: [TokenID], path: String) throws(APIError) -> [TokenID] {
    if tokens.isEmpty {
      throw APIError.invalid(
        "\(path) is empty: at least one token is needed", param: path, code: "invalid_value")
    }
    return tokens
  }

  private func tooLong(_ error: TooManyTokens, path: String) -> APIError {
    .invalid(
      "\(path) has \(error), and the context holds \(model.contextLength), of which the answer needs at least one:"
        + " shorten it", param: path, code: "context_length_exceeded")
  }
}
