/// When the controller runs its own draft model while the target pass is under way.
public enum HomeDraftPolicy: Hashable, Sendable, CustomStringConvertible {
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
    switch self {
    case .never: "never"
    case .always: "always"
    case .entropy(let threshold): "entropy(\(threshold))"
    case .value(let price): "value(\(price.inMilliseconds) ms)"
    }
  }
}

/// How home drafting and verification follow each other.
public enum HomeDraftSchedule: Hashable, Sendable {
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
