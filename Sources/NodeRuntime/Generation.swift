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
  public var grammar: GrammarRules?
  /// How many of the likeliest tokens to report at each position; nil reports nothing.
  public var logprobs: Int?
  /// Whether the text goes on after a token that ends one, up to `maxTokens`.
  public var ignoresEnd: Bool

  public init(
    prompt: [TokenID], sampling: SamplingSettings = .greedy, maxTokens: Int,
    speculation: SpeculationSettings, grammar: GrammarRules? = nil, logprobs: Int? = nil,
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

public enum GenerationEvent: Sendable {
  /// Tokens of one step, decided and final. `logprobs` has one entry for each where they were asked for.
  case tokens([SessionMachine.CommittedToken], logprobs: [TokenLogprobs], SessionProgress)
  /// Something an operator would want to know: a worker joined, left, was disconnected.
  case note(String)
  /// The last event.
  case finished(GenerationSummary)
}

/// Figures of one finished generation.
public struct GenerationSummary: Sendable {
  public var reason: SessionMachine.FinishReason
  public var statistics: SessionStatistics
  public var promptTokens: Int
  /// Tokens of the prompt that the engine still had in its cache.
  public var cachedPromptTokens: Int
  /// How often it had to make room for others.
  public var preemptions: Int
  /// From the request to its admission.
  public var timeInQueue: Duration
  /// From the request to the first committed token; nil when there was none.
  public var timeToFirstToken: Duration?
  /// From the first committed token to the last.
  public var decodeTime: Duration
  /// For each step but the first: wall time from the end of one target pass to the end of the next, less what
  /// the engine computed for it (decide, map, send, commit, change threads both ways).
  public var stepOverheads: [Duration]

  init(_ figures: SessionSummary, stepOverheads: [Duration]) {
    reason = figures.reason
    statistics = figures.statistics
    promptTokens = figures.promptTokens
    cachedPromptTokens = figures.cachedPromptTokens
    preemptions = figures.preemptions
    timeInQueue = figures.timeInQueue
    timeToFirstToken = figures.timeToFirstToken
    decodeTime = figures.decodeTime
    self.stepOverheads = stepOverheads
  }

  /// Wall time from first to last committed token over tokens - 1, in milliseconds; nil below two tokens.
  public var millisecondsPerToken: Double? {
    statistics.tokens > 1 ? decodeTime.inMilliseconds / Double(statistics.tokens - 1) : nil
  }
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
