import Foundation
import StreamFormats

/// Messages of Bedrock's event stream: Converse's own events, and Anthropic's inside InvokeModel's chunks.
enum BedrockAnswer {
  static func events(of message: EventStreamMessage, _ api: Target.API) throws(AnswerError) -> [AnswerEvent] {
    switch message.text(":message-type") {
    case "event": break
    case "exception":
      let name = message.text(":exception-type") ?? "exception"
      return [.failure([name, failureText(message.payload)].compactMap { $0 }.joined(separator: ": "))]
    case "error":
      let parts = [message.text(":error-code"), message.text(":error-message")].compactMap { $0 }
      return [.failure(parts.joined(separator: ": "))]
    case let type: throw AnswerError(description: "a message of the unknown type \"\(type ?? "")\"")
    }
    let name = message.text(":event-type") ?? ""
    if api == .bedrockConverse { return try converse(name, message.payload) }
    guard name == "chunk" else { return [.other] }
    let wrapper = try decoded(Wrapper.self, message.payload, "a chunk")
    guard let bytes = Data(base64Encoded: wrapper.bytes) else {
      throw AnswerError(description: "a chunk's bytes are no base64")
    }
    return try anthropic(Array(bytes))
  }

  private static func failureText(_ payload: [UInt8]) -> String? {
    struct Failure: Decodable { var message: String? }
    return (try? JSONDecoder().decode(Failure.self, from: Data(payload)))?.message
  }

  private static func decoded<T: Decodable>(
    _ type: T.Type, _ bytes: [UInt8], _ what: String
  ) throws(AnswerError) -> T {
    do { return try JSONDecoder().decode(T.self, from: Data(bytes)) } catch {
      throw AnswerError(
        description: "\(what) is not as Bedrock has it: \(String(decoding: bytes.prefix(100), as: UTF8.self))"
      )
    }
  }

  private struct Wrapper: Decodable { var bytes: String }

  // MARK: InvokeModelWithResponseStream

  private struct Anthropic: Decodable {
    struct Delta: Decodable {
      var text: String?
      var thinking: String?
      var stopReason: String?

      enum CodingKeys: String, CodingKey {
        case text, thinking
        case stopReason = "stop_reason"
      }
    }
    struct Usage: Decodable {
      var inputTokens: Int?
      var outputTokens: Int?

      enum CodingKeys: String, CodingKey {
        case inputTokens = "input_tokens"
        case outputTokens = "output_tokens"
      }
    }
    struct Message: Decodable { var usage: Usage? }
    struct Failure: Decodable {
      var type: String?
      var message: String?
    }
    struct Metrics: Decodable {
      var firstByteLatency: Double?
      var inputTokenCount: Int?
      var outputTokenCount: Int?
    }
    var type: String
    var delta: Delta?
    var message: Message?
    var usage: Usage?
    var error: Failure?
    var metrics: Metrics?

    enum CodingKeys: String, CodingKey {
      case type, delta, message, usage, error
      case metrics = "amazon-bedrock-invocationMetrics"
    }
  }

  private static func anthropic(_ bytes: [UInt8]) throws(AnswerError) -> [AnswerEvent] {
    let event = try decoded(Anthropic.self, bytes, "an event in a chunk")
    switch event.type {
    case "message_start":
      let usage = event.message?.usage
      return usage.map { [.usage(input: $0.inputTokens, output: nil)] } ?? [.other]
    case "content_block_delta":
      let bytes = (event.delta?.text?.utf8.count ?? 0) + (event.delta?.thinking?.utf8.count ?? 0)
      return bytes > 0 ? [.content(bytes: bytes)] : [.other]
    case "message_delta":
      var events: [AnswerEvent] = []
      if let reason = event.delta?.stopReason { events.append(.finished(reason: reason)) }
      if let usage = event.usage {
        events.append(.usage(input: usage.inputTokens, output: usage.outputTokens))
      }
      return events.isEmpty ? [.other] : events
    case "message_stop":
      var events: [AnswerEvent] = []
      if let metrics = event.metrics {
        if metrics.inputTokenCount != nil || metrics.outputTokenCount != nil {
          events.append(.usage(input: metrics.inputTokenCount, output: metrics.outputTokenCount))
        }
        if let latency = metrics.firstByteLatency { events.append(.serverFirstByte(latency)) }
      }
      return events + [.endMark]
    case "error":
      return [.failure([event.error?.type, event.error?.message].compactMap { $0 }.joined(separator: ": "))]
    default: return [.other]
    }
  }

  // MARK: ConverseStream

  private struct Converse: Decodable {
    struct Delta: Decodable {
      struct Reasoning: Decodable { var text: String? }
      var text: String?
      var reasoningContent: Reasoning?
    }
    struct Usage: Decodable {
      var inputTokens: Int?
      var outputTokens: Int?
    }
    var delta: Delta?
    var stopReason: String?
    var usage: Usage?
  }

  private static func converse(_ name: String, _ payload: [UInt8]) throws(AnswerError) -> [AnswerEvent] {
    let event = try decoded(Converse.self, payload, "an event \"\(name)\"")
    switch name {
    case "contentBlockDelta":
      let bytes =
        (event.delta?.text?.utf8.count ?? 0) + (event.delta?.reasoningContent?.text?.utf8.count ?? 0)
      return bytes > 0 ? [.content(bytes: bytes)] : [.other]
    case "messageStop": return [.finished(reason: event.stopReason ?? ""), .endMark]
    case "metadata": return [.usage(input: event.usage?.inputTokens, output: event.usage?.outputTokens)]
    default: return [.other]
    }
  }
}
