/// The last bytes of a stream, up to a limit.
struct KeptBytes {
  var limit = 0
  private var bytes: [UInt8] = []

  mutating func append(_ more: [UInt8]) {
    bytes += more
    // Cut in large pieces, so that a long stream costs a copy per `limit` bytes and not one per append.
    if bytes.count > 2 * limit { bytes.removeFirst(bytes.count - limit) }
  }

  var text: String { String(decoding: bytes.suffix(limit), as: UTF8.self) }
}
