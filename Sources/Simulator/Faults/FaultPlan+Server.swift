import SpeculationCore

extension FaultPlan {
  /// What a controller serves with: its engines, and the limits that it keeps.
  public struct Server: Hashable, Codable, Sendable {
    /// Cells and branches of the target's cache.
    public var cells = 1 << 20
    public var branches = 256
    /// Tokens that a session may hold.
    public var contextLength = 4096
    public var maxSessions = 64
    public var maxWaiting = 64
    /// Tokens of prompts in one pass while texts are being written.
    public var prefillChunk = 512
    /// The target keeps what texts have in common once.
    public var sharesPrefixes = false
    /// Until cells that are to be freed are, and the controller knows, at most; the pass under way comes first.
    public var releaseDelay: Microseconds = 0
    /// Whether T(n) and d(b) are known at the start.
    public var hasMeasuredCosts = true
    /// How likely each target pass is to break the engine, and to find no room although there is, while faults last.
    public var targetFailure = 0.0
    public var fullFailure = 0.0
    /// How likely each local draft pass is to fail while faults last.
    public var localFailure = 0.0
    /// `WorkerPool.Configuration`.
    public var workersPerSession = 4
    public var exclusion: Microseconds = 600_000_000

    public init() {}

    var problem: String? {
      if cells < 2 { return "\(cells) cells" }
      if branches < 1 || maxSessions < 1 { return "no session may run" }
      if maxWaiting < 0 || prefillChunk < 1 || releaseDelay < 0 { return "a limit that cannot be kept" }
      if contextLength < 2 || workersPerSession < 0 || exclusion < 0 { return "a limit that cannot be kept" }
      return nil
    }
  }

  /// Controllers that the plan says nothing of are as usual.
  func server(_ controller: Int) -> Server {
    servers.indices.contains(controller) ? servers[controller] : Server()
  }

  /// Whether any session that may come to a controller drafts locally.
  var hasLocalDraft: Bool { sessions.contains(where: \.hasLocalDraft) }

  func machine(for server: Server) -> ServingMachine {
    let known = server.hasMeasuredCosts
    return ServingMachine(
      configuration: ServingMachine.Configuration(
        contextLength: server.contextLength, vocabularySize: script.vocabularySize, cells: server.cells,
        branches: server.branches, sharesPrefixes: server.sharesPrefixes, maxSessions: server.maxSessions,
        maxWaiting: server.maxWaiting,
        prefillChunk: server.prefillChunk, hasLocalDraft: hasLocalDraft,
        pool: WorkerPool.Configuration(
          workersPerSession: server.workersPerSession, exclusion: .microseconds(server.exclusion))),
      targetCost: known ? target.curve : CostCurve(), localCost: known ? local.curve : CostCurve())
  }

  func ledger(for server: Server) -> CacheLedger {
    CacheLedger(
      CacheLedger.Limits(
        cells: server.cells, branches: server.branches, contextLength: server.contextLength,
        vocabularySize: script.vocabularySize, sharesPrefixes: server.sharesPrefixes))
  }

  func request(of session: Session, id: SessionID) -> ServingRequest {
    ServingRequest(
      session: id, prompt: session.prompt, sampling: session.samplingSettings,
      speculation: SpeculationSettings(
        verification: VerificationPolicy(
          rule: session.isCostAware ? .costAware : .everything, maxNodes: session.maxVerified,
          minPathProbability: session.minPathProbability),
        localPolicy: session.policy,
        localSchedule: session.draftsBefore.map { .beforeVerification(length: $0) } ?? .overlapped,
        localLimits: session.localLimits.draftLimits, lookupLength: session.lookupLength,
        minGain: session.minGain, usesWorkers: session.usesWorkers),
      maxTokens: session.maxTokens, endTokens: [ScriptedModel.endToken], contextLength: session.contextLength,
      maxTreeNodes: session.maxTreeNodes, maxCandidates: session.maxCandidates)
  }

  func profile(of worker: Int, connection serial: Int) -> WorkerPool.Profile {
    let plan = workers[worker]
    return WorkerPool.Profile(
      name: plan.renames ? "worker \(worker), connection \(serial)" : "worker \(worker)",
      site: "site \(worker % 2)", model: "scripted", capacity: plan.capacity ?? plan.maxSessions,
      draftCost: plan.tellsCosts ? plan.pass.curve : CostCurve())
  }
}
