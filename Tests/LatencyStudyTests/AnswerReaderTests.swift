import Foundation
import LatencyStudy
import StreamFormats
import Testing

@Suite struct AnswerReaderTests {
  private func events(_ api: Target.API, _ bytes: [UInt8], piece: Int = .max) throws -> [AnswerEvent] {
    var reader = AnswerReader(api)
    var events: [AnswerEvent] = []
    var rest = bytes[...]
    while !rest.isEmpty {
      events += try reader.append(rest.prefix(piece))
      rest = rest.dropFirst(piece)
    }
    try reader.finish()
    return events
  }

  private let chat = """
    data: {"choices":[{"index":0,"delta":{"role":"assistant","content":""},"finish_reason":null}]}

    data: {"choices":[{"index":0,"delta":{"reasoning_content":"Hm"},"finish_reason":null}]}

    data: {"choices":[{"index":0,"delta":{"content":"Grüße"},"finish_reason":null}]}

    data: {"choices":[{"index":0,"delta":{},"finish_reason":"length"}]}

    data: {"choices":[],"usage":{"prompt_tokens":9,"completion_tokens":2}}

    data: [DONE]


    """

  /// A role is no text; reasoning is; every cut of the bytes gives the same.
  @Test(arguments: [1, 2, 7, 64, 10_000])
  func chatIsRead(piece: Int) throws {
    #expect(
      try events(.openAIChat, Array(chat.utf8), piece: piece) == [
        .other, .content(bytes: 2), .content(bytes: 7), .finished(reason: "length"),
        .usage(input: 9, output: 2), .endMark,
      ])
  }

  @Test func completionsAreRead() throws {
    let text =
      "data: {\"choices\":[{\"text\":\"ab\",\"finish_reason\":null}],\"usage\":null}\n\ndata: [DONE]\n\n"
    #expect(try events(.openAICompletions, Array(text.utf8)) == [.content(bytes: 2), .endMark])
  }

  @Test(
    arguments: [
      (
        "data: {\"error\":{\"message\":\"out of memory\",\"type\":\"server_error\"}}\n\n",
        "server_error: out of memory"
      ),
      ("data: {\"error\":\"no\"}\n\n", "no"),
    ])
  func errorsInTheStreamAreFound(text: String, message: String) throws {
    #expect(try events(.openAIChat, Array(text.utf8)) == [.failure(message)])
  }

  @Test(arguments: [
    "data: {\"choices\":[\n\n", "data: hello\n\n", "data: {\"object\":\"x\"}\n\n", "data: []\n\n",
  ])
  func whatIsNoCompletionIsRefused(text: String) {
    #expect(throws: AnswerError.self) { try events(.openAIChat, Array(text.utf8)) }
  }

  // MARK: Bedrock

  private func frame(_ event: String, _ json: String) -> [UInt8] {
    EventStreamMessage(event: event, json: Array(json.utf8)).encoded()
  }

  @Test(arguments: [1, 13, 100_000])
  func converseIsRead(piece: Int) throws {
    let bytes =
      frame("messageStart", #"{"role":"assistant"}"#)
      + frame("contentBlockDelta", #"{"contentBlockIndex":0,"delta":{"reasoningContent":{"text":"a"}}}"#)
      + frame("contentBlockDelta", #"{"contentBlockIndex":0,"delta":{"text":"Hello"}}"#)
      + frame("contentBlockStop", #"{"contentBlockIndex":0}"#)
      + frame("messageStop", #"{"stopReason":"max_tokens"}"#)
      + frame(
        "metadata", #"{"usage":{"inputTokens":3,"outputTokens":4,"totalTokens":7},"metrics":{"latencyMs":5}}"#
      )
    #expect(
      try events(.bedrockConverse, bytes, piece: piece) == [
        .other, .content(bytes: 1), .content(bytes: 5), .other, .finished(reason: "max_tokens"), .endMark,
        .usage(input: 3, output: 4),
      ])
  }

  @Test func invokeIsRead() throws {
    // Base64 of Anthropic's own events, made with Python's base64.b64encode.
    let delta =
      "eyJ0eXBlIjoiY29udGVudF9ibG9ja19kZWx0YSIsImluZGV4IjowLCJkZWx0YSI6eyJ0eXBlIjoidGV4dF9kZWx0YSIsInRleHQiOiJIaSJ9fQ=="
    let stop =
      "eyJ0eXBlIjoibWVzc2FnZV9zdG9wIiwiYW1hem9uLWJlZHJvY2staW52b2NhdGlvbk1ldHJpY3MiOnsiZmlyc3RCeXRlTGF0ZW5jeSI6MTIzLCJpbnB1dFRva2VuQ291bnQiOjgsIm91dHB1dFRva2VuQ291bnQiOjJ9fQ=="
    let bytes = [delta, stop].flatMap { frame("chunk", "{\"bytes\":\"\($0)\"}") }
    #expect(
      try events(.bedrockInvoke, bytes) == [
        .content(bytes: 2), .usage(input: 8, output: 2), .serverFirstByte(123), .endMark,
      ])
  }

  @Test func exceptionsAreFoundWithinTheStream() throws {
    let bytes = EventStreamMessage(
      exception: "throttlingException", json: Array(#"{"message":"Slow down"}"#.utf8)
    ).encoded()
    #expect(try events(.bedrockConverse, bytes) == [.failure("throttlingException: Slow down")])
  }

  @Test func damagedFramesAreRefused() throws {
    var bytes = frame("contentBlockDelta", #"{"delta":{"text":"Hello"}}"#)
    bytes[bytes.count - 8] ^= 1
    #expect(throws: AnswerError.self) { try events(.bedrockConverse, bytes) }
    #expect(throws: AnswerError.self) {
      try events(.bedrockConverse, Array(frame("messageStart", "{}").dropLast()))
    }
    #expect(throws: AnswerError.self) { try events(.bedrockInvoke, frame("chunk", #"{"bytes":"%%%"}"#)) }
  }

  @Test(arguments: [
    ("5", 5.0), (" 1.5 ", 1.5), ("-3", 0), ("999999", 999_999), ("1e300", 366 * 86_400), ("soon", nil),
    ("", nil), ("nan", nil),
  ])
  func retryAfterIsRead(text: String, seconds: Double?) {
    #expect(RetryAfter.seconds(text) == seconds)
  }

  /// The form that is written, and the two that have to be understood.
  @Test(arguments: [
    "Sun, 06 Nov 1994 08:49:37 GMT", "Sunday, 06-Nov-94 08:49:37 GMT", "Sun Nov  6 08:49:37 1994",
  ])
  func datesAreRead(text: String) {
    #expect(RetryAfter.seconds(text, now: Date(timeIntervalSince1970: 784_111_777 - 7200)) == 7200)
    #expect(RetryAfter.seconds(text) == 0)
  }
}
