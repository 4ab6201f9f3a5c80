import ModelBackend
import SpeculationCore

/// One token of an answer with its place in the text.
package struct AnswerToken: Sendable {
  package var token: TokenID
  package var bytes: [UInt8]
  package var logprobs: TokenLogprobs
  /// Characters (Unicode scalars) of the answer before it.
  package var offset: Int
}

/// A piece of one choice's answer.
package struct AnswerPiece: Sendable {
  /// Empty where it is taken apart.
  package var text = ""
  package private(set) var parts: [AnswerPart] = []
  /// The tokens whose text is complete with this piece; empty where log-probabilities were not asked for.
  package var tokens: [AnswerToken] = []

  package init(text: String = "", parts: [AnswerPart] = []) {
    self.text = text
    self.parts = parts
  }

  /// Takes the parts that its text was read as in its place.
  mutating func takeApart(_ parts: [AnswerPart]) {
    text = ""
    self.parts = parts
  }

  /// What of it is told.
  package var content: [AnswerPart] { parts.isEmpty && !text.isEmpty ? [.content(text)] : parts }

  package var isEmpty: Bool { text.isEmpty && tokens.isEmpty && parts.isEmpty }
}

/// Turns one choice's tokens into the text that may be sent: whole characters, and nothing of a stop string.
package struct ChoiceText: Sendable {
  private let tokenizer: any Tokenizer
  private let endTokens: [TokenID]
  /// Control tokens that are part of the text.
  private let shownTokens: Set<TokenID>
  private var stops: StopMatcher
  private var text: TextStream
  /// Bytes that came in, and those that the stop strings let through.
  private var bytesIn = 0
  private var bytesOut = 0
  private var characters: Int
  /// Tokens whose bytes have not all come out, with the place of each one's end among the bytes.
  private var held: [(token: AnswerToken, start: Int, end: Int)] = []

  package var isStopped: Bool { stops.isStopped }

  /// - Parameter charactersBefore: of text that the client gets before the first token's (an echoed prompt)
  package init(
    tokenizer: any Tokenizer, endTokens: [TokenID], shownTokens: [TokenID] = [], stops: [[UInt8]],
    charactersBefore: Int = 0
  ) {
    self.shownTokens = Set(shownTokens)
    self.tokenizer = tokenizer
    self.endTokens = endTokens
    self.stops = StopMatcher(stops)
    text = TextStream(tokenizer)
    characters = charactersBefore
  }

  /// - Parameter logprobs: nil where none were asked for
  package mutating func append(_ token: TokenID, logprobs: TokenLogprobs?) -> AnswerPiece {
    let isShown = shownTokens.contains(token)
    if isStopped || endTokens.contains(token) && !isShown { return AnswerPiece() }
    let bytes = isShown ? tokenizer.shownBytes(of: token) : tokenizer.bytes(of: token)
    let start = bytesIn
    bytesIn += bytes.count
    if let logprobs {
      let answer = AnswerToken(token: token, bytes: bytes, logprobs: logprobs, offset: characters)
      held.append((answer, start, bytesIn))
    }
    characters += bytes.count { $0 & 0b1100_0000 != 0b1000_0000 }
    return release(stops.append(bytes))
  }

  private mutating func release(_ bytes: [UInt8]) -> AnswerPiece {
    bytesOut += bytes.count
    var piece = AnswerPiece(text: text.append(bytes: bytes))
    if isStopped {
      // What is left of a token that the stop string begins in still belongs to the answer.
      piece.text += text.finish()
      piece.tokens = held.filter { $0.start < bytesOut }.map(\.token)
      held = []
    } else {
      let count = held.prefix { $0.end <= bytesOut }.count
      piece.tokens = held[..<count].map(\.token)
      held.removeFirst(count)
    }
    return piece
  }

  /// What was held back, when no more tokens follow.
  package mutating func finish() -> AnswerPiece {
    if isStopped { return AnswerPiece() }
    var piece = release(stops.finish())
    piece.text += text.finish()
    piece.tokens += held.map(\.token)
    held = []
    return piece
  }
}
