/// Unicode scalar values, as ranges and, for ASCII, as bits.
struct ScalarSet: Hashable {
  /// Ascending, apart from each other.
  private(set) var ranges: [ClosedRange<UInt32>]
  private var low: UInt64 = 0
  private var high: UInt64 = 0

  private static let surrogates: ClosedRange<UInt32> = 0xD800...0xDFFF
  private static let largest: UInt32 = 0x10FFFF

  /// - Parameters:
  ///   - ranges: in any order; what is no scalar value is left out
  ///   - negated: everything but those
  init(_ ranges: [ClosedRange<UInt32>], negated: Bool = false) {
    var merged = ScalarSet.merged(ranges)
    if negated {
      var rest: [ClosedRange<UInt32>] = []
      var next: UInt32 = 0
      for range in merged {
        if range.lowerBound > next { rest.append(next...(range.lowerBound - 1)) }
        next = range.upperBound + 1
      }
      if next <= Self.largest { rest.append(next...Self.largest) }
      merged = rest
    }
    self.ranges = merged.flatMap(Self.withoutSurrogates)
    for range in self.ranges where range.lowerBound < 128 {
      for value in range.lowerBound...min(range.upperBound, 127) {
        if value < 64 { low |= 1 << UInt64(value) } else { high |= 1 << UInt64(value - 64) }
      }
    }
  }

  /// Whether a text can have one of them: no token's text has a NUL in it.
  var hasTextCharacter: Bool { ranges.contains { $0.upperBound > 0 } }

  static let any = ScalarSet([0...largest])

  private static func merged(_ ranges: [ClosedRange<UInt32>]) -> [ClosedRange<UInt32>] {
    var result: [ClosedRange<UInt32>] = []
    let sorted = ranges.filter { $0.lowerBound <= largest }.sorted { $0.lowerBound < $1.lowerBound }
    for range in sorted {
      let range = range.lowerBound...min(range.upperBound, largest)
      if let last = result.last, range.lowerBound <= last.upperBound + 1 {
        result[result.count - 1] = last.lowerBound...max(last.upperBound, range.upperBound)
      } else {
        result.append(range)
      }
    }
    return result
  }

  private static func withoutSurrogates(_ range: ClosedRange<UInt32>) -> [ClosedRange<UInt32>] {
    guard range.overlaps(surrogates) else { return [range] }
    var rest: [ClosedRange<UInt32>] = []
    if range.lowerBound < surrogates.lowerBound {
      rest.append(range.lowerBound...(surrogates.lowerBound - 1))
    }
    if range.upperBound > surrogates.upperBound {
      rest.append((surrogates.upperBound + 1)...range.upperBound)
    }
    return rest
  }

  func contains(_ value: UInt32) -> Bool {
    if value < 64 { return low & (1 << UInt64(value)) != 0 }
    if value < 128 { return high & (1 << UInt64(value - 64)) != 0 }
    return overlaps(value...value)
  }

  /// O(log ranges).
  func overlaps(_ other: ClosedRange<UInt32>) -> Bool {
    // The first range that does not end before `other` begins.
    var (from, to) = (0, ranges.count)
    while from < to {
      let middle = (from + to) / 2
      if ranges[middle].upperBound < other.lowerBound { from = middle + 1 } else { to = middle }
    }
    return from < ranges.count && ranges[from].lowerBound <= other.upperBound
  }
}
