import ModelBackend

extension TargetModel {
  /// Tokens of a prompt that this target has room for: as the user's message of a conversation, or as it stands.
  ///
  /// - Throws: `ServingError` when the context is too small, before anybody waits for a pass
  package func promptTokens(_ prompt: String, system: String?, raw: Bool) throws -> [Int32] {
    let limit = model.contextLength - 1
    do {
      if raw { return try tokenizer.encode(prompt, addSpecial: true, parseSpecial: false, limit: limit) }
      var messages = system.map { [ChatMessage(role: "system", content: $0)] } ?? []
      messages.append(ChatMessage(role: "user", content: prompt))
      return try tokenizer.encode(tokenizer.render(Conversation(messages: messages)), limit: limit)
    } catch let error as TooManyTokens {
      throw ServingError(
        .promptTooLong, "the prompt has \(error), the context holds \(model.contextLength)",
        hint: "shorten the prompt, or raise --context")
    }
  }
}
