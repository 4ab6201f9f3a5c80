/// One frame of `application/vnd.amazon.eventstream`, in which Bedrock streams its answers.
///
/// Big-endian: total length, length of the headers, CRC-32 of these eight bytes; the headers; the payload; CRC-32 of all
/// before it. A header is its name's length (one byte), its name, a type, and a value.
public struct EventStreamMessage: Sendable, Equatable {
  public enum Value: Sendable, Equatable {
    case bool(Bool)
    case byte(Int8)
    case int16(Int16)
    case int32(Int32)
    case int64(Int64)
    case bytes([UInt8])
    case string(String)
    /// Milliseconds since 1970.
    case timestamp(Int64)
    /// 16 bytes.
    case uuid([UInt8])
  }

  public struct Header: Sendable, Equatable {
    public var name: String
    public var value: Value

    public init(_ name: String, _ value: Value) {
      self.name = name
      self.value = value
    }
  }

  /// Together at most 128 KiB.
  public static let maxHeaderBytes = 128 << 10
  /// At most 24 MiB.
  public static let maxPayloadBytes = 24 << 20

  /// In the order in which they were sent.
  public var headers: [Header]
  public var payload: [UInt8]

  public init(headers: [Header], payload: [UInt8]) {
    self.headers = headers
    self.payload = payload
  }

  /// An event as Bedrock sends it: `:event-type`, `:content-type`, `:message-type`.
  public init(event: String, json: [UInt8]) {
    self.init(
      headers: [
        Header(":event-type", .string(event)), Header(":content-type", .string("application/json")),
        Header(":message-type", .string("event")),
      ], payload: json)
  }

  /// An exception in mid-stream, which arrives under status 200.
  public init(exception: String, json: [UInt8]) {
    self.init(
      headers: [
        Header(":exception-type", .string(exception)), Header(":content-type", .string("application/json")),
        Header(":message-type", .string("exception")),
      ], payload: json)
  }

  /// The text of a header; nil when there is none of that name, or it holds no text.
  public func text(_ name: String) -> String? {
    for header in headers where header.name == name {
      if case .string(let text) = header.value { return text }
    }
    return nil
  }

  /// - Precondition: names have 1 to 255 bytes, values at most 32767, and all fits the format's limits.
  public func encoded() -> [UInt8] {
    var block: [UInt8] = []
    for header in headers {
      let name = Array(header.name.utf8)
      precondition((1...255).contains(name.count), "a header's name has 1 to 255 bytes")
      block.append(UInt8(name.count))
      block += name
      Self.append(header.value, to: &block)
    }
    precondition(
      block.count <= Self.maxHeaderBytes && payload.count <= Self.maxPayloadBytes,
      "the message is larger than the format allows")
    var bytes: [UInt8] = []
    bytes.reserveCapacity(block.count + payload.count + 16)
    bytes += Self.bigEndian(UInt32(block.count + payload.count + 16))
    bytes += Self.bigEndian(UInt32(block.count))
    bytes += Self.bigEndian(CyclicRedundancyCheck.of(bytes))
    bytes += block
    bytes += payload
    bytes += Self.bigEndian(CyclicRedundancyCheck.of(bytes))
    return bytes
  }

  private static func append(_ value: Value, to block: inout [UInt8]) {
    func sized(_ type: UInt8, _ bytes: [UInt8]) {
      precondition(bytes.count <= Int(Int16.max), "a header's value has at most 32767 bytes")
      block.append(type)
      block += bigEndian(UInt16(bytes.count))
      block += bytes
    }
    switch value {
    case .bool(let flag): block.append(flag ? 0 : 1)
    case .byte(let number): block += [2, UInt8(bitPattern: number)]
    case .int16(let number): block += [3] + bigEndian(number)
    case .int32(let number): block += [4] + bigEndian(number)
    case .int64(let number): block += [5] + bigEndian(number)
    case .bytes(let bytes): sized(6, bytes)
    case .string(let text): sized(7, Array(text.utf8))
    case .timestamp(let milliseconds): block += [8] + bigEndian(milliseconds)
    case .uuid(let bytes):
      precondition(bytes.count == 16, "a UUID has 16 bytes")
      block += [9] + bytes
    }
  }

  private static func bigEndian(_ value: some FixedWidthInteger) -> [UInt8] {
    withUnsafeBytes(of: value.bigEndian, Array.init)
  }
}
