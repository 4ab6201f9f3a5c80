/// Chunks as bytes: for each the time since the one before it (ns) and its size, as LEB128 numbers.
package enum ChunkCodec {
  package static func encoded(_ chunks: [Chunk]) -> [UInt8] {
    var bytes: [UInt8] = []
    var last: Int64 = 0
    for chunk in chunks {
      append(UInt64(max(0, chunk.time - last)), to: &bytes)
      append(UInt64(max(0, chunk.bytes)), to: &bytes)
      last = max(last, chunk.time)
    }
    return bytes
  }

  /// - Returns: nil for bytes that are no chunks
  package static func decoded(_ bytes: some Sequence<UInt8>) -> [Chunk]? {
    var chunks: [Chunk] = []
    var rest = ArraySlice(Array(bytes))
    var time: Int64 = 0
    while !rest.isEmpty {
      guard let gap = number(&rest), let size = number(&rest), gap <= Int64.max - time else { return nil }
      time += gap
      chunks.append(Chunk(time: time, bytes: Int(size)))
    }
    return chunks
  }

  private static func append(_ value: UInt64, to bytes: inout [UInt8]) {
    var value = value
    while value >= 0x80 {
      bytes.append(UInt8(truncatingIfNeeded: value) | 0x80)
      value >>= 7
    }
    bytes.append(UInt8(value))
  }

  private static func number(_ bytes: inout ArraySlice<UInt8>) -> Int64? {
    var value: UInt64 = 0
    for shift in stride(from: 0, to: 63, by: 7) {
      guard let byte = bytes.popFirst() else { return nil }
      value |= UInt64(byte & 0x7F) << UInt64(shift)
      if byte < 0x80 { return Int64(value) }
    }
    return nil
  }
}
