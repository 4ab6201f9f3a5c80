import ModelBackend
import StrictJSON

/// Body of `POST /v1/chat/completions`.
package struct ChatRequest: Sendable {
  package var parameters: GenerationParameters
  package var conversation: Conversation
  /// Whether thoughts are part of what is sent.
  package var showsReasoning = true
  /// How many of the likeliest tokens to report at each position; nil reports nothing.
  package var topLogprobs: Int?

  /// - Throws: `APIError` with status 400 that says what is wrong and where.
  package init(_ body: [UInt8], limits: GatewayLimits) throws(APIError) {
    var fields = try FieldReader(try JSONReader.body(body))
    parameters = try GenerationParameters(&fields, raw: body, limits: limits)
    if let newer = try fields.integer("max_completion_tokens", in: 1...Int.max) {
      if let older = parameters.maxTokens, older != newer {
        throw .invalid(
          "max_tokens and max_completion_tokens are two names of one limit: give one of them",
          param: "max_tokens")
      }
      parameters.maxTokens = newer
    }
    let wantsLogprobs = try fields.bool("logprobs") ?? false
    let top = try fields.integer("top_logprobs", in: 0...limits.topLogprobs)
    if let top, top > 0, !wantsLogprobs {
      throw .invalid("top_logprobs is only possible together with logprobs: true", param: "top_logprobs")
    }
    topLogprobs = wantsLogprobs ? top ?? 0 : nil
    conversation = Conversation(messages: try ChatMessages(&fields, limits: limits).messages)
    let tools = try ChatTools(&fields, raw: body, limits: limits)
    conversation.tools = tools.choice == .none ? [] : tools.tools
    conversation.toolChoice = tools.choice
    conversation.callsInParallel = try fields.bool("parallel_tool_calls")
    if !conversation.tools.isEmpty, case .grammar = parameters.format {
      throw .invalid("a grammar is not possible together with tools", param: "grammar")
    }
    try readTemplateFields(&fields, raw: body)
    for name in ["functions", "function_call"] {
      try fields.unsupported(name, unless: \.isEmptyArray)
    }
    try fields.unsupported("modalities", "supports text only") { node in
      if case .array(let elements) = node.value { return elements.allSatisfy { $0.isString("text") } }
      return false
    }
    try fields.unsupported("chat_template")
    for name in ["prompt", "suffix"] {
      try fields.unsupported(name, "belongs to /v1/completions; a chat has messages")
    }
    try fields.finish(.chat)
  }

  /// What the chat template is told beside the messages.
  private mutating func readTemplateFields(_ fields: inout FieldReader, raw: [UInt8]) throws(APIError) {
    if let node = fields.node("chat_template_kwargs") {
      guard case .object(let members) = node.value else {
        throw fields.wrongType("chat_template_kwargs", "an object", node)
      }
      for member in members {
        if member.key == "enable_thinking" {
          guard case .bool(let thinks) = member.node.value else {
            throw .invalid(
              "chat_template_kwargs.enable_thinking must be a boolean, not \(member.node.kind)",
              param: "chat_template_kwargs.enable_thinking", code: "invalid_type")
          }
          conversation.thinks = thinks
        }
        conversation.templateArguments[member.key] = String(
          decoding: raw[member.node.range], as: UTF8.self)
      }
    }
    if let effort = try fields.string("reasoning_effort") {
      let known = ["none", "minimal", "low", "medium", "high", "xhigh"]
      guard known.contains(effort) else {
        throw .invalid(
          "reasoning_effort must be one of \(known.joined(separator: ", "))", param: "reasoning_effort",
          code: "invalid_value")
      }
      if effort == "none" {
        conversation.thinks = false
      } else {
        conversation.templateArguments["reasoning_effort"] = JSONString.quoted(effort)
      }
    }
    // vLLM's name.
    if let includes = try fields.bool("include_reasoning") { showsReasoning = includes }
    let continues = try fields.bool("continue_final_message") ?? false
    let prompts = try fields.bool("add_generation_prompt")
    if continues || prompts == false {
      guard continues, prompts != true else {
        throw .invalid(
          "add_generation_prompt and continue_final_message must be each other's opposite",
          param: "add_generation_prompt", code: "invalid_value")
      }
      guard let last = conversation.messages.last, last.role == "assistant", last.toolCalls.isEmpty else {
        throw .invalid(
          "continue_final_message: the last message is no text of the assistant",
          param: "continue_final_message", code: "invalid_value")
      }
      conversation.continuesLastMessage = true
    }
    conversation.trustsControlText = try fields.bool("parse_special") ?? false
  }
}

extension JSONReader {
  /// Reads a request's body.
  package static func body(_ bytes: [UInt8]) throws(APIError) -> JSONNode {
    if bytes.isEmpty { throw .invalid("the body is empty; it must be a JSON object") }
    do {
      return try read(bytes)
    } catch {
      throw .invalid("the body is not valid JSON: \(error)", code: "invalid_json")
    }
  }
}
