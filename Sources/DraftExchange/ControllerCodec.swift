import SpeculationCore

/// What a controller sends after its welcome, and what a worker reads, in order.
package enum ControllerItem: Hashable, Sendable {
  case ping(UInt64)
  case message(ControllerMessage)
}

/// Controller messages to frames and back.
package struct ControllerCodec: Sendable {
  package var limits: ExchangeLimits
  package var vocabularySize: Int

  package init(limits: ExchangeLimits, vocabularySize: Int) {
    self.limits = limits
    self.vocabularySize = vocabularySize
  }

  // MARK: Sending

  /// What would make the peer refuse this message; nil when it is fit to send.
  package func problem(with message: ControllerMessage) -> FieldViolation? {
    do throws(FieldViolation) {
      switch message {
      case .open(let session, let opening):
        _ = try FieldChecks.session(session.rawValue, "session")
        if let nodes = opening.maxNodes { try check(nodes: nodes, "maxNodes") }
        try check(context: opening.context.count, "context")
        try checkOwn(opening.context, "context")
        if let problem = opening.sampling.problem {
          throw FieldViolation(field: "sampling", problem: problem)
        }
        if let adjustments = opening.sampling.adjustments { try checkOwn(adjustments) }
      case .commit(let session, let commit):
        let (position, tokens) = (commit.position, commit.tokens)
        _ = try FieldChecks.session(session.rawValue, "session")
        try FieldChecks.require(
          position >= 0 && position < limits.maximumContextLength, "position",
          "is \(position): positions are below \(limits.maximumContextLength)")
        try check(commit: tokens.count, at: position, "tokens")
        try checkOwn(tokens, "tokens")
      case .close(let session):
        _ = try FieldChecks.session(session.rawValue, "session")
      }
      return nil
    } catch {
      return error
    }
  }

  private func checkOwn(_ tokens: [TokenID], _ field: String) throws(FieldViolation) {
    for token in tokens where token < 0 || Int(token) >= vocabularySize {
      throw FieldViolation(
        field: field, problem: "has token \(token): the vocabulary has \(vocabularySize) tokens")
    }
  }

  /// An upper bound, in bytes, for what a message adds to a frame.
  package static func cost(of item: ControllerItem) -> Int {
    switch item {
    case .ping: 16
    case .message(.open(_, let opening)):
      // A biased token has up to 4 bytes, its bias 4.
      64 + 4 * opening.context.count + (opening.sampling.adjustments.map { 48 + 8 * $0.biases.count } ?? 0)
    case .message(.commit(_, let commit)): 32 + 4 * commit.tokens.count
    case .message(.close): 16
    }
  }

  /// The frames that carry `items`, in order.
  package func frames(_ items: [ControllerItem]) -> [Wanspec_V1_ControllerFrame] {
    var packer = FramePacker<Wanspec_V1_ControllerFrame>(maximumItems: limits.maximumMessagesPerFrame)
    for item in items {
      switch item {
      case .ping(let sequence):
        packer.add(rank: 1, isSingular: true) { $0.ping = .with { $0.sequence = sequence } }
      case .message(.open(let session, let opening)):
        packer.add(rank: 2) {
          $0.opens.append(
            .with {
              $0.session = session.rawValue
              $0.context = opening.context.map { UInt32(bitPattern: $0) }
              if opening.sampling != .greedy { $0.sampling = Self.wire(opening.sampling) }
              $0.maximumNodes = UInt32(clamping: opening.maxNodes ?? 0)
            })
        }
      case .message(.commit(let session, let commit)):
        packer.add(rank: 3) {
          $0.commits.append(
            .with {
              $0.session = session.rawValue
              $0.position = UInt32(clamping: commit.position)
              $0.tokens = commit.tokens.map { UInt32(bitPattern: $0) }
              $0.pause = commit.pause
            })
        }
      case .message(.close(let session)):
        packer.add(rank: 4) { $0.closes.append(session.rawValue) }
      }
    }
    return packer.frames
  }

  // MARK: Receiving

  /// Everything in a frame after the welcome, in order.
  ///
  /// - Throws: the first breach of a limit; nothing of the frame may be used then
  package func read(_ frame: Wanspec_V1_ControllerFrame) throws(FieldViolation) -> [ControllerItem] {
    try FieldChecks.require(!frame.hasWelcome, "welcome", "came twice: it is only allowed in the first frame")
    let count = frame.opens.count + frame.commits.count + frame.closes.count
    try FieldChecks.count(count, atMost: limits.maximumMessagesPerFrame, "frame")
    var items: [ControllerItem] = []
    items.reserveCapacity(count + 1)
    if frame.hasPing { items.append(.ping(frame.ping.sequence)) }
    for (index, open) in frame.opens.enumerated() {
      items.append(.message(try read(open, "opens[\(index)]")))
    }
    for (index, commit) in frame.commits.enumerated() {
      items.append(.message(try read(commit, "commits[\(index)]")))
    }
    for (index, session) in frame.closes.enumerated() {
      items.append(.message(.close(try FieldChecks.session(session, "closes[\(index)]"))))
    }
    return items
  }

  private func read(
    _ open: Wanspec_V1_Open, _ field: @autoclosure () -> String
  ) throws(FieldViolation) -> ControllerMessage {
    let session = try FieldChecks.session(open.session, "\(field()).session")
    try check(context: open.context.count, "\(field()).context")
    let context = try FieldChecks.tokens(
      open.context, vocabularySize: vocabularySize, "\(field()).context")
    let sampling =
      open.hasSampling ? try read(open.sampling, "\(field()).sampling") : SamplingSettings.greedy
    let maxNodes = open.maximumNodes == 0 ? nil : Int(open.maximumNodes)
    if let maxNodes { try check(nodes: maxNodes, "\(field()).maximum_nodes") }
    return .open(session, .init(context: context, sampling: sampling, maxNodes: maxNodes))
  }

  private func read(
    _ commit: Wanspec_V1_Commit, _ field: @autoclosure () -> String
  ) throws(FieldViolation) -> ControllerMessage {
    let session = try FieldChecks.session(commit.session, "\(field()).session")
    let position = try FieldChecks.position(commit.position, limits, "\(field()).position")
    try check(commit: commit.tokens.count, at: position, "\(field()).tokens")
    let tokens = try FieldChecks.tokens(
      commit.tokens, vocabularySize: vocabularySize, "\(field()).tokens")
    return .commit(session, .init(position: position, tokens: tokens, pause: commit.pause))
  }

  private func check(context count: Int, _ field: @autoclosure () -> String) throws(FieldViolation) {
    try FieldChecks.require(count >= 1, field(), "is empty: the last token is the root")
    try FieldChecks.count(count, atMost: limits.maximumContextLength, field())
  }

  private func check(nodes: Int, _ field: @autoclosure () -> String) throws(FieldViolation) {
    try FieldChecks.require(
      (DraftLimits.treeSizes.lowerBound...limits.maximumNodes).contains(nodes), field(),
      "is \(nodes): between \(DraftLimits.treeSizes.lowerBound) and \(limits.maximumNodes) is allowed")
  }

  /// A commit follows an opening context of at least one token, so its first token is at position 1 or later.
  private func check(
    commit count: Int, at position: Int, _ field: @autoclosure () -> String
  ) throws(FieldViolation) {
    try FieldChecks.require(count >= 1, field(), "is empty: a commit has a token")
    try FieldChecks.count(count, atMost: limits.maximumCommitTokens, field())
    try FieldChecks.require(
      count <= position, field(),
      "has \(count) entries up to position \(position): a context comes before them")
  }
}
