import CZlib

/// gzip (RFC 1952), by zlib, in memory.
enum Gzip {
  /// 15 bits of window, and 16 for gzip's header and trailer instead of zlib's.
  private static let windowBits: Int32 = 15 + 16

  static func compress(_ bytes: [UInt8]) -> [UInt8] {
    var stream = z_stream()
    let status = deflateInit2_(
      &stream, Z_BEST_COMPRESSION, Z_DEFLATED, windowBits, 9, Z_DEFAULT_STRATEGY, ZLIB_VERSION,
      Int32(MemoryLayout<z_stream>.size))
    precondition(status == Z_OK, "zlib cannot start: \(status)")
    defer { deflateEnd(&stream) }
    var output = [UInt8](repeating: 0, count: Int(deflateBound(&stream, UInt(bytes.count))))
    var input = bytes
    let written = input.withUnsafeMutableBufferPointer { source in
      output.withUnsafeMutableBufferPointer { sink in
        stream.next_in = source.baseAddress
        stream.avail_in = UInt32(source.count)
        stream.next_out = sink.baseAddress
        stream.avail_out = UInt32(sink.count)
        let status = deflate(&stream, Z_FINISH)
        precondition(status == Z_STREAM_END, "zlib's bound was too small")
        return sink.count - Int(stream.avail_out)
      }
    }
    output.removeLast(output.count - written)
    return output
  }
}
