import ModelBackend
import Simulator
import SpeculationCore

/// How a scripted engine behaves apart from its answers.
public struct ScriptedTiming: Sendable {
  /// Time of a pass, and what each new token adds to it.
  public var pass: Duration
  public var perToken: Duration
  /// Passes, counted from 0, that fail.
  public var failures: Set<Int>
  /// Every pass from this one on fails.
  public var failsFrom: Int?

  public init(
    pass: Duration = .zero, perToken: Duration = .zero, failures: Set<Int> = [], failsFrom: Int? = nil
  ) {
    self.pass = pass
    self.perToken = perToken
    self.failures = failures
    self.failsFrom = failsFrom
  }
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

/// One engine's passes, one at a time, in the order of the calls.
actor ScriptedEngine {
  private let timing: ScriptedTiming
  private(set) var passes = 0
  private var last: Task<Void, any Error>?
  private var meanwhile: ScriptedTarget.Meanwhile?

  init(timing: ScriptedTiming) { self.timing = timing }

  func setMeanwhile(_ meanwhile: ScriptedTarget.Meanwhile?) { self.meanwhile = meanwhile }

  /// - Returns: how long the pass took, what happens meanwhile apart.
  func pass(tokens: Int, requests: [VerificationRequest] = []) async throws -> Duration {
    let index = passes
    passes += 1
    let duration = timing.pass + timing.perToken * tokens
    let previous = last
    let meanwhile = meanwhile
    let turn = Task {
      _ = await previous?.result
      await meanwhile?(index, requests)
      if duration > .zero { try await Task.sleep(for: duration) }
    }
    last = turn
    try await turn.value
    if timing.failures.contains(index) || timing.failsFrom.map({ index >= $0 }) == true {
      throw ModelError(.engineFailed, "scripted failure of pass \(index)")
    }
    return duration
  }
}

/// A target whose choices follow a script. Takes real time when its timing says so.
public struct ScriptedTarget: TargetModel {
  public let model: ModelDescription
  public let script: ScriptedModel
  private let engine: ScriptedEngine

  public init(_ script: ScriptedModel, contextLength: Int = 4096, timing: ScriptedTiming = ScriptedTiming()) {
    model = .scripted(script, name: "scripted-target", contextLength: contextLength)
    self.script = script
    engine = ScriptedEngine(timing: timing)
  }

  /// Passes that have begun.
  public var passes: Int { get async { await engine.passes } }

  /// What happens while a pass is under way: its number, counted from 0, and what it checks. The pass goes on
  /// until this has ended, so that tests of what happens at the same time need no luck with timers.
  public typealias Meanwhile = @Sendable (_ pass: Int, _ requests: [VerificationRequest]) async -> Void

  /// For all passes that begin from now on.
  public func duringPasses(_ meanwhile: @escaping Meanwhile) async { await engine.setMeanwhile(meanwhile) }

  public var cacheCapacity: CacheCapacity { CacheCapacity(tokens: 64 * model.contextLength, branches: 256) }

  public func verify(
    _ requests: [VerificationRequest], prefillBudget: Int
  ) async throws -> PassResult<VerificationResult> {
    for request in requests {
      guard !request.prefix.isEmpty else { throw ModelError(.invalidRequest, "the prefix is empty") }
      guard request.prefix.count < model.contextLength else {
        throw ModelError(.contextFull, "\(request.prefix.count) tokens leave no room in the context")
      }
    }
    let tokens = requests.reduce(0) { $0 + 1 + $1.draft.count }
    let duration = try await engine.pass(tokens: tokens, requests: requests)
    let results = requests.map { request in
      let verdicts = script.verdicts(
        prefix: request.prefix, tokens: request.draft.tokens, parents: request.draft.parents,
        sampling: request.sampling)
      return VerificationResult(
        session: request.session,
        choices: verdicts.map { verdict in
          TargetChoice(
            token: verdict.token, margin: verdict.margin,
            logprobs: request.logprobs == nil ? nil : Self.logprobs(of: verdict.token, margin: verdict.margin)
          )
        })
    }
    return PassResult(results: results, duration: max(duration, .nanoseconds(1)), tokens: tokens)
  }

  /// A script has no probabilities; what stands for them tells the choices apart.
  public static func logprobs(of token: TokenID, margin: Float) -> TokenLogprobs {
    TokenLogprobs(chosen: TokenLogprobs.Entry(token: token, logprob: -1 / (1 + margin)), top: [])
  }

  public func release(_ session: SessionID) async {}
}

/// A draft whose guesses follow a script. Takes real time when its timing says so.
public struct ScriptedDraft: DraftModel {
  public let model: ModelDescription
  public let script: ScriptedModel
  private let engine: ScriptedEngine

  public init(_ script: ScriptedModel, contextLength: Int = 4096, timing: ScriptedTiming = ScriptedTiming()) {
    model = .scripted(script, name: "scripted-draft", contextLength: contextLength)
    self.script = script
    engine = ScriptedEngine(timing: timing)
  }

  /// Passes that have begun.
  public var passes: Int { get async { await engine.passes } }

  public func expand(_ requests: [ExpansionRequest]) async throws -> PassResult<Distribution> {
    for request in requests where request.prefix.count + request.path.count >= model.contextLength {
      throw ModelError(.contextFull, "\(request.prefix.count) tokens leave no room in the context")
    }
    let duration = try await engine.pass(tokens: requests.count)
    let results = requests.map {
      script.distribution(
        prefix: $0.prefix, path: $0.path, sampling: $0.sampling, candidates: $0.candidates)
    }
    return PassResult(results: results, duration: max(duration, .nanoseconds(1)), tokens: requests.count)
  }

  public func release(_ session: SessionID) async {}
}
