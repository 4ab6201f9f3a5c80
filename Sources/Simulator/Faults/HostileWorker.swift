import SpeculationCore
import SplitMix

/// A peer that speaks the protocol and lies in every field: well-formed nonsense, breaches of every rule, and
/// bytes that are no frame at all.
struct HostileWorker {
  private struct Session {
    var nextID: RemoteNodeID = 1
    var position: Int
    var known: Int
  }

  /// What it sends next.
  enum Lie {
    case items([WorkerFrameItem])
    /// Not framed, so that everything after it is read askew.
    case bytes([UInt8])
  }

  private var sessions: [SessionID: Session] = [:]
  let vocabularySize: Int
  let maxCandidates: Int

  init(vocabularySize: Int, maxCandidates: Int) {
    self.vocabularySize = vocabularySize
    self.maxCandidates = maxCandidates
  }

  /// A new connection.
  mutating func forget() { sessions = [:] }

  /// What it answers to a message.
  mutating func receive(_ message: ControllerMessage, random: inout SplitMix64) -> [Lie] {
    let id: SessionID
    switch message {
    case .open(let session, let opening):
      id = session
      let root = opening.context.count - 1
      sessions[id] = Session(position: root, known: root)
    case .commit(let session, let commit):
      id = session
      // The commit itself may have been damaged on its way.
      if let known = sessions[id]?.known {
        sessions[id]!.position = min(max(commit.position, known), 1 << 40)
      }
    case .close(let session):
      sessions[session] = nil
      // Goes on talking about what is over.
      return random.chance(0.2) ? [.items([.message(.declined(session, reason: "never mind"))])] : []
    }
    guard sessions[id] != nil else { return [] }
    var items: [WorkerFrameItem] = []
    for _ in 0..<Int.random(in: 0...4, using: &random) {
      switch Int.random(in: 0..<100, using: &random) {
      case 0..<4: items.append(.message(.expansion(id, spoil(lie(id, random: &random), id, random: &random))))
      case 4..<6:
        items.append(.message(.declined(id, reason: "I would rather not")))
        sessions[id] = Session(position: sessions[id]!.position, known: sessions[id]!.position)
      case 6:
        let other = SessionID([0, id.rawValue &+ 1, .max, random.next()].randomElement(using: &random)!)
        items.append(.message(.expansion(other, lie(id, random: &random))))
      case 7: items.append(.pong(random.next()))
      case 8:
        let bytes = (0..<Int.random(in: 1...30, using: &random)).map { _ in
          UInt8.random(in: 0...255, using: &random)
        }
        return [.items(items), .bytes(bytes)]
      default:
        let lie = lie(id, random: &random)
        sessions[id]!.known = lie.knownPosition
        sessions[id]!.nextID += RemoteNodeID(lie.distribution.candidates.count)
        items.append(.message(.expansion(id, lie)))
      }
    }
    return items.isEmpty ? [] : [.items(items)]
  }

  /// An expansion that no rule forbids.
  private func lie(_ id: SessionID, random: inout SplitMix64) -> Expansion {
    let session = sessions[id]!
    let known = Int.random(in: session.known...session.position, using: &random)
    let first = TokenID.random(in: 0..<TokenID(vocabularySize), using: &random)
    let count = Int.random(in: 0...min(maxCandidates, vocabularySize), using: &random)
    var rest: Float = 1
    let candidates = (0..<count).map { index in
      let probability = rest * Float(random.uniform())
      rest -= probability
      return Candidate(token: (first + TokenID(index)) % TokenID(vocabularySize), probability: probability)
    }
    let site: ExpansionSite =
      session.nextID > 1 && random.chance(0.7)
      ? .node(RemoteNodeID.random(in: 1..<session.nextID, using: &random)) : .root(position: known)
    return Expansion(
      site: site, firstChild: session.nextID,
      distribution: Distribution(entropy: Float(random.uniform() * 4), candidates: candidates),
      knownPosition: known, forgotten: random.chance(0.2) ? giveUp(session, random: &random) : [])
  }

  /// Any nodes, those in the middle of the tree and those that went long ago.
  private func giveUp(_ session: Session, random: inout SplitMix64) -> [RemoteNodeID] {
    guard session.nextID > 1 else { return [] }
    let count = Int.random(in: 1...8, using: &random)
    return Set((0..<count).map { _ in RemoteNodeID.random(in: 1..<session.nextID, using: &random) }).sorted()
  }

  /// Breaks one rule.
  private func spoil(_ lie: Expansion, _ id: SessionID, random: inout SplitMix64) -> Expansion {
    var bad = lie
    let good = Candidate(token: 1, probability: 0.5)
    switch Int.random(in: 0..<22, using: &random) {
    case 0: bad.distribution.entropy = .nan
    case 1: bad.distribution.entropy = .infinity
    case 2: bad.distribution.entropy = -1
    case 3: bad.distribution.candidates = [Candidate(token: -1, probability: 0.5)]
    case 4: bad.distribution.candidates = [Candidate(token: TokenID(vocabularySize), probability: 0.5)]
    case 5: bad.distribution.candidates = [Candidate(token: 1, probability: .nan)]
    case 6: bad.distribution.candidates = [Candidate(token: 1, probability: 1.5)]
    case 7: bad.distribution.candidates = [good, good]
    case 8: bad.distribution.candidates = Array(repeating: good, count: maxCandidates + 1)
    case 9: bad.firstChild += 1
    case 10: bad.site = .node(bad.firstChild)
    case 11: bad.site = .node(0)
    case 12: bad.site = .root(position: lie.knownPosition + 1)
    case 13: bad.distribution.candidates = [good, Candidate(token: 2, probability: 0.8)]
    case 14: bad.knownPosition = sessions[id]!.position + 1
    case 15: bad.firstChild = 0
    case 16: bad.site = .root(position: -1)
    case 17: bad.forgotten = [0]
    case 18: bad.forgotten = [sessions[id]!.nextID]
    case 19: bad.forgotten = [1, 1]
    case 20: bad.forgotten = [.max]
    default: bad.knownPosition = sessions[id]!.known - 1
    }
    return bad
  }
}
