import Simulator
import SplitMix
import StreamFormats
import Testing

@Suite struct EventStreamTests {
  /// Written with Python's struct and zlib, and decoded by botocore 1.43 as the same headers and payload.
  private static let reference =
    "0000006b0000004b6ace012d0b3a6576656e742d747970650700056368756e6b0d3a636f6e74656e742d747970650700106170706c6963"
    + "6174696f6e2f6a736f6e0d3a6d6573736167652d747970650700056576656e747b226279746573223a2261476b3d227dbd9e5744"

  private static let message = EventStreamMessage(event: "chunk", json: Array(#"{"bytes":"aGk="}"#.utf8))

  @Test func framesAreThoseOfOthers() throws {
    #expect(Self.message.encoded() == Self.bytes(Self.reference))
    var decoder = EventStreamDecoder()
    decoder.append(Self.bytes(Self.reference))
    let message = try #require(try decoder.next())
    #expect(message == Self.message)
    #expect(message.text(":event-type") == "chunk" && message.text(":none") == nil)
    #expect(try decoder.next() == nil)
    try decoder.finish()
  }

  @Test func everyKindOfHeaderComesBack() throws {
    let message = EventStreamMessage(
      headers: [
        .init("t", .bool(true)), .init("f", .bool(false)), .init("b", .byte(-1)), .init("s", .int16(-300)),
        .init("i", .int32(.min)), .init("l", .int64(.max)), .init("bytes", .bytes([0, 255])),
        .init("text", .string("Straße")), .init("at", .timestamp(1_790_000_000_000)),
        .init("id", .uuid(Array(0..<16))),
      ], payload: [])
    var decoder = EventStreamDecoder()
    decoder.append(message.encoded())
    #expect(try decoder.next() == message)
  }

  /// Frames cross the network's pieces: three messages, cut at every pair of places.
  @Test func piecesDoNotMatter() throws {
    let messages = [
      EventStreamMessage(event: "a", json: []), Self.message,
      EventStreamMessage(exception: "throttlingException", json: Array("{}".utf8)),
    ]
    let bytes = messages.flatMap { $0.encoded() }
    for first in bytes.indices {
      for second in stride(from: first, to: bytes.count, by: 13) {
        var decoder = EventStreamDecoder()
        var decoded: [EventStreamMessage] = []
        for piece in [bytes[..<first], bytes[first..<second], bytes[second...]] {
          decoder.append(piece)
          while let message = try decoder.next() { decoded.append(message) }
        }
        try decoder.finish()
        #expect(decoded == messages, "cut at \(first) and \(second)")
      }
    }
  }

  /// One wrong bit anywhere is found, whichever it is.
  @Test func everyWrongBitIsFound() {
    let bytes = Self.message.encoded()
    for bit in 0..<bytes.count * 8 {
      var damaged = bytes
      damaged[bit / 8] ^= 1 << UInt8(bit % 8)
      let error = #expect(throws: StreamFormatError.self, "bit \(bit)") {
        var decoder = EventStreamDecoder()
        decoder.append(damaged)
        _ = try decoder.next()
        try decoder.finish()
      }
      #expect(error?.code == .wrongChecksum, "bit \(bit)")
    }
  }

  @Test func aStreamThatEndsEarlyIsTruncated() throws {
    let bytes = Self.message.encoded()
    for count in 1..<bytes.count {
      var decoder = EventStreamDecoder()
      decoder.append(bytes[..<count])
      #expect(try decoder.next() == nil)
      let error = #expect(throws: StreamFormatError.self) { try decoder.finish() }
      #expect(error?.code == .truncated)
      #expect(error?.description.contains("\(count) bytes into") == true)
    }
  }

  /// Lengths that contradict each other, with right checksums, as only a broken or hostile peer sends them.
  @Test func impossibleLengthsAreRefused() {
    func prelude(_ total: UInt32, _ headers: UInt32) -> [UInt8] {
      var bytes = withUnsafeBytes(of: total.bigEndian, Array.init)
      bytes += withUnsafeBytes(of: headers.bigEndian, Array.init)
      return bytes + withUnsafeBytes(of: Self.checksum(bytes).bigEndian, Array.init)
    }
    for (total, headers, code) in [
      (0, 0, StreamFormatError.Code.malformed), (15, 0, .malformed), (20, 10, .malformed),
      (UInt32.max, 0, .tooLarge), (200_000, 131_073, .tooLarge), (25_165_841, 0, .tooLarge),
    ] as [(UInt32, UInt32, StreamFormatError.Code)] {
      var decoder = EventStreamDecoder()
      decoder.append(prelude(total, headers))
      let error = #expect(throws: StreamFormatError.self) { try decoder.next() }
      #expect(error?.code == code, "\(total), \(headers)")
    }
  }

  /// Headers that are nonsense behind right checksums: refused or read, never a trap.
  @Test func randomHeadersNeverTrap() {
    var generator = SplitMix64(seed: 7)
    var refused = 0
    for _ in 0..<20_000 {
      let block = (0..<Int.random(in: 0...24, using: &generator)).map { _ in
        UInt8.random(in: 0...(generator.chance(0.7) ? 10 : 255), using: &generator)
      }
      var bytes = withUnsafeBytes(of: UInt32(block.count + 16).bigEndian, Array.init)
      bytes += withUnsafeBytes(of: UInt32(block.count).bigEndian, Array.init)
      bytes += withUnsafeBytes(of: Self.checksum(bytes).bigEndian, Array.init)
      bytes += block
      bytes += withUnsafeBytes(of: Self.checksum(bytes).bigEndian, Array.init)
      var decoder = EventStreamDecoder()
      decoder.append(bytes)
      do {
        let message = try decoder.next()
        #expect(message?.encoded() == bytes)
      } catch {
        #expect(error.code == .malformed)
        refused += 1
      }
    }
    #expect(refused > 1000 && refused < 20_000)
  }

  /// Bit by bit, unlike the product's table.
  private static func checksum(_ bytes: [UInt8]) -> UInt32 {
    var value: UInt32 = ~0
    for byte in bytes {
      value ^= UInt32(byte)
      for _ in 0..<8 { value = value >> 1 ^ (value & 1) * 0xEDB8_8320 }
    }
    return ~value
  }

  private static func bytes(_ hexadecimal: String) -> [UInt8] {
    let digits = Array(hexadecimal)
    return stride(from: 0, to: digits.count, by: 2).map { UInt8(String(digits[$0...$0 + 1]), radix: 16)! }
  }
}
