import SpeculationCore

/// What a worker sends after its hello.
package enum OutgoingWorkerItem: Hashable, Sendable {
  /// Alone it makes an empty frame.
  case signOfLife
  case pong(UInt64)
  case message(WorkerMessage)
  case goodbye(String)
  /// The worker is about to leave.
  case draining
}

/// What a controller reads after the hello, in order.
package enum IncomingWorkerItem: Hashable, Sendable {
  case pong(UInt64)
  case message(WorkerMessage)
  case goodbye(String)
  case draining
}

/// Worker messages to frames and back.
package struct WorkerCodec: Sendable {
  package var limits: ExchangeLimits
  package var vocabularySize: Int

  package init(limits: ExchangeLimits, vocabularySize: Int) {
    self.limits = limits
    self.vocabularySize = vocabularySize
  }

  // MARK: Sending

  /// What would make the peer refuse this message; nil when it is fit to send.
  package func problem(with message: WorkerMessage) -> FieldViolation? {
    do throws(FieldViolation) {
      switch message {
      case .declined(let session, _):
        _ = try FieldChecks.session(session.rawValue, "session")
      case .expansion(let session, let expansion):
        _ = try FieldChecks.session(session.rawValue, "session")
        try FieldChecks.require(
          (0..<limits.maximumContextLength).contains(expansion.knownPosition), "knownPosition",
          "is \(expansion.knownPosition): positions are below \(limits.maximumContextLength)")
        switch expansion.site {
        case .root(let position):
          try FieldChecks.require(
            (0..<limits.maximumContextLength).contains(position), "root position",
            "is \(position): positions are below \(limits.maximumContextLength)")
        case .node(let node):
          try FieldChecks.require(
            (1...limits.maximumNodeID).contains(node), "node",
            "is \(node): between 1 and \(limits.maximumNodeID) is allowed")
        }
        let candidates = expansion.distribution.candidates
        try check(firstChild: expansion.firstChild, count: candidates.count, "expansion")
        _ = try forgotten(Self.distances(expansion.forgotten), "forgotten")
        var seen = DistinctTokens()
        for candidate in candidates {
          try FieldChecks.require(
            candidate.token >= 0 && Int(candidate.token) < vocabularySize, "candidate token",
            "is \(candidate.token): the vocabulary has \(vocabularySize) tokens")
          try FieldChecks.require(
            seen.insert(UInt32(bitPattern: candidate.token)), "candidate token",
            "\(candidate.token) is there twice")
        }
        try check(
          probabilities: candidates.map {
            Quantization.probability(ofSurprisal: Quantization.surprisal(ofProbability: $0.probability))
          }, "surprisals")
      }
      return nil
    } catch {
      return error
    }
  }

  /// An upper bound, in bytes, for what a message adds to a frame.
  package static func cost(of item: OutgoingWorkerItem) -> Int {
    switch item {
    case .signOfLife, .pong, .draining: 16
    case .goodbye(let reason): 16 + reason.utf8.count
    case .message(.declined(_, let reason)): 32 + reason.utf8.count
    case .message(.expansion(_, let expansion)):
      64 + 8 * expansion.distribution.candidates.count + 8 * expansion.forgotten.count
    }
  }

  /// The frames that carry `items`, in order.
  package func frames(_ items: [OutgoingWorkerItem]) -> [Wanspec_V1_WorkerFrame] {
    var packer = FramePacker<Wanspec_V1_WorkerFrame>(maximumItems: limits.maximumMessagesPerFrame)
    var nextChild: RemoteNodeID = 0
    for item in items {
      switch item {
      case .signOfLife: packer.add(rank: 0) { _ in }
      case .draining: packer.add(rank: 0) { $0.draining = true }
      case .pong(let sequence):
        packer.add(rank: 1, isSingular: true) { $0.pong = .with { $0.sequence = sequence } }
      case .message(.expansion(let session, let expansion)):
        packer.add(rank: 2) { append(expansion, of: session, to: &$0, nextChild: &nextChild) }
      case .message(.declined(let session, let reason)):
        packer.add(rank: 3) {
          $0.declined.append(
            .with {
              $0.session = session.rawValue
              $0.reason = FieldChecks.presentable(reason, atMost: limits.maximumReasonBytes)
            })
        }
      case .goodbye(let reason):
        packer.add(rank: 4, isSingular: true) {
          $0.goodbye = .with {
            $0.reason = FieldChecks.presentable(reason, atMost: limits.maximumReasonBytes)
          }
        }
      }
    }
    return packer.frames
  }

  private func append(
    _ expansion: Expansion, of session: SessionID, to frame: inout Wanspec_V1_WorkerFrame,
    nextChild: inout RemoteNodeID
  ) {
    let position = UInt32(clamping: expansion.knownPosition)
    var wire = Wanspec_V1_Expansion()
    switch expansion.site {
    case .root(let position): wire.rootPosition = UInt32(clamping: position)
    case .node(let node): wire.node = node
    }
    wire.entropy = Quantization.entropy(
      nats: expansion.distribution.entropy, vocabularySize: vocabularySize)
    wire.tokens = expansion.distribution.candidates.map { UInt32(bitPattern: $0.token) }
    wire.surprisals = expansion.distribution.candidates.map {
      Quantization.surprisal(ofProbability: $0.probability)
    }
    wire.forgotten = Self.distances(expansion.forgotten)
    let last = frame.expansions.indices.last
    if let last, frame.expansions[last].session == session.rawValue,
      frame.expansions[last].knownPosition == position
    {
      wire.firstChild = expansion.firstChild == nextChild ? 0 : expansion.firstChild
      frame.expansions[last].expansions.append(wire)
    } else {
      wire.firstChild = expansion.firstChild
      frame.expansions.append(
        .with {
          $0.session = session.rawValue
          $0.knownPosition = position
          $0.expansions = [wire]
        })
    }
    nextChild = expansion.firstChild + RemoteNodeID(expansion.distribution.candidates.count)
  }

  // MARK: Receiving

  /// Everything in a frame after the hello, in order.
  ///
  /// - Throws: the first breach of a limit; nothing of the frame may be used then
  package func read(_ frame: Wanspec_V1_WorkerFrame) throws(FieldViolation) -> [IncomingWorkerItem] {
    try FieldChecks.require(!frame.hasHello, "hello", "came twice: it is only allowed in the first frame")
    let count = frame.expansions.reduce(frame.declined.count) { $0 + $1.expansions.count }
    try FieldChecks.count(count, atMost: limits.maximumMessagesPerFrame, "frame")
    try FieldChecks.count(frame.expansions.count, atMost: limits.maximumMessagesPerFrame, "expansions")
    var items: [IncomingWorkerItem] = []
    items.reserveCapacity(count + 1)
    if frame.hasPong { items.append(.pong(frame.pong.sequence)) }
    for (index, group) in frame.expansions.enumerated() {
      try read(group, "expansions[\(index)]", into: &items)
    }
    for (index, declined) in frame.declined.enumerated() {
      let session = try FieldChecks.session(declined.session, "declined[\(index)].session")
      let reason = try FieldChecks.text(
        declined.reason, atMost: limits.maximumReasonBytes, "declined[\(index)].reason")
      items.append(.message(.declined(session, reason: reason)))
    }
    if frame.draining { items.append(.draining) }
    if frame.hasGoodbye {
      items.append(
        .goodbye(
          try FieldChecks.text(frame.goodbye.reason, atMost: limits.maximumReasonBytes, "goodbye.reason")))
    }
    return items
  }

  private func read(
    _ group: Wanspec_V1_ExpansionGroup, _ path: String, into items: inout [IncomingWorkerItem]
  ) throws(FieldViolation) {
    let session = try FieldChecks.session(group.session, "\(path).session")
    let position = try FieldChecks.position(group.knownPosition, limits, "\(path).known_position")
    var next: RemoteNodeID?
    for (index, wire) in group.expansions.enumerated() {
      var field: String { "\(path).expansions[\(index)]" }
      let firstChild: RemoteNodeID
      if wire.firstChild == 0 {
        guard let next else {
          throw FieldViolation(
            field: "\(field).first_child", problem: "is 0 in the first expansion of a group")
        }
        firstChild = next
      } else {
        firstChild = wire.firstChild
      }
      let candidates = try readCandidates(wire, field)
      try check(firstChild: firstChild, count: candidates.count, field)
      next = firstChild + RemoteNodeID(candidates.count)
      let limit = Quantization.maximumEntropy(vocabularySize: vocabularySize)
      try FieldChecks.require(
        wire.entropy <= limit, "\(field).entropy",
        "is \(Quantization.nats(ofEntropy: wire.entropy)) nats: at most ln(\(vocabularySize)) is possible")
      items.append(
        .message(
          .expansion(
            session,
            Expansion(
              site: try readSite(wire, field), firstChild: firstChild,
              distribution: Distribution(
                entropy: Quantization.nats(ofEntropy: wire.entropy), candidates: candidates),
              knownPosition: position, forgotten: try forgotten(wire.forgotten, "\(field).forgotten")))))
    }
  }

  /// Ascending ids as the distances between them, the first to 0: mostly a byte each. 0 where they do not ascend.
  private static func distances(_ ids: [RemoteNodeID]) -> [UInt64] {
    var last: RemoteNodeID = 0
    return ids.map { id in
      defer { last = id }
      return id > last ? id - last : 0
    }
  }

  private func forgotten(
    _ distances: [UInt64], _ field: @autoclosure () -> String
  ) throws(FieldViolation) -> [RemoteNodeID] {
    try FieldChecks.count(distances.count, atMost: limits.maximumNodes, field())
    var last: RemoteNodeID = 0
    var ids: [RemoteNodeID] = []
    ids.reserveCapacity(distances.count)
    for (index, distance) in distances.enumerated() {
      try FieldChecks.require(
        distance >= 1 && distance <= limits.maximumNodeID - last, "\(field())[\(index)]",
        "is \(distance) after node \(last): ids ascend up to \(limits.maximumNodeID)")
      last += distance
      ids.append(last)
    }
    return ids
  }

  private func readSite(
    _ wire: Wanspec_V1_Expansion, _ field: @autoclosure () -> String
  ) throws(FieldViolation) -> ExpansionSite {
    switch wire.site {
    case .rootPosition(let position):
      return .root(position: try FieldChecks.position(position, limits, "\(field()).root_position"))
    case .node(let node):
      try FieldChecks.require(
        node >= 1 && node <= limits.maximumNodeID, "\(field()).node",
        "is \(node): between 1 and \(limits.maximumNodeID) is allowed")
      return .node(node)
    case nil:
      throw FieldViolation(field: "\(field()).site", problem: "is missing")
    }
  }

  private func readCandidates(
    _ wire: Wanspec_V1_Expansion, _ field: @autoclosure () -> String
  ) throws(FieldViolation) -> [Candidate] {
    try FieldChecks.count(wire.tokens.count, atMost: limits.maximumCandidates, "\(field()).tokens")
    try FieldChecks.require(
      wire.surprisals.count == wire.tokens.count, "\(field()).surprisals",
      "has \(wire.surprisals.count) entries for \(wire.tokens.count) tokens")
    let tokens = try FieldChecks.tokens(
      wire.tokens, vocabularySize: vocabularySize, "\(field()).tokens")
    var seen = DistinctTokens()
    var candidates: [Candidate] = []
    candidates.reserveCapacity(tokens.count)
    for (index, token) in tokens.enumerated() {
      try FieldChecks.require(
        seen.insert(wire.tokens[index]), "\(field()).tokens[\(index)]", "is \(token), which is there twice")
      let surprisal = wire.surprisals[index]
      try FieldChecks.require(
        surprisal <= Quantization.maximumSurprisal, "\(field()).surprisals[\(index)]",
        "is \(surprisal): at most \(Quantization.maximumSurprisal) is allowed")
      candidates.append(
        Candidate(token: token, probability: Quantization.probability(ofSurprisal: surprisal)))
    }
    try check(probabilities: candidates.map(\.probability), "\(field()).surprisals")
    return candidates
  }

  /// Rounding on the wire is within a thousandth for each.
  private func check(probabilities: [Float], _ field: @autoclosure () -> String) throws(FieldViolation) {
    let sum = probabilities.reduce(0, +)
    try FieldChecks.require(
      sum <= 1.01, field(), "are probabilities that add up to \(sum): at most 1.01 is allowed")
  }

  private func check(
    firstChild: RemoteNodeID, count: Int, _ field: @autoclosure () -> String
  ) throws(FieldViolation) {
    try FieldChecks.count(count, atMost: limits.maximumCandidates, "\(field()).tokens")
    try FieldChecks.require(
      firstChild >= 1 && firstChild <= limits.maximumNodeID - RemoteNodeID(count), "\(field()).first_child",
      "is \(firstChild): between 1 and \(limits.maximumNodeID) less the candidates is allowed")
  }
}

/// A set of few small integers: a scan beats hashing below some tens of entries, and does not allocate more
/// than once.
private struct DistinctTokens {
  private var tokens: [UInt32] = []

  /// - Returns: false if the token was there
  mutating func insert(_ token: UInt32) -> Bool {
    if tokens.contains(token) { return false }
    tokens.append(token)
    return true
  }
}
