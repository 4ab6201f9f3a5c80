/// Cuts a stream of bytes into lines of text. What comes without a line break is cut at `longestLine`.
struct LineSplitter {
  static let longestLine = 1 << 20

  private var rest: [UInt8] = []

  /// The lines that `bytes` complete, without their line breaks.
  mutating func append(_ bytes: [UInt8]) -> [String] {
    var parts = bytes.split(separator: 0x0A, omittingEmptySubsequences: false)
    let tail = parts.removeLast()
    guard !parts.isEmpty else {
      rest += tail
      if rest.count > Self.longestLine { return finish().map { [$0] } ?? [] }
      return []
    }
    let first = rest + parts[0]
    rest = Array(tail)
    return ([first[...]] + parts.dropFirst()).map { String(decoding: $0, as: UTF8.self) }
  }

  /// What came after the last line break, if anything did.
  mutating func finish() -> String? {
    defer { rest = [] }
    return rest.isEmpty ? nil : String(decoding: rest, as: UTF8.self)
  }
}
