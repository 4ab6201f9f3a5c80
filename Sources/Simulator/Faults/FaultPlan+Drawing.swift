import SpeculationCore
import SplitMix

extension FaultPlan {
  /// A random plan. Equal seeds give equal plans.
  public init(seed: UInt64) {
    var random = SplitMix64(seed: seed)
    script = ScriptedModel(
      seed: random.next(), vocabularySize: Int.random(in: 4...Self.largestVocabulary, using: &random),
      endProbability: [0, 0.01, 0.05].randomElement(using: &random)!,
      agreement: [0, 0.5, 0.8, 0.9, 0.95, 0.98, 1].randomElement(using: &random)!,
      isMisleading: random.chance(0.05))
    self.seed = random.next()
    sessions = []
    workers = []
    faults = []
    // A large target on a weak machine: the text goes on long enough for news that is minutes late.
    let isSlow = random.chance(0.15)
    let scale: Int64 = isSlow ? 100 : 1
    target = PassTime(fixed: random.within(1_000...40_000) * scale, each: random.within(0...8_000))
    local = PassTime(fixed: random.within(1_000...20_000) * scale, each: random.within(0...4_000))
    liveness =
      isSlow
      ? [30_000_000, 600_000_000].randomElement(using: &random)!
      : [200_000, 1_000_000, 3_000_000].randomElement(using: &random)!
    inspectEvery = random.chance(0.4) ? 1 : 4
    controllers = [1, 1, 1, 2, 3].randomElement(using: &random)!
    let span = 1_500_000 * scale
    for _ in 0..<[1, 1, 2, 3, 4, 6, 9].randomElement(using: &random)! {
      sessions.append(drawSession(span: span, &random))
    }
    drawLongPrompts(&random)
    let isCrowded = random.chance(0.3)
    if isCrowded { drawLongTexts(&random) }
    for _ in 0..<controllers { servers.append(drawServer(scale: scale, isCrowded: isCrowded, &random)) }
    for _ in 0..<[0, 1, 1, 1, 2, 2, 3, 4].randomElement(using: &random)! {
      workers.append(drawWorker(scale: scale, &random))
    }
    for _ in 0..<[0, 1, 2, 4, 8, 16].randomElement(using: &random)! {
      if let fault = drawFault(span: span, &random) { faults.append(fault) }
    }
    faults.sort { $0.at < $1.at }
    faultsEnd = random.within(0...span) + span / 2
    for index in faults.indices {
      faults[index].at = min(faults[index].at, faultsEnd)
      faults[index].duration = min(faults[index].duration, faultsEnd - faults[index].at)
    }
  }

  private func drawSession(span: Microseconds, _ random: inout SplitMix64) -> Session {
    var session = Session()
    session.controller = Int.random(in: 0..<controllers, using: &random)
    session.start = random.chance(0.7) ? random.within(0...20_000) : random.within(0...span)
    session.prompt = (0..<Int.random(in: 1...8, using: &random)).map { _ in
      TokenID.random(in: 1..<TokenID(script.vocabularySize), using: &random)
    }
    session.maxTokens = Int.random(in: 0...(random.chance(0.5) ? 40 : 120), using: &random)
    if random.chance(0.2) { session.contextLength = Int.random(in: 4...40, using: &random) }
    if random.chance(0.5) {
      session.temperature = 0.8
      session.samplingSeed = random.next()
    }
    session.isCostAware = random.chance(0.5)
    session.maxVerified = [0, 1, 2, 4, 8, 16, 32].randomElement(using: &random)!
    session.minPathProbability = random.chance(0.5) ? 0 : 0.05
    session.hasLocalDraft = random.chance(0.6)
    session.localPolicy = Self.drawPolicy(&random)
    if random.chance(0.33) { session.draftsBefore = Int.random(in: 1...8, using: &random) }
    session.localLimits = Self.drawLimits(&random)
    session.lookupLength = [0, 0, 1, 5].randomElement(using: &random)!
    session.minGain = [0, 1.1, 3].randomElement(using: &random)!
    session.maxTreeNodes = [24, 64, 512].randomElement(using: &random)!
    session.maxCandidates = 8
    session.usesWorkers = random.chance(0.9)
    if random.chance(0.08) { session.cancelAfter = Int.random(in: 1...80, using: &random) }
    if random.chance(0.05) { session.targetFailsAt = Int.random(in: 0...10, using: &random) }
    if random.chance(0.1) { session.localFailsAt = Int.random(in: 0...10, using: &random) }
    return session
  }

  /// Prompts that take several passes to read, and begin alike as those of one application do.
  private mutating func drawLongPrompts(_ random: inout SplitMix64) {
    guard random.chance(0.35) else { return }
    func draw(_ count: Int) -> [TokenID] {
      (0..<count).map { _ in TokenID.random(in: 1..<TokenID(script.vocabularySize), using: &random) }
    }
    let common = draw(random.chance(0.6) ? Int.random(in: 8...80, using: &random) : 0)
    for index in sessions.indices where random.chance(0.7) {
      sessions[index].prompt = common + draw(Int.random(in: 1...80, using: &random))
    }
  }

  /// Texts that outgrow the room which a session claims at first, all at the same time.
  private mutating func drawLongTexts(_ random: inout SplitMix64) {
    script.endProbability = random.chance(0.5) ? 0 : 0.002
    for index in sessions.indices {
      sessions[index].maxTokens = Int.random(in: 90...180, using: &random)
      sessions[index].contextLength = 4096
    }
  }

  /// A cache of 1.1 to 3 of the largest prompts, with or without the room to grow that a session asks for.
  private func drawServer(
    scale: Microseconds, isCrowded: Bool, _ random: inout SplitMix64
  ) -> Server {
    var server = Server()
    if isCrowded {
      // Two or three are admitted, and outgrow what they have claimed.
      let claim = (sessions.map(\.prompt.count).max() ?? 1) + 64
      server.cells = claim * Int.random(in: 2...3, using: &random) + Int.random(in: 0...40, using: &random)
    } else if random.chance(0.6) {
      let largest = (sessions.map(\.prompt.count).max() ?? 1) + (random.chance(0.75) ? 64 : 0)
      server.cells = max(2, Int(Double(largest) * (1.1 + 1.9 * random.uniform())))
    }
    if random.chance(0.4) { server.branches = Int.random(in: 1...12, using: &random) }
    server.maxSessions = isCrowded ? 64 : [1, 2, 3, 64, 64].randomElement(using: &random)!
    if random.chance(0.3) { server.maxWaiting = Int.random(in: 0...3, using: &random) }
    server.prefillChunk = [1, 4, 16, 64, 512].randomElement(using: &random)!
    server.sharesPrefixes = random.chance(0.5)
    let slowest: Microseconds = [0, 5_000, 100_000].randomElement(using: &random)!
    server.releaseDelay = random.within(0...slowest) * scale
    server.hasMeasuredCosts = random.chance(0.7)
    if random.chance(0.15) { server.targetFailure = [0.02, 0.1, 0.3].randomElement(using: &random)! }
    if random.chance(0.15) { server.fullFailure = [0.02, 0.1, 0.3].randomElement(using: &random)! }
    if random.chance(0.1) { server.localFailure = [0.05, 0.2].randomElement(using: &random)! }
    server.workersPerSession = [1, 1, 2, 4].randomElement(using: &random)!
    server.exclusion = [100_000, 1_000_000, 600_000_000].randomElement(using: &random)!
    return server
  }

  private static func drawPolicy(_ random: inout SplitMix64) -> LocalDraftPolicy {
    let nats = Float(random.uniform() * 2)
    let time = Duration.microseconds(Microseconds(random.uniform() * 20_000))
    return switch LocalDraftPolicy.forms.randomElement(using: &random)!.kind {
    case .plain(let policy): policy
    case .nats(let make): make(nats)
    case .time(let make): make(time)
    }
  }

  private static func drawLimits(_ random: inout SplitMix64) -> Limits {
    var limits = Limits()
    // Some passes bring more than a tree may hold.
    let isWide = random.chance(0.2)
    limits.passWidth = Int.random(in: 1...(isWide ? 48 : 8), using: &random)
    limits.candidates = Int.random(in: 1...(isWide ? 8 : 6), using: &random)
    limits.minProbability = [0, 0.02, 0.6].randomElement(using: &random)!
    limits.minPathProbability = [0, 0.01, 0.1].randomElement(using: &random)!
    limits.maxDepth = Int.random(in: 1...12, using: &random)
    limits.maxNodes = [16, 24, 40, 100].randomElement(using: &random)!
    return limits
  }

  private func drawWorker(scale: Microseconds, _ random: inout SplitMix64) -> Worker {
    var worker = Worker()
    worker.controller = Int.random(in: 0..<controllers, using: &random)
    worker.start = random.within(0...100_000)
    worker.limits = Self.drawLimits(&random)
    if random.chance(0.1) { worker.maxSessions = 1 }
    if random.chance(0.1) { worker.contextLength = Int.random(in: 4...40, using: &random) }
    // Half of them near enough to be of use in every step.
    let far: Microseconds = random.chance(0.5) ? 8_000 : 80_000
    worker.delay = random.within(0...far)
    worker.jitter = random.within(0...far)
    worker.pass = PassTime(
      fixed: random.within(1_000...15_000) * (scale > 1 ? 10 : 1), each: random.within(0...3_000))
    // A draft model on a laptop's core: a pass lasts longer than a connection takes to come back.
    if random.chance(0.15) { worker.pass.fixed = random.within(100_000...400_000) }
    if random.chance(0.2) { worker.passFailure = [0.05, 0.2].randomElement(using: &random)! }
    worker.isHostile = random.chance(0.15)
    if random.chance(0.1) { worker.maxSessions = Int.random(in: 1...3, using: &random) }
    // Promises more than it keeps: what is too much it declines.
    if random.chance(0.1) { worker.capacity = worker.maxSessions + 4 }
    worker.renames = random.chance(worker.isHostile ? 0.7 : 0.1)
    worker.tellsCosts = random.chance(0.7)
    return worker
  }

  private func drawFault(span: Microseconds, _ random: inout SplitMix64) -> Fault? {
    let kind = Fault.Kind.allCases.randomElement(using: &random)!
    let subjects = kind == .shutdown ? controllers : workers.count
    guard subjects > 0 else { return nil }
    var fault = Fault(
      kind, subject: Int.random(in: 0..<subjects, using: &random), at: random.within(0...span * 2 / 3))
    fault.isSilent = random.chance(0.3)
    fault.direction = random.chance(0.5) ? .down : .up
    let short = random.within(0...liveness / 2)
    let long = random.within(0...span)
    switch kind {
    case .cut: fault.amount = Int.random(in: 0...400, using: &random)
    case .partition, .freeze, .drain: fault.duration = random.chance(0.5) ? short : long
    case .delay:
      fault.duration = long
      // Up to minutes, whatever the liveness timeout thinks of it.
      fault.amount = Int(random.chance(0.5) ? short : random.within(0...240_000_000))
    case .slow:
      fault.duration = long
      fault.amount = Int.random(in: 2...100, using: &random)
    case .crash:
      fault.duration = random.chance(0.5) ? random.within(0...50_000) : long
      fault.amount = random.chance(0.7) ? 0 : Int.random(in: 0..<controllers, using: &random)
    case .truncate: fault.amount = Int.random(in: 1...40, using: &random)
    case .corrupt:
      fault.amount = Int.random(in: 0...80, using: &random)
      // A single bit, as memory and wires flip them, or any other value.
      fault.mask =
        random.chance(0.5)
        ? 1 << UInt8.random(in: 0...7, using: &random) : UInt8.random(in: 1...255, using: &random)
    case .duplicate, .exhausted: break
    case .shutdown:
      fault.duration = random.chance(0.7) ? random.within(0...200_000) : long
      fault.amount = random.chance(0.8) ? 1 : 0
    }
    return fault
  }
}

extension SplitMix64 {
  fileprivate mutating func within(_ range: ClosedRange<Microseconds>) -> Microseconds {
    Microseconds.random(in: range, using: &self)
  }
}
