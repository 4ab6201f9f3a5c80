/// One generation that somebody asks for.
public struct ServingRequest: Sendable {
  public var session: SessionID
  /// At least one token.
  public var prompt: [TokenID]
  public var sampling: SamplingSettings
  public var speculation: SpeculationSettings
  /// Tokens to generate at most.
  public var maxTokens: Int
  /// Tokens that end the text.
  public var endTokens: [TokenID]
  /// Tokens that this session may hold, where that is fewer than the target's context.
  public var contextLength: Int
  /// Nodes that its tree may hold for each who drafts, and candidates that one expansion may bring.
  public var maxTreeNodes: Int
  public var maxCandidates: Int

  public init(
    session: SessionID, prompt: [TokenID], sampling: SamplingSettings = .greedy,
    speculation: SpeculationSettings, maxTokens: Int, endTokens: [TokenID], contextLength: Int = .max,
    maxTreeNodes: Int = 4096, maxCandidates: Int = 64
  ) {
    self.session = session
    self.prompt = prompt
    self.sampling = sampling
    self.speculation = speculation
    self.maxTokens = maxTokens
    self.endTokens = endTokens
    self.contextLength = contextLength
    self.maxTreeNodes = maxTreeNodes
    self.maxCandidates = maxCandidates
  }
}

/// Why a request is not served.
public enum Refusal: Hashable, Sendable, CustomStringConvertible {
  /// The request itself is wrong: it can never be served here.
  case invalid(String)
  /// So many requests wait already.
  case overloaded(waiting: Int, retryAfter: Duration)
  /// No more requests are taken.
  case stopping

  public var description: String {
    switch self {
    case .invalid(let problem): problem
    case .overloaded(let waiting, _):
      "\(waiting) requests wait already, which is the limit; try again later"
    case .stopping: "the server is about to stop"
    }
  }
}

extension ServingRequest {
  /// What is wrong with the request itself, as a sentence; nil when it can be served.
  func problem(_ limits: ServingMachine.Configuration) -> String? {
    let context = min(limits.contextLength, contextLength)
    if prompt.isEmpty { return "the prompt is empty" }
    if prompt.count >= context {
      return "the prompt has \(prompt.count) tokens, the context holds \(context): shorten the prompt or"
        + " raise the context size"
    }
    if prompt.count >= limits.cells {
      return "the prompt has \(prompt.count) tokens, the cache holds \(limits.cells): shorten the prompt or"
        + " raise the cache tokens"
    }
    if let problem = sampling.problem { return problem }
    if maxTokens < 1 { return "at least one token must be asked for" }
    if let bad = prompt.first(where: { $0 < 0 || $0 >= limits.vocabularySize }) {
      return "token \(bad) of the prompt is not in the target's vocabulary of \(limits.vocabularySize)"
    }
    return nil
  }
}
