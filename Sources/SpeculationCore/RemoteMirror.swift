import Collections

/// The controller's record of one worker's node ids in one session: which node of the tree each one means.
///
/// Ids come in ascending order, so they are kept in that order and found by bisection. An id whose node has left
/// the tree leads nowhere any more; the tree knows that, and what is left of such ids is cleared away when it is
/// more than half of all.
///
/// Bounded: at most `capacity` ids that lead somewhere, and in memory at most as many again. Ids behind the root
/// are forgotten once the worker has said that its own root has moved past them. How many ids a worker announces
/// without a place for them does not matter.
struct RemoteMirror: Sendable {
  typealias Tree = TokenTree<SessionMachine.Note>

  enum Place: Sendable {
    case live(SessionMachine.NodeID)
    /// On the committed path, behind the root: children of the committed token may still be of use.
    case behind(position: Int)
  }

  private struct Entry: Sendable {
    let id: RemoteNodeID
    /// nil: leads nowhere.
    var place: Place?

    func place(in tree: Tree) -> Place? {
      if case .live(let node) = place, !tree.contains(node) { return nil }
      return place
    }
  }

  /// Ids from 1 up to but not including this one have been announced.
  private(set) var nextID: RemoteNodeID = 1
  /// The worker's last acknowledged root position.
  private(set) var knownPosition: Int
  /// How long news takes: from sending a commit to the first expansion that knows of it, drafting included.
  var newsDelay: Duration? { news.smoothed }
  private var news = RoundTripEstimator()
  /// When the worker last said something.
  private(set) var lastHeard: Timestamp
  /// Commits under way: positions, and when they were sent.
  private var underWay: Deque<(position: Int, sent: Timestamp)> = []
  /// By ascending id.
  private var entries: [Entry] = []
  /// How many ids lead somewhere.
  private(set) var count = 0
  /// Ids of nodes behind the root.
  private var behind: [(id: RemoteNodeID, position: Int)] = []
  /// How many ids may be held. An honest worker stays far below: its own tree is bounded.
  private let capacity: Int

  /// - Parameter newsDelay: what is known of it beforehand: a measured round trip
  init(position: Int, capacity: Int, now: Timestamp, newsDelay: Duration?) {
    knownPosition = position
    self.capacity = capacity
    if let newsDelay { news.observe(newsDelay) }
    lastHeard = now
    underWay = [(position, now)]
  }

  /// A commit was sent.
  mutating func sent(position: Int, at now: Timestamp) {
    // A worker that says nothing must not fill the memory; the oldest commits tell least.
    if underWay.count == Self.maxUnderWay { underWay.removeFirst() }
    underWay.append((position, now))
  }

  private static let maxUnderWay = 64

  /// An expansion that knows of the text up to `position` has come.
  private mutating func heard(of position: Int, at now: Timestamp) {
    lastHeard = now
    var sent: Timestamp?
    while let first = underWay.first, first.position <= position {
      sent = first.sent
      underWay.removeFirst()
    }
    if let sent { news.observe(sent.duration(to: now)) }
  }

  /// What an id means; nil when it leads nowhere. O(log n).
  func place(of id: RemoteNodeID, in tree: Tree) -> Place? {
    index(of: id).flatMap { entries[$0].place(in: tree) }
  }

  private func index(of id: RemoteNodeID) -> Int? {
    guard let first = entries.first?.id, let last = entries.last?.id, id >= first, id <= last else {
      return nil
    }
    // Ids may be missing, but none is there twice.
    let most = RemoteNodeID(entries.count - 1)
    var high = Int(min(id - first, most))
    var low = Int(most - min(last - id, most))
    while low < high {
      let middle = (low + high) / 2
      if entries[middle].id < id { low = middle + 1 } else { high = middle }
    }
    return entries[low].id == id ? low : nil
  }

  /// Checks an expansion's bookkeeping and counts its ids as announced.
  mutating func announce(
    _ expansion: Expansion, rootPosition: Int, at now: Timestamp
  ) throws(ProtocolViolation) {
    guard expansion.firstChild == nextID else {
      throw ProtocolViolation("children start at id \(expansion.firstChild), not \(nextID)")
    }
    if case .node(let id) = expansion.site, id == 0 || id >= nextID {
      throw ProtocolViolation("expansion of node \(id), which was never announced")
    }
    guard (knownPosition...rootPosition).contains(expansion.knownPosition) else {
      throw ProtocolViolation(
        "acknowledges position \(expansion.knownPosition), outside \(knownPosition)...\(rootPosition)")
    }
    if case .root(let position) = expansion.site, position != expansion.knownPosition {
      throw ProtocolViolation("expands the root at \(position) while knowing \(expansion.knownPosition)")
    }
    var last: RemoteNodeID = 0
    for id in expansion.forgotten {
      guard id > last, id < nextID else {
        throw ProtocolViolation("gives up node \(id) after \(last), of \(nextID - 1) announced")
      }
      last = id
    }
    heard(of: expansion.knownPosition, at: now)
    nextID += RemoteNodeID(expansion.distribution.candidates.count)
    if expansion.knownPosition > knownPosition {
      knownPosition = expansion.knownPosition
      // The worker expands nothing above its own root any more.
      let known = knownPosition
      for entry in behind where entry.position < known {
        if let index = index(of: entry.id) { drop(index) }
      }
      behind.removeAll { $0.position < known }
    }
  }

  /// Gives an announced id a place. Ids come in ascending order.
  mutating func place(_ id: RemoteNodeID, at place: Place, in tree: Tree) throws(ProtocolViolation) {
    guard count < capacity else {
      throw ProtocolViolation("holds more than \(capacity) nodes; it does not follow commits")
    }
    if entries.count > 2 * count + 32 { entries.removeAll { $0.place(in: tree) == nil } }
    entries.append(Entry(id: id, place: place))
    count += 1
    if case .behind(let position) = place { behind.append((id, position)) }
  }

  /// The worker has given up a node.
  ///
  /// - Returns: where the id led until now; nil when it led nowhere
  mutating func forget(_ id: RemoteNodeID, in tree: Tree) -> Place? {
    guard let index = index(of: id), let place = entries[index].place(in: tree) else { return nil }
    drop(index)
    if case .behind = place { behind.removeAll { $0.id == id } }
    return place
  }

  /// A node with an id of this worker leaves the tree.
  mutating func forgetNode() { count -= 1 }

  /// The node was committed and is now above the root.
  mutating func fallBehind(_ id: RemoteNodeID, position: Int) {
    guard let index = index(of: id) else { return }
    if position < knownPosition {
      drop(index)
    } else {
      entries[index].place = .behind(position: position)
      behind.append((id, position))
    }
  }

  private mutating func drop(_ index: Int) {
    entries[index].place = nil
    count -= 1
  }

  /// Every id that leads somewhere, ascending.
  func all(in tree: Tree) -> [(id: RemoteNodeID, place: Place)] {
    entries.compactMap { entry in entry.place(in: tree).map { (entry.id, $0) } }
  }
}
