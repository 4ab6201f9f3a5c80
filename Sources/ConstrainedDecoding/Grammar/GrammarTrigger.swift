/// Where a grammar begins that does not hold from the beginning: after so much free text.
///
/// A model that may call tools answers freely until it writes what a call begins with; from there the grammar holds. What
/// it thinks in between is not looked at.
public struct GrammarTrigger: Hashable, Sendable, Codable {
  /// Texts with which the grammar begins.
  public var words: [String]
  /// Regular expressions. The grammar holds from the first group that matched, or from the match.
  public var patterns: [String]
  /// Opens and closes what the model thinks; empty where it does not.
  public var thinkingStart: String
  public var thinkingEnds: [String]
  /// The prompt has opened it already.
  public var beginsThinking: Bool

  public init(
    words: [String], patterns: [String] = [], thinkingStart: String = "", thinkingEnds: [String] = [],
    beginsThinking: Bool = false
  ) {
    self.words = words
    self.patterns = patterns
    self.thinkingStart = thinkingStart
    self.thinkingEnds = thinkingEnds
    self.beginsThinking = beginsThinking
  }
}
