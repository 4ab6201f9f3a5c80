import SpeculationCore

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
  /// Where in the generated text the rules begin to hold; nil: from its beginning.
  public var trigger: GrammarTrigger?
  /// Text that the rules begin with and the prompt ends with. Not with a trigger.
  public var beginning: String
  /// The bytes of control tokens that are part of the text here, and of no other.
  public var shownTokens: [TokenID: [UInt8]]

  /// Bytes of grammar text that are accepted.
  public static let maxBytes = 256 << 10
  /// Parentheses within each other.
  public static let maxNesting = 64
  /// The larger number of a repetition such as `{1,100}`.
  public static let maxRepetitions = 10_000
  /// Elements of all rules together, repetitions written out.
  public static let maxElements = 100_000

  /// Whether the generated text alone is a text of the rules.
  public var holdsFromTheStart: Bool { trigger == nil && beginning.isEmpty }

  public init(
    _ rules: GrammarRules, promptLength: Int, trigger: GrammarTrigger? = nil, beginning: String = "",
    shownTokens: [TokenID: [UInt8]] = [:]
  ) {
    self.rules = rules
    self.promptLength = promptLength
    self.trigger = trigger
    self.beginning = beginning
    self.shownTokens = shownTokens
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
  public func accepts(_ text: some Sequence<UInt8>) -> Bool { isComplete(text) == true }

  /// Whether a text can go on to a complete one, or is one. O(text).
  public func allows(beginning text: some Sequence<UInt8>) -> Bool { isComplete(text) != nil }

  /// nil for a text that is forbidden.
  private func isComplete(_ text: some Sequence<UInt8>) -> Bool? {
    guard let matcher = try? GrammarMatcher(program) else { return nil }
    var state = matcher.start
    for byte in text {
      guard let next = matcher.next(state, byte) else { return nil }
      state = next
    }
    return matcher.states[Int(state)].isComplete
  }

  public static func == (a: GrammarRules, b: GrammarRules) -> Bool { a === b || a.text == b.text }

  public func hash(into hasher: inout Hasher) { hasher.combine(text) }
}
