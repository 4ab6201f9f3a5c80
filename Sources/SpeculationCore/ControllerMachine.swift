import Collections

/// One session's decisions at the controller: what to verify, what to commit, when to draft at home, what to
/// tell the workers, what to do when they are late, wrong or gone.
///
/// A value without clock, I/O or threads. Every event is a method that changes the state and returns the
/// actions that the driver carries out in order; only a `verify` may be brought forward. No step ever waits for a worker: with nothing to verify the
/// target runs alone, which is plain decoding.
///
/// ```
/// idle --start--> drafting? --> verifying --verified--> drafting? --> verifying ... --> finished
/// ```
/// `drafting` is passed only under the schedule `beforeVerification` (the sequential baseline). Under
/// `overlapped` a home draft pass runs beside `verifying` and is tracked apart.
public struct ControllerMachine: Sendable {
  public struct Configuration: Sendable {
    public var verification: VerificationPolicy
    public var homePolicy: HomeDraftPolicy
    public var homeSchedule: HomeDraftSchedule
    public var homeLimits: DraftLimits
    /// Speed against plain decoding below which nobody drafts for a while; 0: always draft.
    public var minGain: Double
    /// Nodes that the tree may hold for each who drafts; more is dropped. Each drafter's own limit (`maxNodes`)
    /// should be below it: under a dropped expansion nothing can be placed until its root moves.
    public var maxTreeNodes: Int
    /// Candidates that one expansion may bring.
    public var maxCandidates: Int
    public var vocabularySize: Int
    /// Tokens that the session may hold: the target's context.
    public var contextLength: Int
    /// Stop after this many tokens.
    public var maxTokens: Int
    /// Tokens that end the text. They are committed, the last of the session.
    public var endTokens: [TokenID]

    public init(
      verification: VerificationPolicy = VerificationPolicy(), homePolicy: HomeDraftPolicy = .never,
      homeSchedule: HomeDraftSchedule = .overlapped, homeLimits: DraftLimits = DraftLimits(),
      minGain: Double = 0, maxTreeNodes: Int = 2048, maxCandidates: Int = 64, vocabularySize: Int,
      contextLength: Int,
      maxTokens: Int, endTokens: [TokenID]
    ) {
      self.verification = verification
      self.homePolicy = homePolicy
      self.homeSchedule = homeSchedule
      self.homeLimits = homeLimits
      self.minGain = minGain
      self.maxTreeNodes = maxTreeNodes
      self.maxCandidates = maxCandidates
      self.vocabularySize = vocabularySize
      self.contextLength = contextLength
      self.maxTokens = maxTokens
      self.endTokens = endTokens
    }
  }

  public enum FinishReason: Hashable, Sendable {
    /// The target chose a token that ends the text.
    case endOfText
    /// `maxTokens` were committed.
    case length
    /// The target's context is full.
    case contextFull
    case cancelled
    case failed(String)
  }

  /// Who guessed a committed token first.
  public enum Origin: UInt8, Hashable, Sendable {
    case remote, home, target
  }

  public struct CommittedToken: Hashable, Sendable {
    public var token: TokenID
    /// Index in the session's whole token sequence.
    public var position: Int
    public var origin: Origin
    /// The target's margin over its runner-up; see `TargetChoice` of the backend.
    public var margin: Float
  }

  /// Nodes for one target pass, every parent before its children.
  public struct VerificationSet: Hashable, Sendable {
    public var tokens: [TokenID]
    /// Index of each node's parent in `tokens`; -1 for children of the root.
    public var parents: [Int32]
  }

  /// The target's choice after one node, with its margin.
  public struct Verdict: Hashable, Sendable {
    public var token: TokenID
    public var margin: Float
    public init(token: TokenID, margin: Float) {
      self.token = token
      self.margin = margin
    }
  }

  public enum Action: Sendable {
    /// Run the target over the root and these nodes; answer with `verified` or `verificationFailed`.
    case verify(prefix: [TokenID], VerificationSet)
    /// Run the home draft model over these nodes; answer with `homeDrafted` or `homeDraftFailed`.
    case draftAtHome([DraftTask<NodeID>])
    case send(ControllerMessage, to: WorkerID)
    /// Tokens are decided: show them.
    case emit([CommittedToken])
    /// The worker broke the protocol: disconnect it.
    case disconnect(WorkerID, ProtocolViolation)
    /// Nothing follows this. Results of passes still under way are to be thrown away.
    case finish(FinishReason)
  }

  /// What the controller keeps for each node.
  public struct Note: Sendable {
    var origin: Origin
    /// What the draft said, before correction.
    var confidence: Float
    /// The workers' names for the node; seldom more than one.
    var remoteIDs: [(worker: WorkerID, id: RemoteNodeID)] = []
    var isExpandedByWorker = false
    /// Some child was in a verification set.
    var hasVerifiedChild = false
    /// A worker's expansion of this node was of use.
    var helped: Bool { isExpandedByWorker && hasVerifiedChild }
  }
  public typealias NodeID = TokenTree<Note>.NodeID

  private enum State: Sendable {
    case idle
    /// Drafting at home before the next verification.
    case drafting
    /// The target pass under way checks these nodes.
    case verifying([NodeID])
    case finished
  }

  public let session: SessionID
  public let configuration: Configuration
  public let sampling: SamplingSettings
  public private(set) var statistics = SessionStatistics()
  /// Every token: the prompt and what was committed.
  public private(set) var tokens: [TokenID]

  private var state = State.idle
  private var tree: TokenTree<Note>
  private var workers: OrderedDictionary<WorkerID, RemoteMirror> = [:]
  private var isHomeDrafting = false
  private var homeIsUsable: Bool
  private var targetCost: CostCurve
  private var homeCost: CostCurve
  private var match: MatchEstimator
  private var continuation = ContinuationEstimate()
  private var gate: SpeculationGate
  /// Root position at which the gate last opened: what workers send with less knowledge is no answer to it.
  private var gateOpened: Int
  /// Home expansions since the root last moved: the length that `beforeVerification` counts.
  private var draftedThisStep = 0

  /// - Parameters:
  ///   - prompt: at least one token
  ///   - targetCost: measured T(n)
  ///   - homeCost: measured d(b) of the home draft model; nil when there is none
  ///   - match: what earlier sessions learned
  public init(
    session: SessionID, prompt: [TokenID], sampling: SamplingSettings, configuration: Configuration,
    targetCost: CostCurve = CostCurve(), homeCost: CostCurve? = nil,
    match: MatchEstimator = MatchEstimator()
  ) {
    precondition(!prompt.isEmpty, "a session needs at least one token")
    precondition(sampling.problem == nil, sampling.problem!)
    precondition(configuration.homeLimits.problem == nil, configuration.homeLimits.problem!)
    self.session = session
    self.sampling = sampling
    self.configuration = configuration
    self.targetCost = targetCost
    self.homeCost = homeCost ?? CostCurve()
    self.match = match
    homeIsUsable = homeCost != nil
    gate = SpeculationGate(minGain: configuration.minGain)
    gateOpened = prompt.count - 1
    tokens = prompt
    tree = TokenTree(
      root: prompt.last!, position: prompt.count - 1, annotation: Note(origin: .target, confidence: 1))
  }

  public var isFinished: Bool {
    if case .finished = state { return true }
    return false
  }
  public var isVerifying: Bool {
    if case .verifying = state { return true }
    return false
  }
  /// Whether the worker may draft for this session: it has joined, and has neither left nor declined.
  public func hasWorker(_ worker: WorkerID) -> Bool { workers[worker] != nil }
  /// Nodes below the root.
  public var treeCount: Int { tree.count - 1 }
  /// What this session learned, for the next one to start from.
  public var learned: (targetCost: CostCurve, homeCost: CostCurve, match: MatchEstimator) {
    (targetCost, homeCost, match)
  }

  // MARK: Events

  /// Begins the session with its first step.
  public mutating func start() -> [Action] {
    guard case .idle = state else { preconditionFailure("a session starts once") }
    guard tokens.count < configuration.contextLength else { return finish(.contextFull) }
    guard configuration.maxTokens > 0 else { return finish(.length) }
    return beginStep()
  }

  /// A worker may draft for this session from now on.
  public mutating func workerJoined(_ worker: WorkerID) -> [Action] {
    guard !isFinished, workers[worker] == nil else { return [] }
    resetGate()
    workers[worker] = RemoteMirror(position: tree.rootPosition, capacity: 4 * configuration.maxTreeNodes)
    return [.send(.open(session, context: tokens, sampling: sampling), to: worker)]
  }

  /// A worker is gone or has declined. What it has said stays in use.
  public mutating func workerLeft(_ worker: WorkerID) -> [Action] {
    detach(worker)
    return []
  }

  /// A worker reports an expanded node.
  public mutating func receive(_ expansion: Expansion, from worker: WorkerID) -> [Action] {
    // After the end, or from a worker that has left: a benign race.
    guard !isFinished, workers[worker] != nil else { return [] }
    do throws(ProtocolViolation) {
      try attach(expansion, from: worker)
    } catch {
      detach(worker)
      return [.disconnect(worker, ProtocolViolation("\(session): \(error.description)"))]
    }
    return beginHomeDraft()
  }

  /// The target pass under way is done.
  ///
  /// - Parameters:
  ///   - verdicts: the choice after the root, then after each node of the set, in order
  ///   - duration: how long the engine computed
  ///   - passTokens: how many new tokens the pass ran through the model, prefill included
  public mutating func verified(_ verdicts: [Verdict], duration: Duration, passTokens: Int) -> [Action] {
    if isFinished { return [] }
    guard case .verifying(let nodes) = state else {
      preconditionFailure("a verification ended that was not started")
    }
    precondition(verdicts.count == nodes.count + 1, "one verdict for the root and one for each node")
    let committed = walk(verdicts, over: nodes)
    statistics.steps += 1
    statistics.verifiedNodes += nodes.count
    // The first pass is the prefill.
    if statistics.steps > 1 {
      targetCost.observe(size: passTokens, duration: duration)
      if let cost = targetCost.seconds(for: nodes.count + 1), let single = targetCost.seconds(for: 1) {
        let wasOpen = gate.isOpen
        gate.observe(tokens: committed.count, relativeCost: cost / single)
        if gate.isOpen && !wasOpen { gateOpened = tokens.count - 1 + committed.count }
      }
    }
    return commit(committed)
  }

  public mutating func verificationFailed(reason: String) -> [Action] {
    if isFinished { return [] }
    guard case .verifying = state else { preconditionFailure("a verification failed that was not started") }
    return finish(.failed(reason))
  }

  /// The home draft pass under way is done: one distribution for each task, in order.
  ///
  /// - Parameter passTokens: as for `WorkerMachine.passFinished`
  public mutating func homeDrafted(
    _ nodes: [NodeID], _ distributions: [Distribution], duration: Duration, passTokens: Int? = nil
  ) -> [Action] {
    if isFinished { return [] }
    precondition(isHomeDrafting && nodes.count == distributions.count, "no such home draft pass")
    isHomeDrafting = false
    // Workers may still read the prompt: their guesses are not to be judged by those made at home.
    if workers.isEmpty { gate.guessArrived() }
    homeCost.observe(size: passTokens ?? nodes.count, duration: duration)
    statistics.homeExpansions += nodes.count
    draftedThisStep += nodes.count
    for (node, distribution) in zip(nodes, distributions) where tree.contains(node) {
      let candidates = distribution.candidates.prefix(configuration.homeLimits.candidates)
        .filter { $0.probability >= configuration.homeLimits.minProbability }
      continuation.observe(candidates.first.map { match.probability(confidence: $0.probability) })
      // Workers may have filled the tree meanwhile.
      guard tree.count + candidates.count <= treeLimit else { continue }
      _ = grow(node, entropy: distribution.entropy, candidates: candidates, origin: .home)
    }
    if case .drafting = state { return beginStep() }
    return beginHomeDraft()
  }

  /// The home draft model failed; the session goes on without it.
  public mutating func homeDraftFailed() -> [Action] {
    if isFinished { return [] }
    precondition(isHomeDrafting, "no home draft pass is under way")
    isHomeDrafting = false
    homeIsUsable = false
    if case .drafting = state { return beginStep() }
    return []
  }

  /// Nobody wants the text any more.
  public mutating func cancel() -> [Action] {
    isFinished ? [] : finish(.cancelled)
  }

  // MARK: Steps

  /// Drafts first where the schedule says so, else picks the verification set and starts the target pass.
  private mutating func beginStep() -> [Action] {
    if case .beforeVerification(let length) = configuration.homeSchedule, draftedThisStep < length {
      let draft = homeDraft(limit: min(length - draftedThisStep, configuration.homeLimits.passWidth))
      if !draft.isEmpty {
        state = .drafting
        return draft
      }
    }
    if !gate.isOpen {
      statistics.pausedSteps += 1
    } else if statistics.steps > 0 && !tree.isExpanded(tree.root) {
      statistics.bubbles += 1
    }
    draftedThisStep = 0
    let nodes = chooseVerificationSet()
    var index: [NodeID: Int32] = [:]
    var set = VerificationSet(tokens: [], parents: [])
    for node in nodes {
      let parent = tree.parent(of: node)!
      tree.annotate(parent) { $0.hasVerifiedChild = true }
      set.parents.append(index[parent] ?? -1)
      set.tokens.append(tree.token(of: node))
      index[node] = Int32(set.tokens.count - 1)
    }
    state = .verifying(nodes)
    return [.verify(prefix: tokens, set)] + beginHomeDraft()
  }

  /// How many guesses in a row can still be committed: each is followed by a token of the target's own.
  private var room: Int {
    min(configuration.maxTokens - statistics.tokens - 1, configuration.contextLength - tokens.count - 1)
  }

  /// The best nodes for one target pass, parents first.
  ///
  /// Under `costAware`, the number k of nodes with the most expected committed tokens per second of this pass,
  /// `(1 + sum of path probabilities) / T(k + 1)`. It depends on ratios of T alone, so a machine that slows down
  /// as a whole changes nothing.
  private func chooseVerificationSet() -> [NodeID] {
    let policy = configuration.verification
    guard policy.maxNodes > 0, room > 0 else { return [] }
    var nodes: [NodeID] = []
    var expected: [Double] = []
    tree.visitBestFirst { node, probability in
      if probability < policy.minPathProbability { return .stop }
      if node != tree.root {
        nodes.append(node)
        expected.append((expected.last ?? 1) + probability)
        if nodes.count == policy.maxNodes { return .stop }
      }
      return tree.depth(of: node) < room ? .descend : .skipChildren
    }
    guard policy.rule == .costAware, targetCost.isKnown, !nodes.isEmpty else { return nodes }
    var best = 0
    var bestRate = 1 / targetCost.seconds(for: 1)!
    for count in 1...nodes.count {
      let rate = expected[count - 1] / targetCost.seconds(for: count + 1)!
      if rate > bestRate {
        bestRate = rate
        best = count
      }
    }
    return Array(nodes.prefix(best))
  }

  /// Follows the target's choices from the root through the verified nodes.
  private mutating func walk(_ verdicts: [Verdict], over nodes: [NodeID]) -> [CommittedToken] {
    var verdictOf: [NodeID: Verdict] = [tree.root: verdicts[0]]
    for (index, node) in nodes.enumerated() { verdictOf[node] = verdicts[index + 1] }
    var committed: [CommittedToken] = []
    var node = tree.root
    while let verdict = verdictOf[node] {
      let next = tree.child(of: node, token: verdict.token)
      for child in tree.children(of: node) {
        match.observe(confidence: tree.annotation(of: child).confidence, matched: child == next)
      }
      let isVerified = next.map { verdictOf[$0] != nil } ?? false
      committed.append(
        CommittedToken(
          token: verdict.token, position: tokens.count + committed.count,
          origin: isVerified ? tree.annotation(of: next!).origin : .target, margin: verdict.margin))
      if configuration.endTokens.contains(verdict.token) { break }
      guard isVerified, statistics.tokens + committed.count < configuration.maxTokens else { break }
      node = next!
    }
    return committed
  }

  /// Makes tokens final: counts them, tells everyone, moves the root, starts the next step or finishes.
  private mutating func commit(_ committed: [CommittedToken]) -> [Action] {
    for token in committed {
      switch token.origin {
      case .remote: statistics.acceptedRemote += 1
      case .home: statistics.acceptedHome += 1
      case .target: statistics.fromTarget += 1
      }
    }
    statistics.tokens += committed.count
    let new = committed.map(\.token)
    tokens.append(contentsOf: new)
    var actions: [Action] = [.emit(committed)]
    if configuration.endTokens.contains(new.last!) { return actions + finish(.endOfText) }
    if statistics.tokens >= configuration.maxTokens { return actions + finish(.length) }
    if tokens.count >= configuration.contextLength { return actions + finish(.contextFull) }
    moveRoot(along: new)
    for worker in workers.keys {
      actions.append(
        .send(.commit(session, position: tokens.count - 1, tokens: new, pause: !gate.isOpen), to: worker))
    }
    return actions + beginStep()
  }

  private mutating func finish(_ reason: FinishReason) -> [Action] {
    state = .finished
    tree.visitBestFirst { node, _ in
      if tree.annotation(of: node).helped { statistics.usedWorkerExpansions += 1 }
      return .descend
    }
    var actions: [Action] = workers.keys.map { .send(.close(session), to: $0) }
    workers.removeAll()
    actions.append(.finish(reason))
    return actions
  }

  // MARK: The tree

  /// Forgets a worker and its names for nodes. Were they kept, they would be taken for new ones when the worker
  /// is given the session again and counts from 1 again.
  private mutating func detach(_ worker: WorkerID) {
    guard let mirror = workers.removeValue(forKey: worker) else { return }
    if workers.isEmpty { resetGate() }
    for case (_, .live(let node)) in mirror.all {
      tree.annotate(node) { $0.remoteIDs.removeAll { $0.worker == worker } }
    }
  }

  private mutating func resetGate() {
    gate.reset()
    gateOpened = tree.rootPosition
  }

  /// Moves the root along committed tokens; starts a new tree where they leave the old one.
  private mutating func moveRoot(along new: [TokenID]) {
    // The committed nodes stay known to the mirrors: a worker that has not heard yet reports below them.
    var path = [tree.root]
    while path.count <= new.count, let next = tree.child(of: path.last!, token: new[path.count - 1]) {
      path.append(next)
    }
    let reached = path.count == new.count + 1
    let passed = reached ? path.dropLast() : path[...]
    for node in passed {
      let position = tree.position(of: node)
      for (worker, id) in tree.annotation(of: node).remoteIDs {
        workers[worker]?.fallBehind(id, position: position)
      }
      tree.annotate(node) { $0.remoteIDs = [] }
    }
    var statistics = self.statistics
    var workers = self.workers
    func forget(_: NodeID, note: Note) {
      for (worker, id) in note.remoteIDs { workers[worker]?.forget(id) }
      if note.helped { statistics.usedWorkerExpansions += 1 }
    }
    if reached {
      tree.reroot(at: path.last!, removed: forget)
    } else {
      tree.restart(
        root: new.last!, position: tokens.count - 1, annotation: Note(origin: .target, confidence: 1),
        removed: forget)
    }
    self.statistics = statistics
    self.workers = workers
  }

  /// Puts a worker's expansion where it belongs.
  private mutating func attach(_ expansion: Expansion, from worker: WorkerID) throws(ProtocolViolation) {
    let distribution = expansion.distribution
    try check(distribution)
    try workers[worker]!.announce(expansion, rootPosition: tree.rootPosition)
    statistics.workerExpansions += 1
    if expansion.knownPosition >= gateOpened { gate.guessArrived() }
    let place: RemoteMirror.Place?
    switch expansion.site {
    case .root(let position):
      place = position == tree.rootPosition ? .live(tree.root) : .behind(position: position)
    case .node(let id):
      place = workers[worker]![id]
    }
    switch place {
    case nil:
      statistics.lateExpansions += 1
    case .live(let node):
      let share = workers.count > 1 ? configuration.maxTreeNodes : .max
      guard tree.count + distribution.candidates.count <= treeLimit,
        workers[worker]!.count + distribution.candidates.count <= share
      else {
        statistics.droppedExpansions += 1
        return
      }
      let children = grow(
        node, entropy: distribution.entropy, candidates: distribution.candidates, origin: .remote)
      tree.annotate(node) { $0.isExpandedByWorker = true }
      for (index, child) in children.enumerated() {
        let id = expansion.firstChild + RemoteNodeID(index)
        try workers[worker]!.place(id, at: .live(child))
        tree.annotate(child) { $0.remoteIDs.append((worker, id)) }
      }
    case .behind(let position):
      // The target has decided what follows; only the child it chose can lead to anything.
      statistics.lateExpansions += 1
      guard
        let index = distribution.candidates.firstIndex(where: { $0.token == tokens[position + 1] })
      else { return }
      let id = expansion.firstChild + RemoteNodeID(index)
      if position + 1 == tree.rootPosition {
        try workers[worker]!.place(id, at: .live(tree.root))
        tree.annotate(tree.root) { $0.remoteIDs.append((worker, id)) }
      } else {
        try workers[worker]!.place(id, at: .behind(position: position + 1))
      }
    }
  }

  /// The limits that hold for every distribution, whoever sent it.
  private func check(_ distribution: Distribution) throws(ProtocolViolation) {
    let candidates = distribution.candidates
    guard distribution.entropy.isFinite, distribution.entropy >= 0 else {
      throw ProtocolViolation("entropy is \(distribution.entropy)")
    }
    guard candidates.count <= configuration.maxCandidates else {
      throw ProtocolViolation("\(candidates.count) candidates, more than \(configuration.maxCandidates)")
    }
    for (index, candidate) in candidates.enumerated() {
      guard candidate.token >= 0, candidate.token < configuration.vocabularySize else {
        throw ProtocolViolation("token \(candidate.token) is not in the vocabulary")
      }
      guard candidate.probability.isFinite, (0...1.001).contains(candidate.probability) else {
        throw ProtocolViolation("probability of token \(candidate.token) is \(candidate.probability)")
      }
      for other in candidates[..<index] where other.token == candidate.token {
        throw ProtocolViolation("token \(candidate.token) is named twice")
      }
    }
    // Rounding on the wire is within a thousandth for each.
    let sum = candidates.reduce(0) { $0 + $1.probability }
    guard sum <= 1.01 else { throw ProtocolViolation("probabilities add up to \(sum)") }
  }

  /// Attaches children with corrected probabilities. A node keeps at most `maxCandidates` children per source,
  /// so what several sources add stays bounded by the tree's limit.
  private mutating func grow(
    _ node: NodeID, entropy: Float, candidates: [Candidate], origin: Origin
  ) -> [NodeID] {
    let corrected = candidates.map {
      Candidate(token: $0.token, probability: match.probability(confidence: $0.probability))
    }
    return tree.expand(node, entropy: entropy, candidates: corrected) { index in
      Note(origin: origin, confidence: candidates[index].probability)
    }.map(\.child)
  }

  /// Several drafters mostly guess the same nodes, so this is seldom reached.
  private var treeLimit: Int {
    let drafters = workers.count + (homeIsUsable && configuration.homePolicy != .never ? 1 : 0)
    return configuration.maxTreeNodes * max(1, drafters)
  }

  // MARK: Drafting at home

  /// Starts a home draft pass beside the target pass, if the policy wants one and none is under way.
  private mutating func beginHomeDraft() -> [Action] {
    guard case .verifying = state, case .overlapped = configuration.homeSchedule else { return [] }
    return homeDraft(limit: configuration.homeLimits.passWidth)
  }

  private mutating func homeDraft(limit: Int) -> [Action] {
    guard homeIsUsable, !isHomeDrafting, gate.isOpen, configuration.homePolicy != .never, limit > 0 else {
      return []
    }
    let limits = configuration.homeLimits
    // Every expansion may bring that many children: the whole pass has to fit.
    let fitting = max(0, treeLimit - tree.count) / limits.candidates
    // A guess at depth d is of use when d + 1 more tokens can be committed; expanding a node guesses below it.
    guard room > 0 else { return [] }
    let rootIsExpandedByWorker = tree.annotation(of: tree.root).isExpandedByWorker
    let frontier = tree.frontier(
      limit: min(limit, fitting), minPathProbability: limits.minPathProbability,
      maxDepth: min(limits.maxDepth, room - 1)
    ) { node in
      guard case .entropy(let threshold) = configuration.homePolicy else { return true }
      guard rootIsExpandedByWorker, let parent = tree.parent(of: node) else { return true }
      return (tree.entropy(of: parent) ?? 0) > threshold
    }
    guard !frontier.isEmpty else { return [] }
    let width = limits.width(
      probabilities: frontier.map(\.pathProbability), cost: homeCost, continuation: continuation.mean)
    isHomeDrafting = true
    return [
      .draftAtHome(
        frontier.prefix(width).map { node, _ in
          DraftTask(
            session: session, node: node, prefix: tokens, path: tree.path(to: node), sampling: sampling,
            candidates: limits.candidates)
        })
    ]
  }
}

extension ControllerMachine {
  /// Everything that must hold between events; the first breach as a sentence. For tests. O(n·c).
  package var brokenInvariant: String? {
    if let broken = tree.brokenInvariant { return broken }
    if tree.rootPosition != tokens.count - 1 && !isFinished {
      return "the root is at \(tree.rootPosition), the last token at \(tokens.count - 1)"
    }
    var named: [WorkerID: Int] = [:]
    var broken: String?
    tree.visitBestFirst { node, _ in
      for (worker, id) in tree.annotation(of: node).remoteIDs {
        named[worker, default: 0] += 1
        guard let mirror = workers[worker] else {
          if !isFinished { broken = "a node has an id of \(worker), which is not attached" }
          continue
        }
        guard case .live(let other)? = mirror[id], other == node else {
          broken = "\(worker)'s id \(id) does not lead to its node"
          continue
        }
      }
      return .descend
    }
    if let broken { return broken }
    for (worker, mirror) in workers {
      let live = mirror.all.filter { if case .live = $0.place { true } else { false } }.count
      if live != named[worker, default: 0] {
        return "\(worker) has \(live) live ids, the tree names \(named[worker, default: 0])"
      }
    }
    return nil
  }

  /// What the ids of an attached worker mean: tokens below the root, or for a node on the committed path (the
  /// root included) its position. nil for a worker that is not attached. For tests.
  package func mirrored(
    from worker: WorkerID
  ) -> (live: [RemoteNodeID: [TokenID]], behind: [RemoteNodeID: Int])? {
    guard let mirror = workers[worker] else { return nil }
    var result: (live: [RemoteNodeID: [TokenID]], behind: [RemoteNodeID: Int]) = ([:], [:])
    for (id, place) in mirror.all {
      switch place {
      case .live(let node): result.live[id] = tree.path(to: node)
      case .behind(let position): result.behind[id] = position
      }
    }
    return result
  }
}
