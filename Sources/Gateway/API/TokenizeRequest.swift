import ModelBackend
import SpeculationCore
import StrictJSON

/// Body of `POST /tokenize`: `content` as llama-server names it, `prompt` as vLLM does.
package struct TokenizeRequest: Sendable {
  package var text: String
  package var addsSpecial: Bool
  package var parsesSpecial: Bool
  /// Each token with its text.
  package var withPieces: Bool

  package init(_ body: [UInt8], limits: GatewayLimits) throws(APIError) {
    var fields = try FieldReader(try JSONReader.body(body))
    _ = try fields.string("model")
    let content = try fields.string("content")
    let prompt = try fields.string("prompt")
    guard let text = content ?? prompt, content == nil || prompt == nil else {
      throw .invalid("content (or prompt) must be given, one of them", param: "content")
    }
    self.text = text
    // llama-server's default is false, vLLM's is true: each as its users know it.
    let addsSpecial = try fields.bool("add_special")
    let addsSpecialTokens = try fields.bool("add_special_tokens")
    self.addsSpecial = addsSpecial ?? addsSpecialTokens ?? (content == nil)
    parsesSpecial = try fields.bool("parse_special") ?? true
    let withPieces = try fields.bool("with_pieces")
    let strings = try fields.bool("return_token_strs")
    self.withPieces = withPieces ?? strings ?? false
    try fields.unsupported("messages", "is not supported here; give the text as content")
    try fields.finish()
    if text.utf8.contains(0) {
      throw .invalid("the text contains a NUL character", param: content == nil ? "prompt" : "content")
    }
  }
}

/// Body of `POST /detokenize`.
package struct DetokenizeRequest: Sendable {
  package var tokens: [TokenID]

  package init(_ body: [UInt8], limits: GatewayLimits) throws(APIError) {
    var fields = try FieldReader(try JSONReader.body(body))
    _ = try fields.string("model")
    let node = try fields.required("tokens")
    guard case .array(let elements) = node.value else {
      throw .invalid("tokens must be an array, not \(node.kind)", param: "tokens", code: "invalid_type")
    }
    tokens = elements.isEmpty ? [] : try CompletionRequest.tokens(elements, path: "tokens")
    try fields.finish()
  }
}
