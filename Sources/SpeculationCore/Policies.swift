/// When the controller runs its own draft model while the target pass is under way.
public enum LocalDraftPolicy: Hashable, Codable, Sendable, CustomStringConvertible {
  /// Never: no draft work at the scarce site.
  case never
  /// Always: local parallel speculation, the baseline.
  case always
  /// Below nodes whose draft entropy exceeds the threshold (nats), since the worker will probably have to be
  /// corrected there, and while the root has no expansion (a bubble). The paper's policy.
  case entropy(threshold: Float)
  /// Where a pass is expected to save more time than `price`: the operator's dial between latency and work at
  /// the scarce site.
  case value(price: Duration)

  public var description: String {
    let parts = parts
    return switch parts.amount {
    case .none: parts.name
    case .nats(let nats): "\(parts.name)(\(nats))"
    case .time(let time): "\(parts.name)(\(time.inMilliseconds) ms)"
    }
  }
}

// MARK: Notation

extension LocalDraftPolicy {
  /// What is said beside a policy's name.
  public enum Amount: Sendable {
    case none
    case nats(Float)
    case time(Duration)
  }

  /// How a policy is written. Flags, scenarios and fault plans read and draw policies by this table alone.
  public struct Form: Sendable {
    public enum Kind: Sendable {
      case plain(LocalDraftPolicy)
      /// 0 or more.
      case nats(@Sendable (Float) -> LocalDraftPolicy)
      case time(@Sendable (Duration) -> LocalDraftPolicy)
    }

    public var name: String
    /// For people, after "draft locally".
    public var about: String
    public var kind: Kind

    /// "entropy:NATS", as flags have it.
    public var notation: String {
      switch kind {
      case .plain: name
      case .nats: "\(name):NATS"
      case .time: "\(name):TIME"
      }
    }
  }

  public static let forms: [Form] = [
    Form(name: "never", about: "never", kind: .plain(.never)),
    Form(name: "always", about: "always", kind: .plain(.always)),
    Form(
      name: "entropy", about: "where the draft's entropy exceeds so many nats",
      kind: .nats { .entropy(threshold: $0) }),
    Form(
      name: "value", about: "where a pass is expected to save more time than this",
      kind: .time { .value(price: $0) }),
  ]

  /// Its name among ``forms``, and what is said beside it.
  public var parts: (name: String, amount: Amount) {
    switch self {
    case .never: ("never", .none)
    case .always: ("always", .none)
    case .entropy(let threshold): ("entropy", .nats(threshold))
    case .value(let price): ("value", .time(price))
    }
  }
}

/// How local drafting and verification follow each other.
public enum LocalDraftSchedule: Hashable, Sendable {
  /// Drafting runs beside the target pass.
  case overlapped
  /// Draft `length` nodes, or until nothing is worth drafting, then verify; nothing is drafted meanwhile. The
  /// sequential baseline.
  case beforeVerification(length: Int)
}

/// Which nodes one target pass checks.
public struct VerificationPolicy: Hashable, Sendable {
  public enum Rule: Hashable, Sendable {
    /// The most probable nodes up to `maxNodes`, whatever they cost.
    case everything
    /// As many of the most probable nodes as pay for themselves under the measured T(n).
    case costAware
  }

  public var rule: Rule
  /// Nodes in one verification set, at most (V). 0 never verifies a guess: plain decoding.
  public var maxNodes: Int
  /// Nodes whose path is less likely than this are never verified.
  public var minPathProbability: Double

  public init(rule: Rule = .costAware, maxNodes: Int = 16, minPathProbability: Double = 0.02) {
    self.rule = rule
    self.maxNodes = maxNodes
    self.minPathProbability = minPathProbability
  }
}
