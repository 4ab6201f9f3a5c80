import ConstrainedDecoding
import SpeculationCore

/// A conversation as its model reads it, and how its answer is to be read.
public struct ChatPrompt: Sendable {
  /// A run of the prompt's text.
  public struct Part: Hashable, Sendable {
    public var text: String
    /// Whether the names of control tokens in it are those tokens: the template's words, not a user's.
    public var hasControlTokens: Bool

    public init(text: String, hasControlTokens: Bool) {
      self.text = text
      self.hasControlTokens = hasControlTokens
    }
  }

  public var parts: [Part]
  /// Whether the model's own beginning goes before it, as before any text.
  public var addsSpecial: Bool
  /// What calls of tools have to look like; nil where there are none.
  public var calls: ChatConstraint?
  /// Texts that end the answer, end tokens apart.
  public var stops: [String]
  /// Control tokens that are part of what `format` reads.
  public var shownTokens: [TokenID]
  /// nil: all of the answer is content.
  public var format: (any AnswerFormat)?

  public init(
    parts: [Part], addsSpecial: Bool, calls: ChatConstraint? = nil, stops: [String] = [],
    shownTokens: [TokenID] = [], format: (any AnswerFormat)? = nil
  ) {
    self.parts = parts
    self.addsSpecial = addsSpecial
    self.calls = calls
    self.stops = stops
    self.shownTokens = shownTokens
    self.format = format
  }

  public var text: String { parts.map(\.text).joined() }
}

/// A grammar for the calls of tools.
public struct ChatConstraint: Hashable, Sendable {
  /// GBNF.
  public var grammar: String
  /// Text that the grammar begins with and the prompt ends with.
  public var beginning: String
  /// nil: the whole answer follows the grammar.
  public var trigger: GrammarTrigger?

  public init(grammar: String, beginning: String = "", trigger: GrammarTrigger? = nil) {
    self.grammar = grammar
    self.beginning = beginning
    self.trigger = trigger
  }
}

/// How an answer of some template's model is written: where its thoughts end, what its calls look like.
public protocol AnswerFormat: Sendable {
  /// One for each answer.
  func reader() throws -> any AnswerReader
}

/// Takes an answer apart while it is being written.
public protocol AnswerReader: AnyObject {
  /// What is new since the call before.
  ///
  /// - Parameters:
  ///   - text: the whole answer so far
  ///   - isComplete: nothing follows
  /// - Throws: `ModelError` where a complete text is none of the format
  func read(_ text: String, isComplete: Bool) throws -> [AnswerPart]
}

public enum AnswerPart: Hashable, Sendable {
  case content(String)
  case reasoning(String)
  /// More of a call: its name comes at once, with the first part of it.
  case call(index: Int, id: String, name: String, arguments: String)
}

extension Tokenizer {
  /// The tokens of a prompt, as `encode` with a limit makes them of a text.
  ///
  /// - Throws: `TooManyTokens`, `ModelError`, and what `checkWanted` throws
  public func encode(
    _ prompt: ChatPrompt, limit: Int, checkWanted: () throws -> Void = {}
  ) throws -> [TokenID] {
    var tokens: [TokenID] = []
    for (index, part) in prompt.parts.enumerated() {
      do {
        tokens += try encode(
          part.text, addSpecial: prompt.addsSpecial && index == 0, parseSpecial: part.hasControlTokens,
          limit: limit - tokens.count, checkWanted: checkWanted)
      } catch let error as TooManyTokens {
        let isLast = index == prompt.parts.count - 1
        throw TooManyTokens(count: isLast ? error.count.map { $0 + tokens.count } : nil, limit: limit)
      }
    }
    return tokens
  }
}

extension AnswerPart {
  /// What it adds to the answer's text.
  public var text: String {
    switch self {
    case .content(let text), .reasoning(let text): text
    case .call(_, _, let name, let arguments): name + arguments
    }
  }

  public var isReasoning: Bool {
    if case .reasoning = self { true } else { false }
  }
}
