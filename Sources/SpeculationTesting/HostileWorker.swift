import SpeculationCore

/// A peer that speaks the protocol and lies: well-formed nonsense, and now and then a breach of a rule.
struct HostileWorker {
  private struct Session {
    var nextID: RemoteNodeID = 1
    var position: Int
    var known: Int
  }
  private var sessions: [SessionID: Session] = [:]
  let vocabularySize: Int
  let maxCandidates: Int

  init(vocabularySize: Int, maxCandidates: Int) {
    self.vocabularySize = vocabularySize
    self.maxCandidates = maxCandidates
  }

  /// What it answers to a message, and whether each answer breaks a rule. Nothing follows a breach.
  mutating func receive(
    _ message: ControllerMessage, random: inout SplitMix64
  ) -> [(message: WorkerMessage, isViolation: Bool)] {
    let id: SessionID
    switch message {
    case .open(let session, let context, _):
      id = session
      sessions[id] = Session(position: context.count - 1, known: context.count - 1)
    case .commit(let session, let position, _, _):
      id = session
      sessions[id]?.position = position
    case .close(let session):
      sessions[session] = nil
      return []
    }
    var answers: [(WorkerMessage, Bool)] = []
    for _ in 0..<Int.random(in: 0...4, using: &random) {
      guard sessions[id] != nil else { break }
      let lie = lie(id, random: &random)
      if random.chance(0.05) {
        answers.append((.expansion(id, spoil(lie, of: sessions[id]!, random: &random)), true))
        sessions[id] = nil
      } else {
        sessions[id]!.known = lie.knownPosition
        sessions[id]!.nextID += RemoteNodeID(lie.distribution.candidates.count)
        answers.append((.expansion(id, lie), false))
      }
    }
    return answers
  }

  /// An expansion that no rule forbids.
  private func lie(_ id: SessionID, random: inout SplitMix64) -> Expansion {
    let session = sessions[id]!
    let known = Int.random(in: session.known...session.position, using: &random)
    let first = TokenID.random(in: 0..<TokenID(vocabularySize), using: &random)
    let count = Int.random(in: 0...min(maxCandidates, vocabularySize), using: &random)
    let candidates = (0..<count).map { index in
      Candidate(
        token: (first + TokenID(index)) % TokenID(vocabularySize), probability: Float(random.uniform()))
    }
    let site: ExpansionSite =
      session.nextID > 1 && random.chance(0.7)
      ? .node(RemoteNodeID.random(in: 1..<session.nextID, using: &random)) : .root(position: known)
    return Expansion(
      site: site, firstChild: session.nextID,
      distribution: Distribution(entropy: Float(random.uniform() * 4), candidates: candidates),
      knownPosition: known)
  }

  /// Breaks one rule.
  private func spoil(_ lie: Expansion, of session: Session, random: inout SplitMix64) -> Expansion {
    var bad = lie
    let good = Candidate(token: 1, probability: 0.5)
    switch Int.random(in: 0..<14, using: &random) {
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
    case 12:
      bad.site = .root(position: lie.knownPosition + 1)
    default: bad.knownPosition = session.known - 1
    }
    return bad
  }
}
