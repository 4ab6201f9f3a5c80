/// What other sessions put into the target pass that a session chooses its verification set for.
///
/// All sessions share one pass, so a guess of one lengthens the step of all. The set that is best for everyone has
/// the most expected tokens of all sessions per second of the whole pass; each session finds its part of it by
/// taking the others' parts as given. One after the other around the sessions, that climbs to a set from which no
/// single session's change gains anything.
public struct PassLoad: Hashable, Sendable {
  /// Tokens that the others run through the model in this pass.
  public var tokens: Int
  /// Tokens that the others expect to commit by it.
  public var expected: Double
  /// Guesses that this session may verify at most, whatever they would gain: its share of what the engine can
  /// hold apart.
  public var maxNodes: Int

  public init(tokens: Int = 0, expected: Double = 0, maxNodes: Int = .max) {
    self.tokens = tokens
    self.expected = expected
    self.maxNodes = maxNodes
  }

  /// Nobody else.
  public static let none = PassLoad()
}
