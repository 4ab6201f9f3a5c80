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
  private var places: [RemoteNodeID: Place] = [:]
  private var behind: [(id: RemoteNodeID, position: Int)] = []
  /// How many ids may be held. An honest worker stays far below: its own tree is bounded.
  private let capacity: Int

  init(position: Int, capacity: Int) {
    knownPosition = position
    self.capacity = capacity
  }

  subscript(id: RemoteNodeID) -> Place? { places[id] }

  /// Checks an expansion's bookkeeping and counts its ids as announced.
  mutating func announce(_ expansion: Expansion, rootPosition: Int) throws(ProtocolViolation) {
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
