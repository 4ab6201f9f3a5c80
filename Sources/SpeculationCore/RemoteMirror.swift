import Collections

/// The controller's record of one worker's node ids in one session: which node of the tree each one means.
///
/// Bounded: ids of pruned nodes are forgotten with the node, ids behind the root once the worker has said that
/// its own root has moved past them.
struct RemoteMirror: Sendable {
  enum Place: Sendable {
    case live(ControllerMachine.NodeID)
    /// On the committed path, behind the root: children of the committed token may still be of use.
    case behind(position: Int)
  }

  /// Ids from 1 up to but not including this one have been announced.
  private(set) var nextID: RemoteNodeID = 1
  /// The worker's last acknowledged root position.
  private(set) var knownPosition: Int
  /// How long news takes: from sending a commit to the first expansion that knows of it, drafting included.
  private(set) var newsDelay: Duration?
  /// When the worker last said something.
  private(set) var lastHeard: Timestamp
  /// Commits under way: positions, and when they were sent.
  private var underWay: Deque<(position: Int, sent: Timestamp)> = []
  private var places: [RemoteNodeID: Place] = [:]
  private var behind: [(id: RemoteNodeID, position: Int)] = []
  /// How many ids may be held. An honest worker stays far below: its own tree is bounded.
  private let capacity: Int

  /// - Parameter newsDelay: what is known of it beforehand: a measured round trip
  init(position: Int, capacity: Int, now: Timestamp, newsDelay: Duration?) {
    knownPosition = position
    self.capacity = capacity
    self.newsDelay = newsDelay
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
    guard let sample = sent?.duration(to: now) else { return }
    // RFC 6298's gain: follows a changing path within some ten commits.
    newsDelay = newsDelay.map { ($0 * 7 + sample) / 8 } ?? sample
  }

  subscript(id: RemoteNodeID) -> Place? { places[id] }

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
    heard(of: expansion.knownPosition, at: now)
    nextID += RemoteNodeID(expansion.distribution.candidates.count)
    if expansion.knownPosition > knownPosition {
      knownPosition = expansion.knownPosition
      // The worker expands nothing above its own root any more.
      behind.removeAll { entry in
        guard entry.position < knownPosition else { return false }
        places[entry.id] = nil
        return true
      }
    }
  }

  mutating func place(_ id: RemoteNodeID, at place: Place) throws(ProtocolViolation) {
    guard places.count < capacity else {
      throw ProtocolViolation("holds more than \(capacity) nodes; it does not follow commits")
    }
    places[id] = place
    if case .behind(let position) = place { behind.append((id, position)) }
  }

  /// The node was pruned.
  mutating func forget(_ id: RemoteNodeID) { places[id] = nil }

  /// The node was committed and is now above the root.
  mutating func fallBehind(_ id: RemoteNodeID, position: Int) {
    guard places[id] != nil else { return }
    if position < knownPosition {
      places[id] = nil
    } else {
      places[id] = .behind(position: position)
      behind.append((id, position))
    }
  }

  var count: Int { places.count }

  /// Every id that leads somewhere, in no particular order.
  var all: [(id: RemoteNodeID, place: Place)] { places.map { ($0.key, $0.value) } }
}
