import CLlama
import ModelBackend
import SpeculationCore
import Synchronization

/// A model's own tokenizer and chat template.
public struct LlamaTokenizer: Tokenizer {
  private let model: LlamaModel
  private let chat: LazyChat

  /// - Parameter template: instead of the model's own
  init(model: LlamaModel, template: String?) {
    self.model = model
    chat = LazyChat(model: model, source: template)
  }

  /// - Throws: `ModelError` for a template that cannot be used
  func checkTemplate() throws { _ = try chat.get() }

  /// The same vocabulary with another chat template.
  package func using(template: String) -> LlamaTokenizer { LlamaTokenizer(model: model, template: template) }

  public func encode(_ text: String, addSpecial: Bool, parseSpecial: Bool) throws -> [TokenID] {
    var text = text
    return try text.withUTF8 { bytes in
      guard let length = Int32(exactly: bytes.count) else {
        throw ModelError(.invalidRequest, "a text of \(bytes.count) bytes is too long to tokenize", hint: nil)
      }
      // A token covers at least one byte; a few more are added at the ends.
      var capacity = max(8, length &+ 8)
      for _ in 0..<2 {
        var count: Int32 = 0
        let tokens = [TokenID](unsafeUninitializedCapacity: Int(capacity)) { buffer, written in
          count = bytes.withMemoryRebound(to: CChar.self) { characters in
            wanspec_tokenize(
              model.vocabulary, characters.baseAddress, length, buffer.baseAddress, capacity, addSpecial,
              parseSpecial)
          }
          written = max(0, Int(count))
        }
        if count >= 0 { return tokens }
        if count == .min { break }
        capacity = -count
      }
      throw ModelError(.engineFailed, "llama.cpp cannot tokenize a text of \(length) bytes", hint: nil)
    }
  }

  public func bytes(of token: TokenID) -> [UInt8] { model.piece(of: token, special: false) }

  public func shownBytes(of token: TokenID) -> [UInt8] { model.piece(of: token, special: true) }

  public func render(_ conversation: Conversation) throws -> ChatPrompt {
    // No text has one; who sends it means something else.
    for message in conversation.messages
    where message.content.utf8.contains(0) || message.role.utf8.contains(0) {
      throw ModelError(.invalidRequest, "a message contains a NUL character", hint: "remove it")
    }
    return try chat.get().render(conversation)
  }
}

/// A model's chat template, read when it is first needed: drafts never need theirs, and some models have none.
private final class LazyChat: Sendable {
  private let model: LlamaModel
  private let source: String?
  private let chat = Mutex<Result<LlamaChat, any Error>?>(nil)

  init(model: LlamaModel, source: String?) {
    self.model = model
    self.source = source
  }

  func get() throws -> LlamaChat {
    try chat.withLock { chat in
      let known = chat ?? Result { try LlamaChat(model: model, source: source) }
      chat = known
      return try known.get()
    }
  }
}
