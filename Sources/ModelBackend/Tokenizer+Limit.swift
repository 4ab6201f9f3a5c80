import SpeculationCore

/// A text has more tokens than there is room for.
public struct TooManyTokens: Error, Hashable, Sendable, CustomStringConvertible {
  /// Tokens of the text; nil where nobody counted to its end.
  public var count: Int?
  /// Tokens that there is room for.
  public var limit: Int

  public init(count: Int?, limit: Int) {
    self.count = count
    self.limit = limit
  }

  /// Such as "530 tokens", or "more than 512 tokens".
  public var description: String { count.map { "\($0) tokens" } ?? "more than \(limit) tokens" }
}

extension Tokenizer {
  /// Tokens of a text for which there is limited room, at a cost that does not grow with what is too long.
  ///
  /// Tokenizing takes time and memory in proportion to a text, and much more of both where it has no words. So a long
  /// text is first counted in pieces, until there is no more room. A cut can add tokens, which is allowed for: what
  /// passes is then tokenized whole, and only that decides.
  ///
  /// - Parameters:
  ///   - limit: tokens that there is room for
  ///   - checkWanted: called before each piece; throws where nobody waits for the tokens any more
  /// - Throws: `TooManyTokens`, `ModelError`, and what `checkWanted` throws
  public func encode(
    _ text: String, addSpecial: Bool, parseSpecial: Bool, limit: Int, checkWanted: () throws -> Void = {}
  ) throws -> [TokenID] {
    try checkWanted()
    if text.utf8.count > TextPieces.size {
      var counted = 0
      for piece in TextPieces(text) {
        try checkWanted()
        counted += try encode(String(piece), addSpecial: false, parseSpecial: parseSpecial).count
        counted -= TextPieces.tokensOfACut
        if counted > limit { throw TooManyTokens(count: nil, limit: limit) }
      }
      try checkWanted()
    }
    let tokens = try encode(text, addSpecial: addSpecial, parseSpecial: parseSpecial)
    guard tokens.count <= limit else { throw TooManyTokens(count: tokens.count, limit: limit) }
    return tokens
  }
}

/// A text in pieces of at most `size` bytes, cut before the spaces between words where there are any.
struct TextPieces: Sequence, IteratorProtocol {
  /// Bytes of a piece at most.
  static let size = 8 << 10
  /// How far from its end a piece is cut at a space.
  private static let slack = 256
  /// What one cut adds to the tokens of a text at most, by a wide margin: the parts of a word or of a special token.
  static let tokensOfACut = 16

  private var rest: Substring

  init(_ text: String) { rest = text[...] }

  mutating func next() -> Substring? {
    guard !rest.isEmpty else { return nil }
    let bytes = rest.utf8
    guard let limit = bytes.index(bytes.startIndex, offsetBy: Self.size, limitedBy: bytes.endIndex),
      limit < bytes.endIndex
    else {
      defer { rest = "" }
      return rest
    }
    let end = Self.cut(bytes, near: limit)
    defer { rest = rest[end...] }
    return rest[..<end]
  }

  private static func cut(_ bytes: Substring.UTF8View, near limit: String.Index) -> String.Index {
    var at = limit
    for _ in 0..<slack {
      let before = bytes.index(before: at)
      if isSpace(bytes[at]), !isSpace(bytes[before]) { return at }
      at = before
    }
    // No word ends here: at a character's first byte.
    at = limit
    while bytes[at] & 0b1100_0000 == 0b1000_0000 { at = bytes.index(before: at) }
    return at
  }

  private static func isSpace(_ byte: UInt8) -> Bool { byte == 0x20 || (0x09...0x0D).contains(byte) }
}
