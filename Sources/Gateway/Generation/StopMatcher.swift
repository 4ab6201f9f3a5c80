/// Finds stop strings in a text that comes in pieces, on bytes, so that a stop string may begin in one token and end
/// in another.
///
/// Nothing that could still become a stop string is let through. Where a stop string is complete, the text ends
/// before its first byte; when several are complete at the same byte, before the longest.
package struct StopMatcher: Sendable {
  private struct Pattern: Sendable {
    var bytes: [UInt8]
    /// Knuth-Morris-Pratt: length of the longest proper prefix that is also a suffix of the first i + 1 bytes.
    var fallback: [Int]
    /// How many bytes at the end of the text agree with the pattern's beginning.
    var matched = 0

    init(_ bytes: [UInt8]) {
      self.bytes = bytes
      fallback = [Int](repeating: 0, count: bytes.count)
      var length = 0
      for index in bytes.indices.dropFirst() {
        while length > 0, bytes[length] != bytes[index] { length = fallback[length - 1] }
        if bytes[length] == bytes[index] { length += 1 }
        fallback[index] = length
      }
    }

    mutating func advance(_ byte: UInt8) {
      if matched == bytes.count { matched = fallback[matched - 1] }
      while matched > 0, bytes[matched] != byte { matched = fallback[matched - 1] }
      if bytes[matched] == byte { matched += 1 }
    }
  }

  private var patterns: [Pattern]
  private var held: [UInt8] = []
  /// A stop string has been found; nothing comes out any more.
  package private(set) var isStopped = false

  /// Empty stop strings are ignored.
  package init(_ stops: [[UInt8]]) {
    patterns = stops.filter { !$0.isEmpty }.map(Pattern.init)
  }

  /// Takes in bytes and returns those that can be sent.
  package mutating func append(_ bytes: [UInt8]) -> [UInt8] {
    if isStopped { return [] }
    if patterns.isEmpty { return bytes }
    for byte in bytes {
      held.append(byte)
      var longest = 0
      for index in patterns.indices {
        patterns[index].advance(byte)
        if patterns[index].matched == patterns[index].bytes.count {
          longest = max(longest, patterns[index].matched)
        }
      }
      if longest > 0 {
        isStopped = true
        defer { held = [] }
        return Array(held.dropLast(longest))
      }
    }
    let open = patterns.map(\.matched).max()!
    defer { held.removeFirst(held.count - open) }
    return Array(held.dropLast(open))
  }

  /// What was held back, once it is certain that nothing follows.
  package mutating func finish() -> [UInt8] {
    defer { held = [] }
    return isStopped ? [] : held
  }
}
