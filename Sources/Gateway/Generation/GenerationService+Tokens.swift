import ModelBackend
import SpeculationCore
import StrictJSON

/// `/tokenize` and `/detokenize`.
extension GenerationService {
  func reader(for connection: ClientConnection) -> PromptReader {
    PromptReader(tokenizer: tokenizer, model: model, connection: connection)
  }

  /// Also texts that no context has room for are tokenized, to be cut or counted; but not any amount of them.
  private var tokenLimit: Int { max(model.contextLength, configuration.limits.tokenizedTokens) }

  func tokenize(_ body: [UInt8], connection: ClientConnection) async throws -> [UInt8] {
    let (limits, limit) = (configuration.limits, tokenLimit)
    return try await texts.run(bytes: body.count, for: connection) {
      let request = try TokenizeRequest(body, limits: limits)
      do {
        let tokens = try self.tokenizer.encode(
          request.text, addSpecial: request.addsSpecial, parseSpecial: request.parsesSpecial, limit: limit,
          checkWanted: connection.checkPresence)
        return self.answer(tokens, withPieces: request.withPieces)
      } catch let error as TooManyTokens {
        throw Self.tooLong("the text has \(error)", limit: limit)
      }
    }
  }

  private static func tooLong(_ what: String, limit: Int) -> APIError {
    .invalid(
      "\(what), and at most \(limit) are possible in one request: send it in parts", code: "text_too_long")
  }

  private func answer(_ tokens: [TokenID], withPieces: Bool) -> [UInt8] {
    var json = JSONWriter()
    json.object { json in
      json.key("tokens")
      json.array { json in
        for token in tokens {
          if withPieces {
            json.object { json in
              json.member("id", token)
              writePiece(token, to: &json)
            }
          } else {
            json.value(token)
          }
        }
      }
      json.member("count", tokens.count)
      json.member("max_model_len", model.contextLength)
    }
    return json.bytes
  }

  /// As llama-server's: a string where the bytes are one, otherwise the bytes.
  private func writePiece(_ token: TokenID, to json: inout JSONWriter) {
    let bytes = tokenizer.bytes(of: token)
    json.key("piece")
    if let text = String(validating: bytes, as: UTF8.self) {
      json.value(text)
    } else {
      json.array { json in for byte in bytes { json.value(byte) } }
    }
  }

  func detokenize(_ body: [UInt8], connection: ClientConnection) async throws -> [UInt8] {
    let (limits, limit) = (configuration.limits, tokenLimit)
    let reader = reader(for: connection)
    return try await texts.run(bytes: body.count, for: connection) {
      let request = try DetokenizeRequest(body, limits: limits)
      guard request.tokens.count <= limit else {
        throw Self.tooLong("there are \(request.tokens.count) tokens", limit: limit)
      }
      try reader.check(tokens: request.tokens, path: "tokens")
      let text = reader.text(of: request.tokens)
      var json = JSONWriter()
      json.object { json in
        json.member("content", text)
        // vLLM's name.
        json.member("prompt", text)
      }
      return json.bytes
    }
  }
}
