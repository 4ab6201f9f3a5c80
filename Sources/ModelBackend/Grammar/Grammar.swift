/// What generated text has to follow, in llama.cpp's GBNF notation.
///
/// A token is chosen as without the grammar; only where the grammar forbids the choice is it made again among what
/// the grammar allows. (llama.cpp does the same.)
///
/// Grammars come from outside, so a matcher of our own runs them (`GrammarMatcher`) and not llama.cpp's: that one
/// prints a grammar that it cannot parse, with all its text, to the standard error; takes exponential time to look
/// for left recursion and misses some; keeps exponentially many stacks of an ambiguous grammar; and ends the
/// process on a token that a grammar forbids. Tests compare what the two allow.
public struct Grammar: Hashable, Sendable {
  public var text: String
  /// Where the generated text begins: tokens before it are the prompt.
  public var promptLength: Int

  /// Bytes of grammar text that are accepted.
  public static let maxBytes = 256 << 10
  /// Parentheses within each other.
  public static let maxNesting = 64
  /// The larger number of a repetition such as `{1,100}`.
  public static let maxRepetitions = 10_000
  /// Elements of all rules together, repetitions written out.
  public static let maxElements = 100_000

  public init(text: String, promptLength: Int) {
    self.text = text
    self.promptLength = promptLength
  }

  /// Checks a grammar's text, in time proportional to its size; blocks for up to some tens of milliseconds.
  ///
  /// - Throws: `ModelError.invalidRequest` that says what is wrong and in which line.
  public static func check(_ text: String) throws { _ = try GrammarMatcher(GrammarProgram(text)) }
}
