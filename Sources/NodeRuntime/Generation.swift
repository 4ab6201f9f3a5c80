import ConstrainedDecoding
import ModelBackend
import SpeculationCore

/// What to generate.
public struct GenerationRequest: Sendable {
  /// Tokens of the prompt, at least one.
  public var prompt: [TokenID]
  public var sampling: SamplingSettings
  /// Tokens to generate at most.
  public var maxTokens: Int
  public var speculation: SpeculationSettings
  /// What the text has to follow.
  public var grammar: Grammar?
  /// How many of the likeliest tokens to report at each position; nil reports nothing.
  public var logprobs: Int?
  /// Whether the text goes on after a token that ends one, up to `maxTokens`.
  public var ignoresEnd: Bool

  public init(
    prompt: [TokenID], sampling: SamplingSettings = .greedy, maxTokens: Int,
    speculation: SpeculationSettings, grammar: Grammar? = nil, logprobs: Int? = nil,
    ignoresEnd: Bool = false
  ) {
    self.prompt = prompt
    self.sampling = sampling
    self.maxTokens = maxTokens
    self.speculation = speculation
    self.grammar = grammar
    self.logprobs = logprobs
    self.ignoresEnd = ignoresEnd
  }
}

extension GenerationRequest {
  /// What is wrong with the grammar or the log-probabilities asked for, as a sentence; nil when nothing is.
  ///
  /// Checked before the engine sees them: a request that it refuses fails a pass for all sessions in it.
  func outputProblem(_ engine: EngineCapabilities) -> String? {
    if grammar != nil, !engine.grammars { return "the engine of this target follows no grammars" }
    if logprobs != nil, !engine.logprobs { return "the engine of this target says no log-probabilities" }
    if let count = logprobs, !(0...TokenLogprobs.maxTop).contains(count) {
      return "between 0 and \(TokenLogprobs.maxTop) log-probabilities can be asked for, not \(count)"
    }
    return nil
  }
}

public enum GenerationEvent: Sendable {
  /// Tokens of one step, decided and final. `logprobs` has one entry for each where they were asked for.
  case tokens([SessionMachine.CommittedToken], logprobs: [TokenLogprobs], SessionProgress)
  /// Something an operator would want to know: a worker joined, left, was disconnected.
  case note(String)
  /// The last event.
  case finished(SessionSummary)
}

/// A generation that could not be done.
public struct GenerationError: Error, Sendable, CustomStringConvertible {
  public enum Code: Hashable, Sendable {
    /// The request itself is wrong.
    case invalidRequest
    /// Too many requests wait already.
    case overloaded(retryAfter: Duration)
    /// The node takes no more requests: it is about to end.
    case shuttingDown
    /// The engine failed.
    case engineFailed
  }

  public var code: Code
  public var description: String

  init(_ refusal: Refusal) {
    let code: Code =
      switch refusal {
      case .invalid: .invalidRequest
      case .overloaded(_, let retryAfter): .overloaded(retryAfter: retryAfter)
      case .stopping: .shuttingDown
      }
    self.init(code, refusal.description)
  }

  public init(_ code: Code, _ description: String) {
    self.code = code
    self.description = description
  }
}
