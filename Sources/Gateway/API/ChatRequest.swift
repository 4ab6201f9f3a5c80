import ModelBackend
import StrictJSON

/// Body of `POST /v1/chat/completions`.
package struct ChatRequest: Sendable {
  package var parameters: GenerationParameters
  package var messages: [ChatMessage]
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
    messages = try Self.messages(&fields, limits: limits)
    for name in ["tools", "functions"] {
      try fields.unsupported(name, unless: \.isEmptyArray)
    }
    for name in ["tool_choice", "function_call"] {
      try fields.unsupported(name, unless: { $0.isString("none") || $0.isString("auto") })
    }
    try fields.unsupported("parallel_tool_calls", unless: { $0.isBool(false) || $0.isBool(true) })
    try fields.unsupported("modalities", "supports text only") { node in
      if case .array(let elements) = node.value { return elements.allSatisfy { $0.isString("text") } }
      return false
    }
    for name in [
      "reasoning_effort", "chat_template", "chat_template_kwargs", "add_generation_prompt",
      "continue_final_message",
    ] {
      try fields.unsupported(name, unless: { $0.isBool(false) })
    }
    for name in ["prompt", "suffix"] {
      try fields.unsupported(name, "belongs to /v1/completions; a chat has messages")
    }
    try fields.finish(.chat)
  }

  private static func messages(
    _ fields: inout FieldReader, limits: GatewayLimits
  ) throws(APIError) -> [ChatMessage] {
    let node = try fields.required("messages")
    guard case .array(let elements) = node.value else { throw fields.wrongType("messages", "an array", node) }
    if elements.isEmpty {
      throw .invalid("messages is empty: at least one is needed", param: "messages", code: "invalid_value")
    }
    if elements.count > limits.messages {
      throw .invalid(
        "there are \(elements.count) messages; at most \(limits.messages) are possible", param: "messages",
        code: "invalid_value")
    }
    var result: [ChatMessage] = []
    for (index, element) in elements.enumerated() {
      result.append(try message(element, path: "messages[\(index)]"))
    }
    return result
  }

  private static func message(_ node: JSONNode, path: String) throws(APIError) -> ChatMessage {
    var fields = try FieldReader(node, path: path)
    let roleNode = try fields.required("role")
    guard case .string(let name) = roleNode.value else {
      throw fields.wrongType("role", "a string", roleNode)
    }
    let role: String
    switch name {
    case "system", "user", "assistant": role = name
    // What newer clients call the system's instructions; chat templates know the older name.
    case "developer": role = "system"
    case "tool", "function":
      throw .invalid(
        "\(path).role: tools are not supported by this server", param: "\(path).role",
        code: "unsupported_parameter")
    default:
      throw .invalid(
        "\(path).role must be system, developer, user or assistant", param: "\(path).role",
        code: "invalid_value")
    }
    _ = try fields.string("name")
    for name in ["tool_calls", "tool_call_id", "function_call", "audio", "refusal", "reasoning_content"] {
      try fields.unsupported(name, unless: \.isEmptyArray)
    }
    // What OpenAI's answers carry, sent back as it came.
    try fields.unsupported("annotations", unless: \.isEmptyArray)
    let content = try fields.required("content")
    let text: String
    switch content.value {
    case .string(let whole):
      text = whole
    case .array(let parts):
      var joined = ""
      for (index, part) in parts.enumerated() {
        let path = "\(path).content[\(index)]"
        var own = try FieldReader(part, path: path)
        let type = try own.required("type")
        guard type.isString("text") else {
          throw .invalid(
            "\(path).type: only text parts are supported by this server", param: "\(path).type",
            code: "unsupported_parameter")
        }
        let node = try own.required("text")
        guard case .string(let piece) = node.value else { throw own.wrongType("text", "a string", node) }
        joined += piece
        try own.finish()
      }
      text = joined
    default:
      throw fields.wrongType("content", "a string or an array of text parts", content)
    }
    if text.utf8.contains(0) {
      throw .invalid(
        "\(path).content contains a NUL character", param: "\(path).content", code: "invalid_value")
    }
    try fields.finish()
    return ChatMessage(role: role, content: text)
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
