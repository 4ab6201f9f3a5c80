import HTTPTypes
import Hummingbird
import PackedBytes

/// A request's body that its client has compressed (RFC 9110, 8.4).
struct PackedBody: Sendable {
  enum Coding: Sendable { case gzip, deflate }

  /// It unpacks to more than may be.
  struct TooLarge: Error {}

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

  /// - Parameter limit: bytes that it may unpack to; of what it would be beyond no more than a chunk is made
  /// - Throws: `TooLarge`, `UnpackingFailure`
  func unpacked(_ bytes: [UInt8], limit: Int) throws -> [UInt8] {
    let unpacked = UnpackedBytes(MemoryBytes(bytes), format: format(of: bytes), chunkLength: 64 << 10)
    var output: [UInt8] = []
    while let chunk = try unpacked.next() {
      output += chunk
      if output.count > limit { throw TooLarge() }
    }
    return output
  }

  /// "deflate" means zlib's header, which some clients leave out.
  private func format(of bytes: [UInt8]) -> PackedFormat {
    guard coding == .deflate else { return .gzip }
    let hasHeader =
      bytes.count >= 2 && bytes[0] & 0x0F == 8 && (Int(bytes[0]) << 8 | Int(bytes[1])) % 31 == 0
    return hasHeader ? .zlib : .raw
  }
}
