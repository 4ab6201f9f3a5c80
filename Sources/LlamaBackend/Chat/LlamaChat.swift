import CLlama
import ConstrainedDecoding
import ModelBackend
import SpeculationCore
import StrictJSON

/// A model's chat template, run by llama.cpp's own engine.
///
/// `@unchecked Sendable`: the C++ object is not changed after it was made.
final class LlamaChat: @unchecked Sendable {
  private let handle: OpaquePointer
  private let controls: ControlTexts

  /// - Parameter source: a template instead of the model's own
  /// - Throws: `ModelError` where there is none, or it cannot be used
  init(model: LlamaModel, source: String?) throws {
    if source == nil, llama_model_chat_template(model.handle, nil) == nil {
      throw ModelError(
        .unsupportedModel, "\(model.path) has no chat template",
        hint: "give the text as a raw prompt, use an instruction-tuned model, or name a --chat-template")
    }
    var problem = wanspec_text()
    guard let handle = wanspec_chat_open(model.handle, source, &problem) else {
      defer { wanspec_free_text(problem) }
      throw ModelError(
        .unsupportedModel,
        "the chat template \(source == nil ? "of \(model.path) " : "")cannot be used: \(Self.string(problem))",
        hint: "give another one with --chat-template")
    }
    self.handle = handle
    controls = ControlTexts(model: model)
  }

  deinit { wanspec_chat_close(handle) }

  private static func string(_ text: wanspec_text) -> String {
    guard let bytes = text.bytes else { return "out of memory" }
    return bytes.withMemoryRebound(to: UInt8.self, capacity: text.length) {
      String(decoding: UnsafeBufferPointer(start: $0, count: text.length), as: UTF8.self)
    }
  }

  /// What a call of the engine said.
  ///
  /// - Throws: `ModelError.invalidRequest` with its reason
  fileprivate static func result(_ text: wanspec_text, of what: String) throws -> JSONNode {
    if text.is_error { throw failure(text, of: what) }
    defer { wanspec_free_text(text) }
    do {
      return try JSONReader.read(Array(string(text).utf8))
    } catch {
      throw ModelError(.engineFailed, "\(what): \(error)", hint: nil)
    }
  }

  /// Takes the text.
  fileprivate static func failure(_ text: wanspec_text, of what: String) -> ModelError {
    defer { wanspec_free_text(text) }
    return ModelError(.invalidRequest, "\(what): \(reason(string(text)))", hint: nil)
  }

  /// A template's own words, where it refuses; without where in the engine they came from.
  private static func reason(_ text: String) -> String {
    let lines = text.split(separator: "\n").map { $0.trimmingWhitespace }
    return String((lines.last { $0.hasPrefix("Error: ") } ?? lines.first ?? "").prefix(500))
  }

  // MARK: Rendering

  /// - Throws: `ModelError.invalidRequest` with what the template says against the conversation
  func render(_ conversation: Conversation) throws -> ChatPrompt {
    do {
      return try renderOnce(conversation)
    } catch {
      // Some take only identifiers of the form that their model writes; a conversation may have begun elsewhere.
      guard let other = conversation.withShortIdentifiers, let prompt = try? renderOnce(other) else {
        throw error
      }
      return prompt
    }
  }

  private func renderOnce(_ conversation: Conversation) throws -> ChatPrompt {
    let marks = try marks(for: conversation)
    var json = JSONWriter()
    ChatRequestWriter(conversation, mark: { marks?.marked($0) ?? $0 }).write(to: &json)
    let answer = try json.bytes.withUnsafeBufferPointer { bytes in
      try bytes.withMemoryRebound(to: CChar.self) { characters in
        try Self.result(
          wanspec_chat_render(handle, characters.baseAddress, characters.count), of: "the chat template")
      }
    }
    return prompt(Fields(answer), of: conversation, marks: marks)
  }

  private func marks(for conversation: Conversation) throws -> ControlMarks? {
    for tool in conversation.tools {
      for text in tool.texts {
        let bytes = Array(text.utf8)
        guard let range = controls.ranges(in: bytes).first, !conversation.trustsControlText else { continue }
        throw ModelError(
          .invalidRequest,
          "the tool \(tool.name.debugDescription) has the control token"
            + " \(String(decoding: bytes[range], as: UTF8.self)) in its text", hint: "write it differently")
      }
    }
    if conversation.trustsControlText { return nil }
    let texts =
      conversation.messages.flatMap(\.texts) + conversation.tools.flatMap(\.texts)
      + conversation.templateArguments.values.map(JSONText.unescaped)
    guard let marks = ControlMarks(controls, notIn: texts) else {
      throw ModelError(
        .invalidRequest, "the messages hold all of U+FDD0 to U+FDEF, which are no characters",
        hint: "leave them out")
    }
    return marks
  }

  private func prompt(_ fields: Fields, of conversation: Conversation, marks: ControlMarks?) -> ChatPrompt {
    let rendered = fields.string("prompt")
    let parts = marks?.parts(of: rendered) ?? [(rendered, false)]
    let syntax = fields.string("syntax")
    // An answer of a given form alone is what our own grammar describes more exactly.
    let hasCalls = !conversation.tools.isEmpty && conversation.toolChoice != .none
    let thinks = fields.bool("supports_thinking") && conversation.thinks
    let demandsCall = conversation.toolChoice == .required
    return ChatPrompt(
      parts: parts.map { ChatPrompt.Part(text: $0.text, hasControlTokens: !$0.isMarked) },
      addsSpecial: true, calls: hasCalls || thinks ? constraint(fields, demandsCall: demandsCall) : nil,
      stops: fields.strings("additional_stops"),
      shownTokens: fields.strings("preserved_tokens").compactMap(controls.token),
      format: LlamaAnswerFormat(syntax: marks?.removed(from: syntax) ?? syntax))
  }

  /// - Parameter demandsCall: the answer is a call and nothing else but thoughts
  private func constraint(_ fields: Fields, demandsCall: Bool) -> ChatConstraint? {
    var grammar = fields.string("grammar")
    if grammar.isEmpty { return nil }
    let beginning = fields.string("generation_prompt")
    guard fields.bool("grammar_lazy") else {
      // It allows any text before a call that is demanded, and small models never come to its end.
      let anyText = #/(?m)^(root ::= .*?)\buntil-\d+\?[ ]/#
      if demandsCall { grammar = grammar.replacing(anyText) { "\($0.output.1)space " } }
      return ChatConstraint(grammar: grammar, beginning: beginning)
    }
    let starts = fields.string("thinking_start_tag")
    let ends = fields.strings("thinking_end_tags")
    var trigger = GrammarTrigger(words: [], thinkingStart: starts, thinkingEnds: ends)
    trigger.beginsThinking = !starts.isEmpty && beginning.trimmingWhitespace.hasSuffix(starts)
    for entry in fields.objects("grammar_triggers") {
      let value = entry.string("value")
      switch entry.string("kind") {
      case "word": trigger.words.append(value)
      case "whole": trigger.patterns.append("^(?:\(value))$")
      default: trigger.patterns.append(value)
      }
    }
    return ChatConstraint(grammar: grammar, trigger: trigger)
  }
}

/// How the answers to one prompt are to be read, in llama.cpp's words.
struct LlamaAnswerFormat: AnswerFormat {
  let syntax: String

  func reader() throws -> any AnswerReader { try LlamaAnswerReader(syntax) }
}

/// llama.cpp's parser for the format of a template.
private final class LlamaAnswerReader: AnswerReader {
  private let handle: OpaquePointer

  init(_ syntax: String) throws {
    var problem = wanspec_text()
    let handle = syntax.withCString { wanspec_chat_parser_open($0, syntax.utf8.count, &problem) }
    guard let handle else {
      // Made by the same library a moment ago.
      throw LlamaChat.failure(problem, of: "the answer's format")
    }
    self.handle = handle
  }

  deinit { wanspec_chat_parser_close(handle) }

  func read(_ text: String, isComplete: Bool) throws -> [AnswerPart] {
    let answer = try text.withCString { bytes in
      try LlamaChat.result(
        wanspec_chat_parser_read(handle, bytes, text.utf8.count, isComplete), of: "the answer")
    }
    guard case .array(let entries) = answer.value else { return [] }
    return entries.flatMap { entry -> [AnswerPart] in
      let fields = Fields(entry)
      var parts: [AnswerPart] = []
      let (reasoning, content) = (fields.string("reasoning_content"), fields.string("content"))
      if !reasoning.isEmpty { parts.append(.reasoning(reasoning)) }
      if !content.isEmpty { parts.append(.content(content)) }
      if let index = fields.integer("index") {
        parts.append(
          .call(
            index: index, id: fields.string("id"), name: fields.string("name"),
            arguments: fields.string("arguments")))
      }
      return parts
    }
  }
}

extension ChatTool {
  /// All that somebody wrote.
  fileprivate var texts: [String] { [name, description, JSONText.unescaped(parameters)] }
}

extension ChatMessage {
  /// All that somebody wrote.
  fileprivate var texts: [String] {
    [content, reasoning ?? "", toolCallID ?? "", name ?? ""]
      + toolCalls.flatMap { [$0.id, $0.name, JSONText.unescaped($0.arguments)] }
  }
}

extension Conversation {
  /// The same with calls named by nine digits, as Mistral's templates want them; nil where there are no calls.
  fileprivate var withShortIdentifiers: Conversation? {
    var names: [String: String] = [:]
    for call in messages.flatMap(\.toolCalls) where names[call.id] == nil {
      names[call.id] = String(100_000_000 + names.count)
    }
    if names.isEmpty { return nil }
    var conversation = self
    for index in messages.indices {
      for call in messages[index].toolCalls.indices {
        conversation.messages[index].toolCalls[call].id = names[messages[index].toolCalls[call].id] ?? ""
      }
      conversation.messages[index].toolCallID = messages[index].toolCallID.flatMap { names[$0] }
    }
    return conversation
  }
}
