import SpeculationCore

/// What a server is asked, and what it may use: the part of a scenario that is about requests, in plain values.
public struct Workload: Hashable, Sendable {
  public var arrivals: ArrivalProcess
  /// Requests in all; nil: until the trace ends or, in other cases, each text was asked for once.
  public var requests: Int?
  /// Nil: the text's own.
  public var prompt: TokenLength?
  public var answer: TokenLength?
  /// Requests that arrive before are served and not counted: a server that starts empty is no server.
  public var warmUp: Duration
  public var goodput: GoodputLimit?
  public var capacity: CapacityGoal?
  public var limits: ServingLimits

  public init(
    arrivals: ArrivalProcess, requests: Int? = nil, prompt: TokenLength? = nil, answer: TokenLength? = nil,
    warmUp: Duration = .zero, goodput: GoodputLimit? = nil, capacity: CapacityGoal? = nil,
    limits: ServingLimits = ServingLimits()
  ) {
    self.arrivals = arrivals
    self.requests = requests
    self.prompt = prompt
    self.answer = answer
    self.warmUp = warmUp
    self.goodput = goodput
    self.capacity = capacity
    self.limits = limits
  }
}

/// Limits of a simulated server. Nil: the core's own default.
public struct ServingLimits: Hashable, Sendable {
  /// Tokens that the target's cache holds, for all sessions together.
  public var cacheTokens: Int?
  /// Sessions that run at once, at most.
  public var maxSessions: Int?
  /// Requests that wait, at most; one more is refused.
  public var maxWaiting: Int?
  /// Tokens of prompt and answer of one request, at most.
  public var context: Int?
  /// Sequences of the target's cache: sessions, and branches of trees under verification.
  public var branches: Int?
  /// Tokens of prompts in one pass, at most.
  public var prefillChunk: Int?

  public init(
    cacheTokens: Int? = nil, maxSessions: Int? = nil, maxWaiting: Int? = nil, context: Int? = nil,
    branches: Int? = nil, prefillChunk: Int? = nil
  ) {
    self.cacheTokens = cacheTokens
    self.maxSessions = maxSessions
    self.maxWaiting = maxWaiting
    self.context = context
    self.branches = branches
    self.prefillChunk = prefillChunk
  }
}
