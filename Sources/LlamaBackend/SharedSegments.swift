/// Runs of cached tokens that several sessions have in common, each counted once.
///
/// A segment is the part `range` of a text; the part before it belongs to `parent` and that one's ancestors, so
/// that all segments together are a tree of prefixes (a radix tree without the letters: a session knows its own
/// text). A session, or a segment below, *holds* the segment that its shared part ends with; a segment that
/// nobody holds is gone, and its hold on the parent with it.
struct SharedSegments {
  struct Segment {
    var range: Range<Int>
    /// -1 where the text begins.
    var parent: Int
    var holders: Int
  }

  private var segments: [Segment] = []
  private var free: [Int] = []
  /// Tokens in all segments.
  private(set) var cells = 0

  subscript(id: Int) -> Segment { segments[id] }

  /// Makes a part that one session had for itself a segment, which that session then holds instead of `parent`.
  mutating func add(_ range: Range<Int>, below parent: Int) -> Int {
    cells += range.count
    return insert(Segment(range: range, parent: parent, holders: 1))
  }

  mutating func hold(_ id: Int) { segments[id].holders += 1 }

  /// Gives a hold up. O(segments above).
  mutating func drop(_ id: Int) {
    var id = id
    while id >= 0 {
      segments[id].holders -= 1
      if segments[id].holders > 0 { return }
      cells -= segments[id].range.count
      free.append(id)
      id = segments[id].parent
    }
  }

  /// Gives a segment with one holder back to that session, which holds the parent from now on.
  mutating func dissolve(_ id: Int) -> Segment {
    precondition(segments[id].holders == 1, "a segment of several sessions cannot be one's own")
    cells -= segments[id].range.count
    free.append(id)
    return segments[id]
  }

  /// The segment that ends at `count` tokens among `id` and those above it; one that goes on is split there.
  /// Nobody new holds the result. O(segments above).
  mutating func cut(_ id: Int, at count: Int) -> Int {
    precondition(count > 0 && count <= segments[id].range.upperBound, "no shared token ends at \(count)")
    var id = id
    while true {
      // A parent that nothing else holds any more is one with its child again.
      while segments[id].parent >= 0, segments[segments[id].parent].holders == 1 {
        let above = segments[id].parent
        segments[id].range = segments[above].range.lowerBound..<segments[id].range.upperBound
        segments[id].parent = segments[above].parent
        free.append(above)
      }
      if segments[id].range.lowerBound < count { break }
      id = segments[id].parent
    }
    let whole = segments[id]
    if whole.range.upperBound == count { return id }
    let upper = insert(Segment(range: whole.range.lowerBound..<count, parent: whole.parent, holders: 1))
    segments[id].range = count..<whole.range.upperBound
    segments[id].parent = upper
    return upper
  }

  /// What is wrong with the counts, for checks; nil when they are right.
  ///
  /// - Parameter holds: the segments that sessions hold, one entry for each session that holds one
  func problem(holds: [Int]) -> String? {
    var holders = [Int](repeating: 0, count: segments.count)
    for id in holds { holders[id] += 1 }
    let gone = Set(free)
    let used = segments.indices.filter { !gone.contains($0) }
    for id in used where segments[id].parent >= 0 { holders[segments[id].parent] += 1 }
    for id in segments.indices where gone.contains(id) ? holders[id] > 0 : holders[id] != segments[id].holders
    {
      return "segment \(id) is held \(holders[id]) times: \(segments[id])"
    }
    for id in used {
      let start = segments[id].parent < 0 ? 0 : segments[segments[id].parent].range.upperBound
      if start != segments[id].range.lowerBound || segments[id].range.isEmpty || holders[id] == 0 {
        return "segment \(id) does not go on from its parent, or is empty or unused: \(segments[id])"
      }
    }
    let count = used.reduce(0) { $0 + segments[$1].range.count }
    return count == cells ? nil : "segments of \(count) tokens are counted as \(cells)"
  }

  private mutating func insert(_ segment: Segment) -> Int {
    guard let id = free.popLast() else {
      segments.append(segment)
      return segments.count - 1
    }
    segments[id] = segment
    return id
  }
}

// MARK: A session's shared part

extension SessionCache {
  /// Cells that no other session has.
  var ownCells: Int { trunk.count - sharedCount + nodes.count }

  /// Lets another session have the trunk's first `count` tokens.
  ///
  /// - Returns: the segment that they end with, held for the other session.
  mutating func share(first count: Int, _ segments: inout SharedSegments) -> Int {
    let id: Int
    if count > sharedCount {
      id = segments.add(sharedCount..<count, below: sharedSegment)
      (sharedSegment, sharedCount) = (id, count)
    } else {
      id = segments.cut(sharedSegment, at: count)
    }
    segments.hold(id)
    return id
  }

  /// Gives up what the trunk no longer reaches, and takes back as its own what no other session has any more.
  mutating func settle(_ segments: inout SharedSegments) {
    if trunk.count < sharedCount {
      let left = trunk.isEmpty ? -1 : segments.cut(sharedSegment, at: trunk.count)
      if left >= 0 { segments.hold(left) }
      segments.drop(sharedSegment)
      (sharedSegment, sharedCount) = (left, trunk.count)
    }
    while sharedSegment >= 0, segments[sharedSegment].holders == 1 {
      let own = segments.dissolve(sharedSegment)
      (sharedSegment, sharedCount) = (own.parent, own.range.lowerBound)
    }
  }
}
