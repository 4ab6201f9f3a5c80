/// Where a grammar begins that does not hold from the beginning: after so much free text.
///
/// A model that may call tools answers freely until it writes what a call begins with; from there the grammar holds. What
/// it thinks in between is not looked at.
public struct GrammarTrigger: Hashable, Sendable, Codable {
  /// A regular expression. The grammar holds from its first group that matched, or from the match.
  public struct Pattern: Hashable, Sendable, Codable {
    public var expression: String

    public init(_ expression: String) { self.expression = expression }
  }

  /// Texts with which the grammar begins.
  public var words: [String]
  public var patterns: [Pattern]
  /// Opens and closes what the model thinks; empty where it does not.
  public var thinkingStart: String
  public var thinkingEnds: [String]
  /// The prompt has opened it already.
  public var beginsThinking: Bool

  public init(
    words: [String], patterns: [Pattern] = [], thinkingStart: String = "", thinkingEnds: [String] = [],
    beginsThinking: Bool = false
  ) {
    self.words = words
    self.patterns = patterns
    self.thinkingStart = thinkingStart
    self.thinkingEnds = thinkingEnds
    self.beginsThinking = beginsThinking
  }
}
