import Foundation
import LatencyStudy
import StreamFormats

/// What is written, and when: an answer as a list of pieces. Pure.
struct AnswerScript: Sendable, Equatable {
  enum Step: Sendable, Equatable {
    case bytes([UInt8])
    /// The answer ends in order.
    case end
    /// The connection breaks.
    case reset
    /// Nothing comes any more.
    case stall
  }

  struct Entry: Sendable, Equatable {
    /// Seconds after the request.
    var time: Double
    var step: Step
    /// Whether it brings the first text.
    var isFirstContent = false
    /// That it brings.
    var tokens = 0
  }

  var entries: [Entry] = []

  private static let words = [
    "the", "sky", "is", "blue", "since", "short", "waves", "scatter", "more", "than", "long", "ones", "do",
    "in", "air",
  ]

  /// - Parameters:
  ///   - start: when service starts, seconds after the request; with it the head and the first event come
  ///   - fault: of those that begin with status 200
  init(
    _ request: EmulatedRequest, _ api: Target.API, visit: ServiceQueue.Visit, start: Double,
    fault: EmulatedRegions.FaultKind?
  ) {
    let format = AnswerFormat(api: api, request: request, firstByte: visit.wait + visit.prefill)
    add(start, format.opening)
    var time = start + visit.prefill
    let half = max(1, request.tokens / 2)
    for index in 0..<request.tokens where fault != .nothing {
      if index > 0 { time += visit.gaps[index - 1] }
      if index == half || request.tokens == 1, let fault, let broken = format.broken(fault) {
        add(time, broken.bytes)
        entries.append(Entry(time: time, step: broken.end))
        return
      }
      add(
        time, format.token(" " + Self.words[index % Self.words.count]), isFirstContent: index == 0, tokens: 1)
    }
    add(time, format.closing)
    entries.append(Entry(time: time, step: .end))
    if fault == .atOnce { putTogether() }
  }

  private mutating func add(
    _ time: Double, _ bytes: [UInt8], isFirstContent: Bool = false, tokens: Int = 0
  ) {
    guard !bytes.isEmpty else { return }
    entries.append(Entry(time: time, step: .bytes(bytes), isFirstContent: isFirstContent, tokens: tokens))
  }

  /// As behind a buffer.
  private mutating func putTogether() {
    guard let last = entries.last else { return }
    let bytes = entries.flatMap { entry -> [UInt8] in
      if case .bytes(let bytes) = entry.step { bytes } else { [] }
    }
    let tokens = entries.reduce(0) { $0 + $1.tokens }
    entries = [Entry(time: last.time, step: .bytes(bytes), isFirstContent: true, tokens: tokens), last]
  }
}

/// The bytes of an API's events.
struct AnswerFormat: Sendable {
  var api: Target.API
  var request: EmulatedRequest
  /// Seconds that the server says it took to its first byte.
  var firstByte: Double

  static let inputTokens = 12

  var opening: [UInt8] {
    switch api {
    case .openAIChat: event(choice(#""delta":{"role":"assistant","content":""},"finish_reason":null"#))
    case .openAICompletions: []
    case .bedrockConverse: frame("messageStart", #"{"role":"assistant"}"#)
    case .bedrockInvoke:
      chunk(
        #"{"type":"message_start","message":{"id":"msg","type":"message","role":"assistant","content":[],"#
          + #""usage":{"input_tokens":\#(Self.inputTokens),"output_tokens":1}}}"#)
        + chunk(#"{"type":"content_block_start","index":0,"content_block":{"type":"text","text":""}}"#)
    }
  }

  /// - Parameter text: that needs no escapes in JSON
  func token(_ text: String) -> [UInt8] {
    switch api {
    case .openAIChat: event(choice(#""delta":{"content":"\#(text)"},"finish_reason":null"#))
    case .openAICompletions: event(choice(#""text":"\#(text)","finish_reason":null"#))
    case .bedrockConverse: frame("contentBlockDelta", #"{"contentBlockIndex":0,"delta":{"text":"\#(text)"}}"#)
    case .bedrockInvoke:
      chunk(#"{"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":"\#(text)"}}"#)
    }
  }

  var closing: [UInt8] {
    let tokens = request.tokens
    switch api {
    case .openAIChat, .openAICompletions:
      let last =
        api == .openAIChat ? #""delta":{},"finish_reason":"length""# : #""text":"","finish_reason":"length""#
      let usage =
        #"{"id":"x","object":"chunk","choices":[],"usage":{"prompt_tokens":\#(Self.inputTokens),"#
        + #""completion_tokens":\#(tokens),"total_tokens":\#(Self.inputTokens + tokens)}}"#
      return event(choice(last)) + (request.includesUsage ? event(usage) : []) + event("[DONE]")
    case .bedrockConverse:
      return frame("contentBlockStop", #"{"contentBlockIndex":0}"#)
        + frame("messageStop", #"{"stopReason":"max_tokens"}"#)
        + frame(
          "metadata",
          #"{"usage":{"inputTokens":\#(Self.inputTokens),"outputTokens":\#(tokens),"#
            + #""totalTokens":\#(Self.inputTokens + tokens)},"metrics":{"latencyMs":\#(Int(firstByte * 1000))}}"#
        )
    case .bedrockInvoke:
      return chunk(#"{"type":"content_block_stop","index":0}"#)
        + chunk(
          #"{"type":"message_delta","delta":{"stop_reason":"max_tokens"},"usage":{"output_tokens":\#(tokens)}}"#
        )
        + chunk(
          #"{"type":"message_stop","amazon-bedrock-invocationMetrics":{"inputTokenCount":\#(Self.inputTokens),"#
            + #""outputTokenCount":\#(tokens),"invocationLatency":\#(Int(firstByte * 1000)),"#
            + #""firstByteLatency":\#(Int(firstByte * 1000))}}"#)
    }
  }

  /// What a fault in the middle writes, and how it ends; nil for faults of another kind.
  func broken(_ fault: EmulatedRegions.FaultKind) -> (bytes: [UInt8], end: AnswerScript.Step)? {
    switch fault {
    case .stall: return ([], .stall)
    case .reset: return ([], .reset)
    case .truncate: return ([], .end)
    case .malformed:
      return (api.isBedrock ? frame("contentBlockDelta", "{\"delta\":") : event("{\"choices\":["), .end)
    case .crc:
      guard api.isBedrock else { return (event("{\"choices\":["), .end) }
      var bytes = token(" wrong")
      bytes[bytes.count - 1] ^= 0xFF
      return (bytes, .end)
    case .exception:
      let message = #"{"message":"The model stopped."}"#
      return (
        api.isBedrock
          ? EventStreamMessage(exception: "modelStreamErrorException", json: Array(message.utf8)).encoded()
          : event(#"{"error":{"type":"server_error","message":"The model stopped."}}"#), .end
      )
    case .throttle, .error, .unavailable, .forbidden, .nothing, .atOnce: return nil
    }
  }

  private func choice(_ fields: String) -> String {
    #"{"id":"x","object":"chunk","created":0,"model":"emulated","choices":[{"index":0,\#(fields)}]}"#
  }

  private func event(_ data: String) -> [UInt8] { Array("data: \(data)\n\n".utf8) }

  private func frame(_ name: String, _ json: String) -> [UInt8] {
    EventStreamMessage(event: name, json: Array(json.utf8)).encoded()
  }

  private func chunk(_ json: String) -> [UInt8] {
    frame("chunk", "{\"bytes\":\"\(Data(json.utf8).base64EncodedString())\"}")
  }
}
