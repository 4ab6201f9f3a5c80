import SpeculationCore

/// One node to expand: the tokens of the session, then the guessed tokens down to the node.
public struct ExpansionRequest: Sendable {
  public var session: SessionID
  /// Every committed token of the session, the root included.
  public var prefix: [TokenID]
  /// Guessed tokens from below the root down to and including the node; empty expands the root itself.
  public var path: [TokenID]
  public var sampling: SamplingSettings
  /// How many candidates to return at most.
  public var candidates: Int
  /// Tokens of the text that the prefix, an excerpt of it, leaves out. The model knows nothing of them, but the
  /// choice at a position is keyed by its place in the text.
  public var skipped: Int

  public init(
    session: SessionID, prefix: [TokenID], path: [TokenID], sampling: SamplingSettings, candidates: Int,
    skipped: Int = 0
  ) {
    self.session = session
    self.prefix = prefix
    self.path = path
    self.sampling = sampling
    self.candidates = candidates
    self.skipped = skipped
  }
}

/// A text to be read ahead of the first question about it.
public struct ReadingRequest: Sendable {
  public var session: SessionID
  /// Every committed token of the session. Its last one is left to the first expansion.
  public var tokens: [TokenID]
  /// Tokens to evaluate at most; 0 only finds out what is cached.
  public var limit: Int

  public init(session: SessionID, tokens: [TokenID], limit: Int) {
    self.session = session
    self.tokens = tokens
    self.limit = limit
  }
}

/// The model that guesses. One pass expands nodes of several sessions.
public protocol DraftModel: Engine {
  /// - Returns: one distribution for each request, in the same order. All requests of a session in one call
  ///   have the same prefix.
  /// - Throws: `ModelError`. A failed pass leaves the sessions as they were before.
  func expand(_ requests: [ExpansionRequest]) async throws -> PassResult<Distribution>

  /// Reads a piece of a session's text, after what is cached of it, so that a later expansion need not.
  ///
  /// - Returns: how many of the request's tokens are cached now, whoever they were read for
  /// - Throws: `ModelError`. A failed pass leaves the sessions as they were before.
  func read(_ request: ReadingRequest) async throws -> PassResult<Int>
}

/// Text to tokens and back.
public protocol Tokenizer: Sendable {
  /// - Parameters:
  ///   - addSpecial: add the model's beginning-of-text token if it wants one
  ///   - parseSpecial: read special tokens such as `<|im_start|>` in the text as tokens, not as letters
  /// - Throws: `ModelError` when the text cannot be tokenized.
  func encode(_ text: String, addSpecial: Bool, parseSpecial: Bool) throws -> [TokenID]

  /// The bytes a token adds to the text. May end in the middle of a character. Empty for control tokens.
  func bytes(of token: TokenID) -> [UInt8]

  /// Renders a conversation with the model's chat template, ending where the assistant's answer begins.
  ///
  /// - Throws: `ModelError`: `unsupportedModel` where it has none, `invalidRequest` where it refuses the conversation
  func render(_ conversation: Conversation) throws -> ChatPrompt

  /// The bytes of a token in a text that shows control tokens by their names, such as `<|im_end|>`.
  func shownBytes(of token: TokenID) -> [UInt8]
}

extension Tokenizer {
  public func shownBytes(of token: TokenID) -> [UInt8] { bytes(of: token) }
}
