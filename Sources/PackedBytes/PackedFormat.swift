import CZlib

/// What stands around compressed bytes.
package enum PackedFormat: Sendable {
  /// RFC 1952; several members may follow each other.
  case gzip
  /// RFC 1950.
  case zlib
  /// RFC 1951: nothing.
  case raw

  /// Gzip files begin so.
  package static let gzipMagic: [UInt8] = [0x1F, 0x8B]

  /// 15 bits of window, and how zlib is told the format.
  var windowBits: Int32 {
    switch self {
    case .gzip: 15 + 16
    case .zlib: 15
    case .raw: -15
    }
  }

  /// In memory.
  package func compress(_ bytes: [UInt8]) -> [UInt8] {
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
