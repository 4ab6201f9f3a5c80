import CZlib

/// Why bytes are no gzip.
enum GzipFailure: Error, Hashable {
  /// Not gzip, or damaged: the checksum does not fit.
  case damaged
  /// The data ends before its stream does.
  case truncated
}

/// What gzip (RFC 1952) holds, chunk by chunk: neither side of it is ever in memory as a whole.
final class GzipBytes: ByteSource {
  static let magic: [UInt8] = [0x1F, 0x8B]
  private static let outputLength = 256 << 10

  private let source: any ByteSource
  /// zlib keeps a pointer to it, so it must not move.
  private let stream: UnsafeMutablePointer<z_stream>
  private let output: UnsafeMutableBufferPointer<UInt8>
  private var input: UnsafeMutableBufferPointer<UInt8>
  private var isEnded = false
  /// Between two members of one file, which may also be its end.
  private var isBetweenMembers = false

  /// - Parameter first: what was read from the source already
  init(_ source: any ByteSource, first: [UInt8]) {
    self.source = source
    stream = .allocate(capacity: 1)
    stream.initialize(to: z_stream())
    output = .allocate(capacity: Self.outputLength)
    input = .allocate(capacity: 0)
    // 15 bits of window, and 16 for gzip's header and trailer.
    let status = inflateInit2_(stream, 15 + 16, ZLIB_VERSION, Int32(MemoryLayout<z_stream>.size))
    precondition(status == Z_OK, "zlib cannot start: \(status)")
    feed(first)
  }

  deinit {
    inflateEnd(stream)
    stream.deallocate()
    output.deallocate()
    input.deallocate()
  }

  func next() throws -> [UInt8]? {
    while true {
      if stream.pointee.avail_in == 0, !isEnded {
        let chunk = try source.next() ?? []
        if chunk.isEmpty { isEnded = true } else { feed(chunk) }
      }
      if isBetweenMembers {
        guard stream.pointee.avail_in > 0 else { return nil }
        inflateReset(stream)
        isBetweenMembers = false
      }
      stream.pointee.next_out = output.baseAddress
      stream.pointee.avail_out = UInt32(output.count)
      let status = inflate(stream, Z_NO_FLUSH)
      let count = output.count - Int(stream.pointee.avail_out)
      switch status {
      case Z_STREAM_END: isBetweenMembers = true
      case Z_OK: break
      case Z_BUF_ERROR: if isEnded { throw GzipFailure.truncated }
      default: throw GzipFailure.damaged
      }
      if count > 0 { return [UInt8](output[..<count]) }
    }
  }

  private func feed(_ chunk: [UInt8]) {
    if input.count < chunk.count {
      input.deallocate()
      input = .allocate(capacity: chunk.count)
    }
    _ = input.update(from: chunk)
    stream.pointee.next_in = input.baseAddress
    stream.pointee.avail_in = UInt32(chunk.count)
  }
}
