import ConstrainedDecoding
import SpeculationCore

/// Tokens 1...255 are single bytes, 0 ends a text; more tokens may follow.
public struct ByteVocabulary {
  public static let endToken: TokenID = 0
  public var tokens: TokenBytes

  public init(words: [String] = []) {
    tokens = TokenBytes(vocabularySize: 256 + words.count) { token in
      token == 0 ? [] : token < 256 ? [UInt8(token)] : Array(words[Int(token) - 256].utf8)
    }
  }

  public func session(_ grammar: String, promptLength: Int = 0) throws -> GrammarSession {
    try GrammarSession(
      Grammar(GrammarRules(grammar), promptLength: promptLength), tokens: tokens, endTokens: [Self.endToken])
  }
}
