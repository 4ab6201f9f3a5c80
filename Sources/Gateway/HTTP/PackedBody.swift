import CZlib
import HTTPTypes
import Hummingbird

/// A request's body that its client has compressed (RFC 9110, 8.4).
struct PackedBody: Sendable {
  enum Coding: Sendable { case gzip, deflate }

  enum Problem: Error, Hashable {
    /// It unpacks to more than may be.
    case tooLarge
    /// Not of that coding, or damaged.
    case damaged
    /// It ends before its stream does.
    case truncated
  }

  private static let step = 64 << 10

  let coding: Coding

  /// - Returns: nil where the body comes as it is
  /// - Throws: `APIError` with status 415 for a coding that is not read here
  init?(_ headers: HTTPFields) throws(APIError) {
    guard let header = headers[.contentEncoding] else { return nil }
    switch header.lowercased().filter({ $0 != " " && $0 != "\t" }) {
    case "", "identity": return nil
    case "gzip", "x-gzip": coding = .gzip
    case "deflate": coding = .deflate
    default:
      var error = APIError(
        .unsupportedMediaType,
        "the body has the Content-Encoding \(header.prefix(64).debugDescription); this server reads gzip, deflate and what"
          + " is not compressed", code: "unsupported_content_encoding")
      error.acceptsEncodings = true
      throw error
    }
  }

  /// - Parameter limit: bytes that it may unpack to; what it would be beyond is never made
  func unpacked(_ bytes: [UInt8], limit: Int) throws(Problem) -> [UInt8] {
    // zlib keeps a pointer to it, so it must not move.
    let stream = UnsafeMutablePointer<z_stream>.allocate(capacity: 1)
    stream.initialize(to: z_stream())
    defer { stream.deallocate() }
    let size = Int32(MemoryLayout<z_stream>.size)
    guard inflateInit2_(stream, windowBits(bytes), ZLIB_VERSION, size) == Z_OK else { throw .damaged }
    defer { inflateEnd(stream) }
    return try bytes.withUnsafeBufferPointer { (input) throws(Problem) in
      stream.pointee.next_in = UnsafeMutablePointer(mutating: input.baseAddress)
      stream.pointee.avail_in = UInt32(input.count)
      var output: [UInt8] = []
      while true {
        let (piece, status) = Self.next(stream, atMost: min(Self.step, limit + 1 - output.count))
        output += piece
        if output.count > limit { throw .tooLarge }
        switch status {
        case Z_OK: continue
        case Z_STREAM_END:
          if stream.pointee.avail_in == 0 { return output }
          // gzip may have several members (RFC 1952, 2.2).
          guard coding == .gzip, inflateReset(stream) == Z_OK else { throw .damaged }
        case Z_BUF_ERROR where stream.pointee.avail_in == 0: throw .truncated
        default: throw .damaged
        }
      }
    }
  }

  private static func next(
    _ stream: UnsafeMutablePointer<z_stream>, atMost count: Int
  ) -> (bytes: [UInt8], status: Int32) {
    var status = Z_OK
    let piece = [UInt8](unsafeUninitializedCapacity: count) { buffer, filled in
      stream.pointee.next_out = buffer.baseAddress
      stream.pointee.avail_out = UInt32(count)
      status = inflate(stream, Z_NO_FLUSH)
      filled = count - Int(stream.pointee.avail_out)
    }
    return (piece, status)
  }

  /// 15 bits of window, and 16 for gzip's header. "deflate" means zlib's header, which some clients leave out.
  private func windowBits(_ bytes: [UInt8]) -> Int32 {
    guard coding == .deflate else { return 15 + 16 }
    let hasHeader =
      bytes.count >= 2 && bytes[0] & 0x0F == 8 && (Int(bytes[0]) << 8 | Int(bytes[1])) % 31 == 0
    return hasHeader ? 15 : -15
  }
}
