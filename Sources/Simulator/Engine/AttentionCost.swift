/// What attention adds to a pass. T(n) and d(b) are measured below a text of some length; below a longer one every token
/// of a pass has more to attend to.
public struct AttentionCost: Hashable, Sendable {
  /// For each token of a pass and each token of text before it.
  public var perToken: Duration
  /// Tokens of the text below which T(n) or d(b) was measured.
  public var measuredAt: Int

  public static let none = AttentionCost(perToken: .zero)

  public init(perToken: Duration, measuredAt: Int = 128) {
    self.perToken = perToken
    self.measuredAt = measuredAt
  }

  /// What so many tokens below a text of `context` tokens add, in nanoseconds; negative below a shorter text.
  func nanoseconds(tokens: Int, context: Int) -> Int64 {
    perToken.wholeNanoseconds * Int64(tokens * (context - measuredAt))
  }
}
