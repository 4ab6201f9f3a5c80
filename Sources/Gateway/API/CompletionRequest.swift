import ModelBackend
import SpeculationCore
import StrictJSON

/// A text, or the tokens of one.
package enum PromptInput: Hashable, Sendable {
  case text(String)
  case tokens([TokenID])
}

/// Body of `POST /v1/completions`.
package struct CompletionRequest: Sendable {
  package var parameters: GenerationParameters
  package var prompts: [PromptInput]
  package var echoes: Bool
  package var logprobs: Int?

  /// - Throws: `APIError` with status 400 that says what is wrong and where.
  package init(_ body: [UInt8], limits: GatewayLimits) throws(APIError) {
    var fields = try FieldReader(try JSONReader.body(body))
    parameters = try GenerationParameters(&fields, raw: body, limits: limits)
    // As OpenAI's.
    parameters.maxTokens = parameters.maxTokens ?? 16
    logprobs = try fields.integer("logprobs", in: 0...limits.topLogprobs)
    echoes = try fields.bool("echo") ?? false
    if echoes, logprobs != nil {
      throw .invalid(
        "logprobs of the prompt are not supported: give echo or logprobs, not both", param: "echo",
        code: "unsupported_parameter")
    }
    prompts = try Self.prompts(&fields, limits: limits)
    try fields.unsupported("suffix", unless: { $0.isString("") })
    for name in ["messages", "max_completion_tokens", "top_logprobs", "tools", "tool_choice"] {
      try fields.unsupported(name, "belongs to /v1/chat/completions")
    }
    try fields.finish(.completions)
  }

  private static func prompts(
    _ fields: inout FieldReader, limits: GatewayLimits
  ) throws(APIError) -> [PromptInput] {
    let node = try fields.required("prompt")
    let prompts: [PromptInput]
    switch node.value {
    case .string(let text):
      prompts = [.text(text)]
    case .array(let elements):
      if elements.isEmpty {
        throw .invalid("prompt is an empty array", param: "prompt", code: "invalid_value")
      }
      if elements[0].wholeNumber != nil {
        prompts = [.tokens(try tokens(elements, path: "prompt"))]
      } else {
        if elements.count > limits.prompts {
          throw .invalid(
            "there are \(elements.count) prompts; at most \(limits.prompts) are possible in one request",
            param: "prompt", code: "invalid_value")
        }
        var several: [PromptInput] = []
        for (index, element) in elements.enumerated() {
          switch element.value {
          case .string(let text): several.append(.text(text))
          case .array(let inner): several.append(.tokens(try tokens(inner, path: "prompt[\(index)]")))
          default:
            throw .invalid(
              "prompt[\(index)] must be a string or an array of tokens, not \(element.kind)",
              param: "prompt[\(index)]", code: "invalid_type")
          }
        }
        prompts = several
      }
    default:
      throw .invalid(
        "prompt must be a string, an array of strings, an array of tokens or an array of arrays of tokens, not"
          + " \(node.kind)", param: "prompt", code: "invalid_type")
    }
    for (index, prompt) in prompts.enumerated() {
      let path = prompts.count == 1 ? "prompt" : "prompt[\(index)]"
      if case .text(let text) = prompt, text.utf8.contains(0) {
        throw .invalid("\(path) contains a NUL character", param: path, code: "invalid_value")
      }
    }
    return prompts
  }

  static func tokens(_ elements: [JSONNode], path: String) throws(APIError) -> [TokenID] {
    if elements.isEmpty { throw .invalid("\(path) is an empty array", param: path, code: "invalid_value") }
    var result: [TokenID] = []
    result.reserveCapacity(elements.count)
    for (index, element) in elements.enumerated() {
      guard let value = element.wholeNumber, let token = TokenID(exactly: value), token >= 0 else {
        throw .invalid(
          "\(path)[\(index)] must be a token id, which is an integer of 0 or more",
          param: "\(path)[\(index)]",
          code: "invalid_type")
      }
      result.append(token)
    }
    return result
  }
}
