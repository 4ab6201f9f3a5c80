/// Takes a `text/event-stream` apart, however the network cut it into pieces (WHATWG HTML, section 9.2.6).
///
/// Lines end in LF, CRLF or CR; comments are skipped; several `data` lines are one text with line feeds between them; an
/// event that the stream's end cuts off is not delivered.
public struct ServerSentEventDecoder: Sendable {
  public struct Event: Sendable, Equatable {
    /// "message" where the stream names none.
    public var name: String
    public var data: String

    public init(name: String = "message", data: String) {
      self.name = name
      self.data = data
    }
  }

  /// Bytes of one event, beyond which it is refused: nothing a model says in one piece is as long.
  public static let maxEventBytes = 4 << 20

  private var line: [UInt8] = []
  private var name = ""
  private var data: [String] = []
  private var size = 0
  private var endedWithReturn = false
  private var isFirstLine = true

  public init() {}

  /// - Returns: the events that are complete now, in order.
  /// - Throws: for text that is not UTF-8 and events above the limit. An error is final.
  public mutating func append(_ bytes: some Sequence<UInt8>) throws(StreamFormatError) -> [Event] {
    var events: [Event] = []
    for byte in bytes {
      let followsReturn = endedWithReturn
      endedWithReturn = byte == 0x0D
      switch byte {
      case 0x0A where followsReturn: break
      case 0x0A, 0x0D:
        if let event = try endLine() { events.append(event) }
      default:
        line.append(byte)
        size += 1
        guard size <= Self.maxEventBytes else {
          throw StreamFormatError(.tooLarge, "an event of more than 4 MiB")
        }
      }
    }
    return events
  }

  private mutating func endLine() throws(StreamFormatError) -> Event? {
    defer { line.removeAll(keepingCapacity: true) }
    if isFirstLine, line.starts(with: [0xEF, 0xBB, 0xBF]) { line.removeFirst(3) }
    isFirstLine = false
    guard !line.isEmpty else { return dispatch() }
    guard let text = String(validating: line, as: UTF8.self) else {
      throw StreamFormatError(.malformed, "an event that is not UTF-8")
    }
    let colon = text.firstIndex(of: ":")
    var value = colon.map { text[text.index(after: $0)...] } ?? ""
    if value.first == " " { value = value.dropFirst() }
    switch colon.map({ text[..<$0] }) ?? text[...] {
    case "event": name = String(value)
    case "data": data.append(String(value))
    default: break
    }
    return nil
  }

  private mutating func dispatch() -> Event? {
    defer {
      name = ""
      data.removeAll(keepingCapacity: true)
      size = 0
    }
    guard !data.isEmpty else { return nil }
    return Event(name: name.isEmpty ? "message" : name, data: data.joined(separator: "\n"))
  }
}
