/// Bytes in chunks; nil, or none, at the end.
package protocol ByteSource: AnyObject {
  func next() throws -> [UInt8]?
}

/// Bytes that are there.
package final class MemoryBytes: ByteSource {
  private var rest: ArraySlice<UInt8>

  package init(_ bytes: [UInt8]) { rest = bytes[...] }

  package func next() -> [UInt8]? {
    guard !rest.isEmpty else { return nil }
    defer { rest = rest.dropFirst(256 << 10) }
    return Array(rest.prefix(256 << 10))
  }
}
