import CZlib

/// Why bytes cannot be unpacked.
package enum UnpackingFailure: Error, Hashable {
  /// Of another format, or damaged: the checksum does not fit.
  case damaged
  /// The data ends before its stream does.
  case truncated
}

/// What compressed bytes hold, chunk by chunk: neither side of it is ever in memory as a whole.
package final class UnpackedBytes: ByteSource {
  private let format: PackedFormat
  private let source: any ByteSource
  /// zlib keeps a pointer to it, so it must not move.
  private let stream: UnsafeMutablePointer<z_stream>
  private let output: UnsafeMutableBufferPointer<UInt8>
  private var input: UnsafeMutableBufferPointer<UInt8>
  private var isEnded = false
  /// Between two members of one file, which may also be its end.
  private var isBetweenMembers = false

  /// - Parameters:
  ///   - first: what was read from the source already
  ///   - chunkLength: bytes of a chunk at most
  package init(
    _ source: any ByteSource, first: [UInt8] = [], format: PackedFormat = .gzip, chunkLength: Int = 256 << 10
  ) {
    self.source = source
    self.format = format
    stream = .allocate(capacity: 1)
    stream.initialize(to: z_stream())
    output = .allocate(capacity: chunkLength)
    input = .allocate(capacity: 0)
    let status = inflateInit2_(
      stream, format.windowBits, ZLIB_VERSION, Int32(MemoryLayout<z_stream>.size))
    precondition(status == Z_OK, "zlib cannot start: \(status)")
    feed(first)
  }

  deinit {
    inflateEnd(stream)
    stream.deallocate()
    output.deallocate()
    input.deallocate()
  }

  package func next() throws -> [UInt8]? {
    while true {
      if stream.pointee.avail_in == 0, !isEnded {
        let chunk = try source.next() ?? []
        if chunk.isEmpty { isEnded = true } else { feed(chunk) }
      }
      if isBetweenMembers {
        guard stream.pointee.avail_in > 0 else { return nil }
        guard format == .gzip else { throw UnpackingFailure.damaged }
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
      case Z_BUF_ERROR: if isEnded { throw UnpackingFailure.truncated }
      default: throw UnpackingFailure.damaged
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
