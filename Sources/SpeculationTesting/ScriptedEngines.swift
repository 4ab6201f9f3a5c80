import ModelBackend
import Simulator
import SpeculationCore

/// A target whose choices follow a script, and whose cache refuses what a real one of its size refuses. Takes real
/// time when its timing says so.
public struct ScriptedTarget: TargetModel {
  public let model: ModelDescription
  public let script: ScriptedModel
  public let cacheCapacity: CacheCapacity
  private let engine: ScriptedEngine

  public var tokenizer: any Tokenizer { ScriptedTokenizer(vocabularySize: script.vocabularySize) }

  /// What it says of itself; it can do all of that whatever it says.
  public var capabilities = EngineCapabilities.scripted

  public init(
    _ script: ScriptedModel, cache: ScriptedCache = ScriptedCache(), timing: ScriptedTiming = ScriptedTiming()
  ) {
    model = .scripted(script, name: "scripted-target", contextLength: cache.contextLength)
    self.script = script
    cacheCapacity = cache.capacity
    engine = ScriptedEngine(timing: timing, ledger: cache.ledger(script))
  }

  public init(_ script: ScriptedModel, contextLength: Int, timing: ScriptedTiming = ScriptedTiming()) {
    self.init(script, cache: ScriptedCache(contextLength: contextLength), timing: timing)
  }

  /// Passes that have begun. Those that were refused have not.
  public var passes: Int { get async { await engine.passes } }

  /// What is cached; during a pass, as after it.
  public var ledger: CacheLedger { get async { await engine.ledger } }

  /// What happens while a pass is under way: its number, counted from 0, and what it checks. The pass goes on
  /// until this has ended, so that tests of what happens at the same time need no luck with timers.
  public typealias Meanwhile = @Sendable (_ pass: Int, _ requests: [VerificationRequest]) async -> Void

  /// For all passes that begin from now on.
  public func duringPasses(_ meanwhile: @escaping Meanwhile) async { await engine.setMeanwhile(meanwhile) }

  public func shutDown() { engine.shutDown() }

  public func settle() async { await engine.settle() }

  public func verify(
    _ requests: [VerificationRequest], prefillBudget: Int
  ) async throws -> PassResult<VerificationResult> {
    for request in requests {
      if let problem = TreeChooser.problem(with: request) { throw ModelError(.invalidRequest, problem) }
    }
    let work = ScriptedEngine.Work(
      requests: requests.map {
        CacheLedger.Request(
          session: $0.session, prefix: $0.prefix, tokens: $0.draft.tokens, parents: $0.draft.parents)
      }, prefillBudget: prefillBudget, verifications: requests)
    let pass = try await engine.pass(work)
    let results = zip(requests, pass.parts).map { request, part in
      VerificationResult(
        session: request.session, choices: part.isComplete ? choices(request) : [], reusedPrefix: part.reused)
    }
    return PassResult(results: results, duration: max(pass.duration, .nanoseconds(1)), tokens: pass.tokens)
  }

  private func choices(_ request: VerificationRequest) -> [TargetChoice] {
    let verdicts = script.verdicts(
      prefix: request.prefix, tokens: request.draft.tokens, parents: request.draft.parents,
      sampling: request.sampling)
    return verdicts.map { verdict in
      TargetChoice(
        token: verdict.token, margin: verdict.margin,
        logprobs: request.logprobs == nil ? nil : Self.logprobs(of: verdict.token, margin: verdict.margin))
    }
  }

  /// A script has no probabilities; what stands for them tells the choices apart.
  public static func logprobs(of token: TokenID, margin: Float) -> TokenLogprobs {
    TokenLogprobs(chosen: TokenLogprobs.Entry(token: token, logprob: -1 / (1 + margin)), top: [])
  }

  public func release(_ session: SessionID) async { await engine.release(session) }

  public func discard(_ session: SessionID) async { await engine.discard(session) }
}

/// A draft whose guesses follow a script, and whose cache refuses what a real one of its size refuses. Takes real
/// time when its timing says so.
public struct ScriptedDraft: DraftModel {
  public let model: ModelDescription
  public let script: ScriptedModel
  private let engine: ScriptedEngine

  public var tokenizer: any Tokenizer { ScriptedTokenizer(vocabularySize: script.vocabularySize) }

  public var capabilities: EngineCapabilities { .scripted }

  public init(
    _ script: ScriptedModel, cache: ScriptedCache = ScriptedCache(), timing: ScriptedTiming = ScriptedTiming()
  ) {
    model = .scripted(script, name: "scripted-draft", contextLength: cache.contextLength)
    self.script = script
    engine = ScriptedEngine(timing: timing, ledger: cache.ledger(script))
  }

  public init(_ script: ScriptedModel, contextLength: Int, timing: ScriptedTiming = ScriptedTiming()) {
    self.init(script, cache: ScriptedCache(contextLength: contextLength), timing: timing)
  }

  /// Passes that have begun. Those that were refused have not.
  public var passes: Int { get async { await engine.passes } }

  /// What is cached; during a pass, as after it.
  public var ledger: CacheLedger { get async { await engine.ledger } }

  public func shutDown() { engine.shutDown() }

  public func settle() async { await engine.settle() }

  public func expand(_ requests: [ExpansionRequest]) async throws -> PassResult<Distribution> {
    let pass = try await engine.pass(
      ScriptedEngine.Work(requests: try Self.bySession(requests), keepsGuesses: true))
    let results = requests.map {
      script.distribution(
        prefix: $0.prefix, path: $0.path, sampling: $0.sampling, candidates: $0.candidates)
    }
    return PassResult(results: results, duration: max(pass.duration, .nanoseconds(1)), tokens: pass.tokens)
  }

  public func measureCosts(
    maxBatch: Int, budget: Duration, contextLength: Int
  ) async throws -> [Int: Duration] {
    try await measureExpansions(maxBatch: maxBatch, budget: budget, contextLength: contextLength)
  }

  /// One request for each session, in the order of their first.
  private static func bySession(_ requests: [ExpansionRequest]) throws -> [CacheLedger.Request] {
    var order: [SessionID] = []
    var prefixes: [SessionID: [TokenID]] = [:]
    var paths: [SessionID: [[TokenID]]] = [:]
    for request in requests {
      if let problem = request.sampling.problem { throw ModelError(.invalidRequest, problem) }
      let prefix = prefixes[request.session]
      if prefix == nil { order.append(request.session) }
      if let prefix, prefix != request.prefix {
        throw ModelError(
          .invalidRequest, "two requests of \(request.session) in one pass have different prefixes")
      }
      prefixes[request.session] = request.prefix
      paths[request.session, default: []].append(request.path)
    }
    return order.map {
      CacheLedger.Request(session: $0, prefix: prefixes[$0]!, expanding: paths[$0]!)
    }
  }

  public func read(_ request: ReadingRequest) async throws -> PassResult<Int> {
    let work = CacheLedger.Request(session: request.session, reading: request.tokens, limit: request.limit)
    let pass = try await engine.pass(ScriptedEngine.Work(requests: [work], keepsGuesses: true))
    return PassResult(results: pass.cached, duration: pass.duration, tokens: pass.tokens)
  }

  public func release(_ session: SessionID) async { await engine.release(session) }

  public func discard(_ session: SessionID) async { await engine.discard(session) }
}
