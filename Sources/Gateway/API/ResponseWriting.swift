import ModelBackend
import StrictJSON

/// Writes responses of one request in OpenAI's shapes.
struct ResponseShape: Sendable {
  enum Endpoint: Sendable {
    case chat
    case completions
  }

  let endpoint: Endpoint
  let id: String
  /// Seconds since 1970.
  let created: Int
  let model: String
  let fingerprint: String
  let tokenizer: any Tokenizer
  let choices: Int
  /// nil: no log-probabilities.
  let logprobs: Int?
  let seed: UInt64
  /// Whether thoughts are sent.
  var showsReasoning = true

  private func writeHead(_ object: StaticString, to json: inout JSONWriter) {
    json.member("id", id)
    json.key("object")
    json.value("\(object)")
    json.member("created", created)
    json.member("model", model)
    json.member("system_fingerprint", fingerprint)
  }

  private func writeFigures(_ figures: AnswerFigures, to json: inout JSONWriter) {
    json.key("timings")
    figures.writeTimings(to: &json, choices: choices)
    json.key("speculation")
    figures.writeSpeculation(to: &json, choices: choices, seed: seed)
  }

  /// The answer as a whole.
  func whole(_ answers: [Answer], figures: AnswerFigures) -> [UInt8] {
    var json = JSONWriter()
    json.object { json in
      writeHead(endpoint == .chat ? "chat.completion" : "text_completion", to: &json)
      json.key("choices")
      json.array { json in
        for (index, answer) in answers.enumerated() {
          json.object { json in
            json.member("index", index)
            switch endpoint {
            case .chat:
              json.key("message")
              json.object { json in
                json.member("role", "assistant")
                writeMessage(answer, to: &json)
                json.key("refusal")
                json.null()
              }
            case .completions:
              json.member("text", answer.text)
            }
            json.key("logprobs")
            writeLogprobs(answer.tokens, to: &json)
            json.member("finish_reason", answer.finishReason)
          }
        }
      }
      json.key("usage")
      figures.writeUsage(to: &json)
      writeFigures(figures, to: &json)
    }
    return json.bytes
  }

  /// An answer without its role.
  private func writeMessage(_ answer: Answer, to json: inout JSONWriter) {
    json.member("content", answer.text.isEmpty && !answer.calls.isEmpty ? nil : answer.text)
    if showsReasoning, !answer.reasoning.isEmpty {
      // The older name, and the one that newer clients look for.
      json.member("reasoning_content", answer.reasoning)
      json.member("reasoning", answer.reasoning)
    }
    guard !answer.calls.isEmpty else { return }
    json.key("tool_calls")
    json.array { json in
      for call in answer.calls {
        json.object { json in
          json.member("id", call.id)
          json.member("type", "function")
          json.key("function")
          json.object { json in
            json.member("name", call.name)
            json.member("arguments", call.arguments)
          }
        }
      }
    }
  }

  struct Answer: Sendable {
    var text = ""
    var reasoning = ""
    var calls: [ToolCall] = []
    var tokens: [AnswerToken] = []
    var finishReason: String?

    mutating func append(_ piece: AnswerPiece) {
      tokens += piece.tokens
      for part in piece.content { append(part) }
    }

    private mutating func append(_ part: AnswerPart) {
      switch part {
      case .content(let more): text += more
      case .reasoning(let more): reasoning += more
      case .call(let index, let id, let name, let arguments):
        while calls.count <= index { calls.append(ToolCall(id: id, name: "", arguments: "")) }
        calls[index].name += name
        calls[index].arguments += arguments
      }
    }
  }

  // MARK: Streaming

  /// A server-sent event with one JSON object.
  private func event(_ body: (inout JSONWriter) -> Void) -> [UInt8] {
    var json = JSONWriter()
    json.raw("data: ")
    json.object { json in
      writeHead(endpoint == .chat ? "chat.completion.chunk" : "text_completion", to: &json)
      body(&json)
    }
    json.raw("\n\n")
    return json.bytes
  }

  private func chunk(
    choice: Int, finishReason: String?, tokens: [AnswerToken] = [], withUsage: Bool,
    figures: AnswerFigures? = nil, _ content: (inout JSONWriter) -> Void
  ) -> [UInt8] {
    event { json in
      json.key("choices")
      json.array { json in
        json.object { json in
          json.member("index", choice)
          content(&json)
          json.key("logprobs")
          if tokens.isEmpty { json.null() } else { writeLogprobs(tokens, to: &json) }
          json.member("finish_reason", finishReason)
        }
      }
      if withUsage {
        json.key("usage")
        json.null()
      }
      if let figures { writeFigures(figures, to: &json) }
    }
  }

  /// The first chunk of a choice of a chat.
  func roleChunk(choice: Int, withUsage: Bool) -> [UInt8] {
    chunk(choice: choice, finishReason: nil, withUsage: withUsage) { json in
      json.key("delta")
      json.object { json in
        json.member("role", "assistant")
        json.member("content", "")
      }
    }
  }

  /// A chunk for each part of a piece; the tokens are the first one's.
  func contentChunks(choice: Int, _ piece: AnswerPiece, withUsage: Bool) -> [UInt8] {
    if endpoint == .completions {
      return chunk(choice: choice, finishReason: nil, tokens: piece.tokens, withUsage: withUsage) { json in
        json.member("text", piece.text)
      }
    }
    var tokens = piece.tokens
    var parts = piece.content.filter { showsReasoning || !$0.isReasoning }
    if parts.isEmpty, !tokens.isEmpty { parts = [.content("")] }
    var bytes: [UInt8] = []
    for part in parts {
      bytes += chunk(choice: choice, finishReason: nil, tokens: tokens, withUsage: withUsage) { json in
        json.key("delta")
        json.object { writeDelta(part, to: &$0) }
      }
      tokens = []
    }
    return bytes
  }

  private func writeDelta(_ part: AnswerPart, to json: inout JSONWriter) {
    switch part {
    case .content(let text): json.member("content", text)
    case .reasoning(let text):
      json.member("reasoning_content", text)
      json.member("reasoning", text)
    case .call(let index, let id, let name, let arguments):
      json.key("tool_calls")
      json.array { json in
        json.object { json in
          json.member("index", index)
          if !name.isEmpty {
            json.member("id", id)
            json.member("type", "function")
          }
          json.key("function")
          json.object { json in
            if !name.isEmpty { json.member("name", name) }
            json.member("arguments", arguments)
          }
        }
      }
    }
  }

  /// - Parameter figures: of the whole request, with its last choice
  func finishChunk(
    choice: Int, reason: String, figures: AnswerFigures?, withUsage: Bool
  ) -> [UInt8] {
    chunk(choice: choice, finishReason: reason, withUsage: withUsage, figures: figures) { json in
      switch endpoint {
      case .chat:
        json.key("delta")
        json.object { _ in }
      case .completions:
        json.member("text", "")
      }
    }
  }

  func usageChunk(_ figures: AnswerFigures) -> [UInt8] {
    event { json in
      json.key("choices")
      json.array { _ in }
      json.key("usage")
      figures.writeUsage(to: &json)
    }
  }

  static func errorEvent(_ error: APIError) -> [UInt8] {
    var json = JSONWriter()
    json.raw("data: ")
    error.write(to: &json)
    json.raw("\n\n")
    return json.bytes
  }

  // MARK: Log-probabilities

  private func writeLogprobs(_ tokens: [AnswerToken], to json: inout JSONWriter) {
    guard logprobs != nil else {
      json.null()
      return
    }
    switch endpoint {
    case .chat: writeChatLogprobs(tokens, to: &json)
    case .completions: writeLegacyLogprobs(tokens, to: &json)
    }
  }

  private func writeChatLogprobs(_ tokens: [AnswerToken], to json: inout JSONWriter) {
    func write(_ entry: TokenLogprobs.Entry, _ json: inout JSONWriter) {
      let bytes = tokenizer.bytes(of: entry.token)
      json.member("token", String(decoding: bytes, as: UTF8.self))
      json.key("logprob")
      json.value(Self.shown(entry.logprob))
      json.key("bytes")
      json.array { json in for byte in bytes { json.value(byte) } }
    }
    json.object { json in
      json.key("content")
      json.array { json in
        for token in tokens {
          json.object { json in
            write(token.logprobs.chosen, &json)
            json.key("top_logprobs")
            json.array { json in
              for entry in token.logprobs.top.prefix(logprobs ?? 0) { json.object { write(entry, &$0) } }
            }
          }
        }
      }
      json.key("refusal")
      json.null()
    }
  }
}
