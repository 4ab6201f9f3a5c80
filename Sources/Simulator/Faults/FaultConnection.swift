import Collections
import SpeculationCore

extension FaultRun {
  /// What the sender of an expansion meant by the ids in it, by the rules of the protocol alone.
  struct Note {
    var announced: AnnouncedNodes
  }

  /// The nodes that a worker announced for one session on one connection. Made from what it sent, not from what
  /// its machine says.
  final class AnnouncedNodes {
    struct Node {
      /// Of the text and all guesses down to this node.
      var hash: SequenceHash
      /// Tokens of the same.
      var length: Int
      /// 0: the parent was the root.
      var parent: RemoteNodeID
      var token: TokenID
    }
    private var nodes: [Node] = []
    /// Hashes of what it has expanded.
    var expanded: Set<SequenceHash> = []
    /// What it has given up, by its own word.
    var forgotten: Set<RemoteNodeID> = []

    var nextID: RemoteNodeID { RemoteNodeID(nodes.count) + 1 }
    subscript(id: RemoteNodeID) -> Node { nodes[Int(id) - 1] }
    func append(_ node: Node) { nodes.append(node) }
  }

  struct Chunk {
    var arrival: Timestamp
    var bytes: [UInt8]
    /// The connection is over after these bytes.
    var isLast: Bool
  }

  /// One direction of a connection: bytes in order, late, and perhaps not what was sent.
  struct ByteStream {
    var chunks: Deque<Chunk> = []
    var lastArrival = Timestamp.zero
    /// Arrived, but not a whole frame yet.
    var received: [UInt8] = []
    /// One for each item sent and not yet read.
    var notes: Deque<Note?> = []
    /// What arrives is not what was sent, from some byte on.
    var isTampered = false
    /// Frames to come are to be spoilt so.
    var spoilers: [FaultPlan.Fault] = []
    /// Bytes after which the connection breaks.
    var breaksAfter: (bytes: Int, isSilent: Bool)?
    /// Nothing sent from now on arrives.
    var isBroken = false
  }

  /// One connection from a worker to a controller.
  final class Connection {
    let serial: Int
    let worker: Int
    let controller: Int
    let dialled: Timestamp
    /// The controller's name for the worker; nil before it has accepted.
    var id: WorkerID?
    var isOpenAtController = false
    var isOpenAtWorker = true
    var down = ByteStream()
    var up = ByteStream()
    var heardAtController = Timestamp.zero
    var heardAtWorker = Timestamp.zero
    var nextPing: UInt64 = 1
    var unanswered: Set<UInt64> = []
    /// The last position that the worker was told of each session that is open here.
    var told: [SessionID: Int] = [:]
    /// What was ever opened here: the ids are those of one life of the controller.
    var opened: [SessionID: Session] = [:]
    /// What the worker has said of each, as the rules see it.
    var said: [SessionID: (nextID: RemoteNodeID, known: Int, forgotten: Set<RemoteNodeID>)] = [:]

    /// What the worker calls itself.
    let name: String
    /// Wants no more sessions.
    var isDraining = false
    /// Expansions that the controller has heard.
    var expansions = 0
    /// It announced more than it may.
    var mayBeSentAway = false
    /// When each ping that is unanswered was sent.
    var pingTimes: [UInt64: Timestamp] = [:]

    var isTampered: Bool { down.isTampered || up.isTampered }

    init(serial: Int, worker: Int, controller: Int, name: String, dialled: Timestamp) {
      self.name = name
      self.serial = serial
      self.worker = worker
      self.controller = controller
      self.dialled = dialled
      heardAtWorker = dialled
    }
  }
}
