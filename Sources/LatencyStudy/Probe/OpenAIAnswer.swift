import Foundation

/// Events of chat and text completions in OpenAI's form, and of the many servers that speak it.
enum OpenAIAnswer {
  private struct Piece: Decodable {
    struct Choice: Decodable {
      struct Delta: Decodable {
        var content: String?
        // The two names in use for a text that the model writes to itself.
        var reasoningContent: String?
        var reasoning: String?

        enum CodingKeys: String, CodingKey {
          case content, reasoning
          case reasoningContent = "reasoning_content"
        }
      }
      var delta: Delta?
      var text: String?
      var finishReason: String?

      enum CodingKeys: String, CodingKey {
        case delta, text
        case finishReason = "finish_reason"
      }
    }
    struct Usage: Decodable {
      var promptTokens: Int?
      var completionTokens: Int?

      enum CodingKeys: String, CodingKey {
        case promptTokens = "prompt_tokens"
        case completionTokens = "completion_tokens"
      }
    }
    struct Failure: Decodable {
      var message: String?
      var type: String?

      init(from decoder: any Decoder) throws {
        if let text = try? decoder.singleValueContainer().decode(String.self) {
          message = text
          return
        }
        let container = try decoder.container(keyedBy: Key.self)
        message = try? container.decode(String.self, forKey: .message)
        type = try? container.decode(String.self, forKey: .type)
      }

      enum Key: String, CodingKey { case message, type }
    }
    var choices: [Choice]?
    var usage: Usage?
    var error: Failure?
  }

  static func events(of data: String) throws(AnswerError) -> [AnswerEvent] {
    if data == "[DONE]" { return [.endMark] }
    let piece: Piece
    do { piece = try JSONDecoder().decode(Piece.self, from: Data(data.utf8)) } catch {
      throw AnswerError(description: "an event is no JSON of a completion: \(data.prefix(100))")
    }
    if let error = piece.error {
      return [.failure([error.type, error.message].compactMap { $0 }.joined(separator: ": "))]
    }
    guard piece.choices != nil || piece.usage != nil else {
      throw AnswerError(description: "an event without \"choices\": \(data.prefix(100))")
    }
    var events: [AnswerEvent] = []
    for choice in piece.choices ?? [] {
      let texts = [
        choice.delta?.reasoningContent ?? choice.delta?.reasoning, choice.delta?.content, choice.text,
      ]
      let bytes = texts.reduce(0) { $0 + ($1?.utf8.count ?? 0) }
      if bytes > 0 { events.append(.content(bytes: bytes)) }
      if let reason = choice.finishReason { events.append(.finished(reason: reason)) }
    }
    if let usage = piece.usage {
      events.append(.usage(input: usage.promptTokens, output: usage.completionTokens))
    }
    return events.isEmpty ? [.other] : events
  }
}
