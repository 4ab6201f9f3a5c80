import CLlama
import ModelBackend
import SpeculationCore

/// A model's own tokenizer and chat template.
public struct LlamaTokenizer: Tokenizer {
  private let model: LlamaModel
  /// What the chat template puts before a conversation without a system message.
  private let defaultSystemMessage: String?

  init(model: LlamaModel) {
    self.model = model
    defaultSystemMessage = llama_model_chat_template(model.handle, nil)
      .flatMap { DefaultSystemMessage.of(template: String(cString: $0)) }
  }

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

  /// - Throws: `ModelError.unsupportedModel` when the model has no chat template, or one that llama.cpp's
  ///   built-in renderer does not recognise.
  public func chatPrompt(_ messages: [ChatMessage]) throws -> String {
    guard let template = llama_model_chat_template(model.handle, nil) else {
      throw ModelError(
        .unsupportedModel, "\(model.path) has no chat template",
        hint: "give the text as a raw prompt, or use an instruction-tuned model")
    }
    var messages = messages
    if let defaultSystemMessage, messages.first?.role != "system" {
      messages.insert(ChatMessage(role: "system", content: defaultSystemMessage), at: 0)
    }
    return try LlamaTokenizer.render(messages, template: template, owner: model.path)
  }

  private static func render(
    _ messages: [ChatMessage], template: UnsafePointer<CChar>, owner: String
  ) throws -> String {
    // C strings end at the first NUL; a message with one would silently lose its end.
    for message in messages where message.content.utf8.contains(0) || message.role.utf8.contains(0) {
      throw ModelError(.invalidRequest, "a message contains a NUL character", hint: "remove it")
    }
    let strings = messages.map { (Array($0.role.utf8CString), Array($0.content.utf8CString)) }
    var storage: [CChar] = []
    var offsets: [(Int, Int)] = []
    for (role, content) in strings {
      offsets.append((storage.count, storage.count + role.count))
      storage += role
      storage += content
    }
    if storage.isEmpty { storage = [0] }
    let bytes = storage.withUnsafeBufferPointer { text -> [UInt8]? in
      guard let base = text.baseAddress else { return nil }
      let list = offsets.map { llama_chat_message(role: base + $0.0, content: base + $0.1) }
      var capacity = Int32(clamping: storage.count * 2 + 512)
      for _ in 0..<2 {
        var needed: Int32 = 0
        let result = [UInt8](unsafeUninitializedCapacity: Int(capacity)) { buffer, count in
          buffer.withMemoryRebound(to: CChar.self) { characters in
            needed = wanspec_apply_template(
              template, list, list.count, characters.baseAddress, capacity)
          }
          count = min(max(0, Int(needed)), Int(capacity))
        }
        if needed < 0 { return nil }
        if needed <= capacity { return result }
        capacity = needed
      }
      return nil
    }
    guard let bytes else {
      throw ModelError(
        .unsupportedModel, "llama.cpp does not recognise the chat template of \(owner)",
        hint: "give the text as a raw prompt")
    }
    return String(decoding: bytes, as: UTF8.self)
  }
}
