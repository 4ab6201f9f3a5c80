import ModelBackend
import Simulator
import SpeculationCore
import Synchronization

/// How a scripted engine behaves apart from its answers.
public struct ScriptedTiming: Sendable {
  /// Time of a pass, and what each new token adds to it, those of prompts included.
  public var pass: Duration
  public var perToken: Duration
  /// Passes, counted from 0, that fail.
  public var failures: Set<Int>
  /// Every pass from this one on fails.
  public var failsFrom: Int?
  /// How likely any pass is to fail, and what decides which do.
  public var failureRate: Double
  public var failureSeed: UInt64

  public init(
    pass: Duration = .zero, perToken: Duration = .zero, failures: Set<Int> = [], failsFrom: Int? = nil,
    failureRate: Double = 0, failureSeed: UInt64 = 0
  ) {
    self.pass = pass
    self.perToken = perToken
    self.failures = failures
    self.failsFrom = failsFrom
    self.failureRate = failureRate
    self.failureSeed = failureSeed
  }

  func fails(_ pass: Int) -> Bool {
    if failures.contains(pass) || failsFrom.map({ pass >= $0 }) == true { return true }
    var random = SequenceHash(seed: failureSeed)
    random.append(UInt64(pass))
    return random.uniform(0) < failureRate
  }
}

extension EngineCapabilities {
  /// A script keeps to no grammar.
  public static let scripted = EngineCapabilities(
    drafts: .trees, sampling: .keyed, isDeterministic: true, margins: true, logprobs: true, grammars: false)
}

extension ModelDescription {
  /// The description of a scripted model. Equal scripts' vocabularies are equal.
  public static func scripted(
    _ script: ScriptedModel, name: String = "scripted", contextLength: Int = 4096
  ) -> ModelDescription {
    ModelDescription(
      name: name, architecture: "scripted", summary: "scripted, \(script.vocabularySize) tokens",
      contextLength: contextLength,
      vocabulary: VocabularyFingerprint(size: script.vocabularySize, specials: [ScriptedModel.endToken]) {
        token in Array("\(token) ".utf8)
      },
      endTokens: [ScriptedModel.endToken])
  }
}

/// What a scripted engine's cache can hold.
public struct ScriptedCache: Sendable {
  /// Tokens of one session, guesses apart.
  public var contextLength: Int
  /// Tokens over all sessions, guesses included; nil for 64 times the context.
  public var tokens: Int?
  /// Sessions, and leaves of guesses beyond the first of each.
  public var branches: Int
  /// Whether texts that begin alike have their cells together, and released ones are kept for that.
  public var sharesPrefixes: Bool

  public init(
    contextLength: Int = 4096, tokens: Int? = nil, branches: Int = 256, sharesPrefixes: Bool = false
  ) {
    self.contextLength = contextLength
    self.tokens = tokens
    self.branches = branches
    self.sharesPrefixes = sharesPrefixes
  }

  var capacity: CacheCapacity {
    CacheCapacity(
      tokens: tokens ?? 64 * contextLength, branches: branches, sharesPrefixes: sharesPrefixes)
  }

  func ledger(_ script: ScriptedModel) -> CacheLedger {
    CacheLedger(
      CacheLedger.Limits(
        cells: capacity.tokens, branches: branches, contextLength: contextLength,
        vocabularySize: script.vocabularySize, sharesPrefixes: sharesPrefixes))
  }
}

/// One engine: its cache, and its passes and releases one at a time in the order of the calls.
actor ScriptedEngine {
  /// What a pass has to do, beside its time.
  struct Work: Sendable {
    var requests: [CacheLedger.Request]
    var prefillBudget = Int.max
    var keepsGuesses = false
    /// What the caller asked, for `meanwhile`.
    var verifications: [VerificationRequest] = []
  }

  struct Outcome: Sendable {
    var parts: [CacheLedger.Part]
    /// Tokens of each request's text that are cached then.
    var cached: [Int]
    /// What happened meanwhile apart.
    var duration: Duration

    var tokens: Int { parts.reduce(0) { $0 + $1.evaluated } }
  }

  private let timing: ScriptedTiming
  private(set) var ledger: CacheLedger
  private(set) var passes = 0
  private var last: Task<Void, Never>?
  private var meanwhile: ScriptedTarget.Meanwhile?
  private nonisolated let isShutDown = Atomic<Bool>(false)

  init(timing: ScriptedTiming, ledger: CacheLedger) {
    self.timing = timing
    self.ledger = ledger
  }

  func setMeanwhile(_ meanwhile: ScriptedTarget.Meanwhile?) { self.meanwhile = meanwhile }

  /// Makes running and later passes fail.
  nonisolated func shutDown() { isShutDown.store(true, ordering: .releasing) }

  /// Returns when what was asked for before is over.
  func settle() async { await last?.value }

  /// - Throws: `ModelError`; the cache is then as it was before.
  func pass(_ work: Work) async throws -> Outcome {
    let turn = inTurn { try await self.compute(work) }
    return try await turn.value
  }

  func release(_ session: SessionID) async {
    _ = await inTurn { await self.forget(session) }.result
  }

  func discard(_ session: SessionID) async {
    _ = await inTurn { await self.forget(session, keepsText: false) }.result
  }

  private func forget(_ session: SessionID, keepsText: Bool = true) {
    if keepsText { ledger.release(session) } else { ledger.discard(session) }
  }

  private func inTurn<Result: Sendable>(
    _ body: @escaping @Sendable () async throws -> Result
  ) -> Task<Result, any Error> {
    let previous = last
    let turn = Task {
      await previous?.value
      return try await body()
    }
    last = Task { _ = await turn.result }
    return turn
  }

  private func compute(_ work: Work) async throws -> Outcome {
    try checkIsRunning()
    let before = ledger
    let parts: [CacheLedger.Part]
    do throws(CacheLedger.Refusal) {
      parts = try ledger.run(
        work.requests, prefillBudget: work.prefillBudget, keepsGuesses: work.keepsGuesses)
    } catch {
      throw ModelError(error)
    }
    var outcome = Outcome(
      parts: parts, cached: work.requests.map { ledger.cachedTokens(of: $0.session) }, duration: .zero)
    // Where there is nothing to compute, nothing takes time or fails.
    if outcome.tokens == 0 { return outcome }
    outcome.duration = timing.pass + timing.perToken * outcome.tokens
    let index = passes
    passes += 1
    await meanwhile?(index, work.verifications)
    if outcome.duration > .zero { try await Task.sleep(for: outcome.duration) }
    try checkIsRunning()
    if timing.fails(index) {
      ledger = before
      throw ModelError(.engineFailed, "scripted failure of pass \(index)")
    }
    return outcome
  }

  private func checkIsRunning() throws {
    if isShutDown.load(ordering: .acquiring) { throw ModelError(.cancelled, "the engine was shut down") }
  }
}

extension ModelError {
  /// As the embedded engine names it.
  init(_ refusal: CacheLedger.Refusal) {
    switch refusal {
    case .invalid, .branchesFull: self.init(.invalidRequest, "\(refusal)")
    case .contextFull, .cellsFull: self.init(.contextFull, "\(refusal)")
    }
  }
}
