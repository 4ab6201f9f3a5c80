import Crypto
import SpeculationCore

/// What the two sides must agree on before a token id may cross the network.
public struct VocabularyFingerprint: Hashable, Sendable, Codable {
  /// Number of tokens.
  public var size: Int
  /// SHA-256, in lower-case hex, over every token: its id's bytes preceded by their count (both little-endian
  /// 32-bit), in id order.
  public var tokens: String
  /// SHA-256, in lower-case hex, over the ids with a special meaning (beginning, end of generation...).
  public var specialTokens: String

  public init(size: Int, tokens: String, specialTokens: String) {
    self.size = size
    self.tokens = tokens
    self.specialTokens = specialTokens
  }

  /// - Parameters:
  ///   - size: number of tokens
  ///   - specials: ids of special tokens, in an order that both sides share
  ///   - bytes: the bytes of a token
  public init(size: Int, specials: [TokenID], bytes: (TokenID) -> [UInt8]) {
    var all = SHA256()
    for token in 0..<TokenID(clamping: size) {
      let piece = bytes(token)
      withUnsafeBytes(of: UInt32(piece.count).littleEndian) { all.update(bufferPointer: $0) }
      all.update(data: piece)
    }
    var special = SHA256()
    for token in specials {
      withUnsafeBytes(of: token.littleEndian) { special.update(bufferPointer: $0) }
    }
    func hex(_ digest: SHA256Digest) -> String {
      let digits = Array("0123456789abcdef".utf8)
      return String(decoding: digest.flatMap { [digits[Int($0 >> 4)], digits[Int($0 & 15)]] }, as: UTF8.self)
    }
    self.init(size: size, tokens: hex(all.finalize()), specialTokens: hex(special.finalize()))
  }
}

/// What a loaded model says of itself.
public struct ModelDescription: Hashable, Sendable {
  /// Name from the model's metadata, or its file name.
  public var name: String
  /// "qwen2", "llama"...
  public var architecture: String
  /// For people: "1.5B BF16".
  public var summary: String
  /// Tokens that a session may hold in the context that was opened, not the length the model was trained for.
  public var contextLength: Int
  public var vocabulary: VocabularyFingerprint
  /// Tokens that end a generation, ascending.
  public var endTokens: [TokenID]

  public init(
    name: String, architecture: String, summary: String, contextLength: Int,
    vocabulary: VocabularyFingerprint, endTokens: [TokenID]
  ) {
    self.name = name
    self.architecture = architecture
    self.summary = summary
    self.contextLength = contextLength
    self.vocabulary = vocabulary
    self.endTokens = endTokens
  }
}
