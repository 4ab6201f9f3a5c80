/// Takes an event stream apart, however the network cut it into pieces.
///
/// Feed bytes with `append`, then call `next` until it answers nil; at the end of the body call `finish`. An error is
/// final: where one frame is wrong, nothing tells where the next begins.
public struct EventStreamDecoder: Sendable {
  /// The smallest frame: prelude, its checksum, the message's.
  private static let overhead = 16

  private var buffer: [UInt8] = []
  /// Of `buffer`, what has been decoded.
  private var start = 0
  /// Bytes of the stream before `buffer`, for messages.
  private var offset = 0

  public init() {}

  public mutating func append(_ bytes: some Sequence<UInt8>) {
    if start > 0 {
      buffer.removeFirst(start)
      offset += start
      start = 0
    }
    buffer.append(contentsOf: bytes)
  }

  /// The next whole message; nil when more bytes are needed for it.
  public mutating func next() throws(StreamFormatError) -> EventStreamMessage? {
    let place = offset + start
    guard buffer.count - start >= 12 else { return nil }
    let total = Int(word(start))
    let headerLength = Int(word(start + 4))
    // The lengths count for nothing until their checksum says so.
    guard CyclicRedundancyCheck.of(buffer[start..<start + 8]) == word(start + 8) else {
      throw StreamFormatError(.wrongChecksum, "wrong checksum of the prelude of the frame at byte \(place)")
    }
    guard headerLength <= EventStreamMessage.maxHeaderBytes else {
      throw StreamFormatError(
        .tooLarge,
        "\(headerLength) bytes of headers in the frame at byte \(place); at most 131072 are allowed")
    }
    guard total >= Self.overhead + headerLength else {
      throw StreamFormatError(
        .malformed, "a length of \(total) with \(headerLength) bytes of headers in the frame at byte \(place)"
      )
    }
    guard total - Self.overhead - headerLength <= EventStreamMessage.maxPayloadBytes else {
      throw StreamFormatError(.tooLarge, "a payload above 24 MiB in the frame at byte \(place)")
    }
    guard buffer.count - start >= total else { return nil }
    let end = start + total
    guard CyclicRedundancyCheck.of(buffer[start..<end - 4]) == word(end - 4) else {
      throw StreamFormatError(.wrongChecksum, "wrong checksum of the frame at byte \(place)")
    }
    var reader = HeaderReader(buffer[start + 12..<start + 12 + headerLength], place: place)
    let headers = try reader.headers()
    let payload = Array(buffer[start + 12 + headerLength..<end - 4])
    start = end
    return EventStreamMessage(headers: headers, payload: payload)
  }

  /// - Throws: when the stream ended within a frame.
  public func finish() throws(StreamFormatError) {
    guard start == buffer.count else {
      throw StreamFormatError(
        .truncated, "the stream ended \(buffer.count - start) bytes into the frame at byte \(offset + start)")
    }
  }

  private func word(_ index: Int) -> UInt32 {
    buffer[index..<index + 4].reduce(0) { $0 << 8 | UInt32($1) }
  }
}

private struct HeaderReader {
  private var rest: ArraySlice<UInt8>
  private let place: Int

  init(_ bytes: ArraySlice<UInt8>, place: Int) {
    rest = bytes
    self.place = place
  }

  mutating func headers() throws(StreamFormatError) -> [EventStreamMessage.Header] {
    var headers: [EventStreamMessage.Header] = []
    while !rest.isEmpty {
      let length = Int(try number(UInt8.self))
      guard length > 0 else { throw malformed("a header without a name") }
      let name = try text(length)
      headers.append(EventStreamMessage.Header(name, try value(of: name)))
    }
    return headers
  }

  private mutating func value(of name: String) throws(StreamFormatError) -> EventStreamMessage.Value {
    let type = try number(UInt8.self)
    switch type {
    case 0: return .bool(true)
    case 1: return .bool(false)
    case 2: return .byte(try number())
    case 3: return .int16(try number())
    case 4: return .int32(try number())
    case 5: return .int64(try number())
    case 6: return .bytes(Array(try take(Int(try number(UInt16.self)))))
    case 7: return .string(try text(Int(try number(UInt16.self))))
    case 8: return .timestamp(try number())
    case 9: return .uuid(Array(try take(16)))
    default: throw malformed("header \(name.debugDescription) of unknown type \(type)")
    }
  }

  private mutating func take(_ count: Int) throws(StreamFormatError) -> ArraySlice<UInt8> {
    guard rest.count >= count else { throw malformed("a header that ends behind the headers") }
    defer { rest = rest.dropFirst(count) }
    return rest.prefix(count)
  }

  private mutating func number<Number: FixedWidthInteger>(
    _ type: Number.Type = Number.self
  ) throws(StreamFormatError) -> Number {
    var bits: UInt64 = 0
    for byte in try take(Number.bitWidth / 8) { bits = bits << 8 | UInt64(byte) }
    return Number(truncatingIfNeeded: bits)
  }

  private mutating func text(_ count: Int) throws(StreamFormatError) -> String {
    guard let text = String(validating: try take(count), as: UTF8.self) else {
      throw malformed("a header that is not UTF-8")
    }
    return text
  }

  private func malformed(_ what: String) -> StreamFormatError {
    StreamFormatError(.malformed, "\(what), in the frame at byte \(place)")
  }
}
