import ModelBackend

extension Tokenizer {
  /// Tokens of a prompt: as the user's message of a conversation, or as it stands.
  package func promptTokens(_ prompt: String, system: String?, raw: Bool) throws -> [Int32] {
    guard !raw else { return try encode(prompt, addSpecial: true, parseSpecial: false) }
    var messages = system.map { [ChatMessage(role: "system", content: $0)] } ?? []
    messages.append(ChatMessage(role: "user", content: prompt))
    return try encode(try chatPrompt(messages), addSpecial: false, parseSpecial: true)
  }
}

extension TargetModel {
  /// Tokens of a prompt that this target has room for.
  ///
  /// - Throws: `ServingError` when the context is too small, before anybody waits for a pass
  package func promptTokens(_ prompt: String, system: String?, raw: Bool) throws -> [Int32] {
    let tokens = try tokenizer.promptTokens(prompt, system: system, raw: raw)
    guard tokens.count < model.contextLength else {
      throw ServingError(
        .promptTooLong,
        "the prompt has \(tokens.count) tokens, the context holds \(model.contextLength)",
        hint: "shorten the prompt, or raise --context")
    }
    return tokens
  }
}
