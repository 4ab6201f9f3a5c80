import StreamFormats
import Testing

@Suite struct ServerSentEventTests {
  typealias Event = ServerSentEventDecoder.Event

  private static let stream =
    "\u{FEFF}: hello\ndata: {\"a\":1}\r\n\r\nevent: ping\rdata:x\rdata: y\r\rid: 7\nretry: 5\n\ndata\n\n"
    + "data:  two spaces é\n\ndata: [DONE]\n\ndata: cut off"
  private static let events = [
    Event(data: "{\"a\":1}"), Event(name: "ping", data: "x\ny"), Event(data: ""),
    Event(data: " two spaces é"),
    Event(data: "[DONE]"),
  ]

  @Test func eventsAreRead() throws {
    var decoder = ServerSentEventDecoder()
    #expect(try decoder.append(Self.stream.utf8) == Self.events)
  }

  /// In two pieces, cut anywhere: within a character, and between CR and LF.
  @Test func piecesDoNotMatter() throws {
    let bytes = Array(Self.stream.utf8)
    for cut in bytes.indices {
      var decoder = ServerSentEventDecoder()
      let events = try decoder.append(bytes[..<cut]) + decoder.append(bytes[cut...])
      #expect(events == Self.events, "cut at \(cut)")
    }
  }

  @Test func textThatIsNotUTF8IsRefused() {
    var decoder = ServerSentEventDecoder()
    let error = #expect(throws: StreamFormatError.self) {
      try decoder.append([0x64, 0x61, 0x74, 0x61, 0x3A, 0xFF, 0x0A])
    }
    #expect(error?.code == .malformed)
  }

  @Test func anEndlessEventIsRefused() throws {
    var decoder = ServerSentEventDecoder()
    let piece = [UInt8](repeating: 0x78, count: 1 << 20)
    for _ in 0..<4 { #expect(try decoder.append(piece) == []) }
    let error = #expect(throws: StreamFormatError.self) { try decoder.append([0x78]) }
    #expect(error?.code == .tooLarge)
  }

  /// The limit is on one event, not on the stream.
  @Test func longStreamsOfShortEventsAreRead() throws {
    var decoder = ServerSentEventDecoder()
    let piece = Array(("data: " + String(repeating: "x", count: 100_000) + "\n\n").utf8)
    for _ in 0..<60 { #expect(try decoder.append(piece).count == 1) }
  }
}
