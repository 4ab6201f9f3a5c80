import ModelBackend
import SpeculationCore

/// The tokenizer of scripted models: a token's text is its number and a space.
public struct ScriptedTokenizer: Tokenizer {
  private let vocabularySize: Int

  public init(vocabularySize: Int) { self.vocabularySize = vocabularySize }

  public func encode(_ text: String, addSpecial: Bool, parseSpecial: Bool) throws -> [TokenID] {
    try text.split(separator: " ").map { word in
      guard let token = TokenID(word), token >= 0, Int(token) < vocabularySize else {
        throw ModelError(
          .invalidRequest, "\"\(word)\" is no token of a scripted model",
          hint: "write numbers below \(vocabularySize)")
      }
      return token
    }
  }

  public func bytes(of token: TokenID) -> [UInt8] {
    token >= 0 && Int(token) < vocabularySize ? Array("\(token) ".utf8) : []
  }

  public func render(_ conversation: Conversation) throws -> ChatPrompt {
    let text = conversation.messages.map(\.content).joined(separator: " ")
    return ChatPrompt(parts: [.init(text: text, hasControlTokens: true)], addsSpecial: false)
  }
}
