import SpeculationCore

/// Turns tokens into text piece by piece: a character whose bytes are spread over several tokens comes out
/// with the last of them.
public struct TextStream: Sendable {
  private let tokenizer: any Tokenizer
  private var pending: [UInt8] = []

  public init(_ tokenizer: any Tokenizer) {
    self.tokenizer = tokenizer
  }

  /// The text that `token` completes; may be empty.
  public mutating func append(_ token: TokenID) -> String {
    append(bytes: tokenizer.bytes(of: token))
  }

  /// The text that further bytes complete; may be empty.
  public mutating func append(bytes: [UInt8]) -> String {
    pending += bytes
    let complete = pending.count - Self.unfinishedTail(of: pending)
    defer { pending.removeFirst(complete) }
    return String(decoding: pending[..<complete], as: UTF8.self)
  }

  /// What is left at the end: an unfinished character, as replacement characters.
  public mutating func finish() -> String {
    defer { pending = [] }
    return String(decoding: pending, as: UTF8.self)
  }

  /// How many bytes at the end begin a character that more bytes could complete: 0...3.
  static func unfinishedTail(of bytes: [UInt8]) -> Int {
    for back in 1...4 where back <= bytes.count {
      let byte = bytes[bytes.count - back]
      if byte & 0b1100_0000 == 0b1000_0000 { continue }  // continuation: look further back for the lead
      let length = byte < 0x80 ? 1 : byte >= 0xF0 ? 4 : byte >= 0xE0 ? 3 : byte >= 0xC0 ? 2 : 1
      return length > back ? back : 0
    }
    return 0
  }
}
