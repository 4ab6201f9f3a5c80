import StreamFormats

/// What a piece of a streamed answer says.
package enum AnswerEvent: Sendable, Equatable {
  /// Text of the model, also of its reasoning; never empty. UTF-8 bytes.
  case content(bytes: Int)
  case finished(reason: String)
  case usage(input: Int?, output: Int?)
  /// Milliseconds to the first byte, as the server counts them.
  case serverFirstByte(Double)
  /// The mark after which nothing comes.
  case endMark
  /// An error in place of the rest.
  case failure(String)
  /// Any other event: a role, a ping.
  case other
}

/// Bytes that are no answer of the API, for people.
package struct AnswerError: Error, Equatable, CustomStringConvertible {
  package let description: String
}

/// Turns the bytes of an answer into what they say. One for each answer.
package struct AnswerReader: Sendable {
  /// Bytes of a whole answer.
  package static let maxBytes = 64 << 20

  private let api: Target.API
  private var text = ServerSentEventDecoder()
  private var frames = EventStreamDecoder()
  private var bytes = 0

  package init(_ api: Target.API) { self.api = api }

  /// - Returns: what became complete, in order; before an error in it, what came before is lost.
  package mutating func append(_ new: some Collection<UInt8>) throws(AnswerError) -> [AnswerEvent] {
    bytes += new.count
    guard bytes <= Self.maxBytes else {
      throw AnswerError(description: "the answer is larger than \(Self.maxBytes >> 20) MiB")
    }
    do {
      var events: [AnswerEvent] = []
      if api.isBedrock {
        frames.append(new)
        while let message = try frames.next() { events += try BedrockAnswer.events(of: message, api) }
      } else {
        for event in try text.append(new) { events += try OpenAIAnswer.events(of: event.data) }
      }
      return events
    } catch let error as StreamFormatError {
      throw AnswerError(description: error.description)
    } catch let error as AnswerError {
      throw error
    } catch {
      throw AnswerError(description: "\(error)")
    }
  }

  /// Refuses an answer that ends within a frame.
  package func finish() throws(AnswerError) {
    guard api.isBedrock else { return }
    do { try frames.finish() } catch { throw AnswerError(description: error.description) }
  }

  /// Reads a small answer of each API. Foundation takes tens of milliseconds to decode the first JSON of a type, which
  /// would hold up an event loop, and with it what other probes measure.
  static func warmUp() {
    let text =
      #"data: {"choices":[{"delta":{"content":"a"},"text":"a","finish_reason":"b"}],"usage":{},"error":{}}"#
    let converse = EventStreamMessage(
      event: "contentBlockDelta",
      json: Array(#"{"delta":{"text":"a","reasoningContent":{}},"usage":{}}"#.utf8))
    // {"type":"message_stop","delta":{},"usage":{},"amazon-bedrock-invocationMetrics":{}}
    let bytes =
      "eyJ0eXBlIjoibWVzc2FnZV9zdG9wIiwiZGVsdGEiOnt9LCJ1c2FnZSI6e30sImFtYXpvbi1iZWRyb2NrLWludm9jYXRpb25NZXRyaWNzIjp7fX0="
    let invoke = EventStreamMessage(event: "chunk", json: Array("{\"bytes\":\"\(bytes)\"}".utf8))
    for api in Target.API.allCases {
      var reader = AnswerReader(api)
      let sample =
        switch api {
        case .openAIChat, .openAICompletions: Array("\(text)\n\n".utf8)
        case .bedrockConverse: converse.encoded()
        case .bedrockInvoke: invoke.encoded()
        }
      _ = try? reader.append(sample)
    }
  }
}
