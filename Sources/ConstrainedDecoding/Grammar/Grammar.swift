/// What a session's text has to follow.
///
/// A token is chosen as without the grammar; only where the grammar forbids the choice is it made again among what
/// the grammar allows. (llama.cpp does the same.)
///
/// Grammars come from outside, so a matcher of our own runs them (`GrammarMatcher`) and not llama.cpp's: that one
/// prints a grammar that it cannot parse, with all its text, to the standard error; takes exponential time to look
/// for left recursion and misses some; keeps exponentially many stacks of an ambiguous grammar; and ends the
/// process on a token that a grammar forbids. Tests compare what the two allow.
public struct Grammar: Hashable, Sendable {
  public var rules: GrammarRules
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

  public init(_ rules: GrammarRules, promptLength: Int) {
    self.rules = rules
    self.promptLength = promptLength
  }
}

/// A grammar in llama.cpp's GBNF notation, read and checked once for all sessions that follow it.
public final class GrammarRules: Hashable, Sendable {
  public let text: String
  let program: GrammarProgram

  /// Takes time proportional to the text's size: up to some tens of milliseconds.
  ///
  /// - Throws: `ConstraintError` that says what is wrong and in which line.
  public init(_ text: String) throws {
    self.text = text
    program = try GrammarProgram(text)
    _ = try GrammarMatcher(program)
  }

  /// Whether a text is complete. O(text).
  public func accepts(_ text: some Sequence<UInt8>) -> Bool {
    guard let matcher = try? GrammarMatcher(program) else { return false }
    var state = matcher.start
    for byte in text {
      guard let next = matcher.next(state, byte) else { return false }
      state = next
    }
    return matcher.states[Int(state)].isComplete
  }

  public static func == (a: GrammarRules, b: GrammarRules) -> Bool { a === b || a.text == b.text }

  public func hash(into hasher: inout Hasher) { hasher.combine(text) }
}
