/// What generated text has to follow, in llama.cpp's GBNF notation.
///
/// A token is chosen as without the grammar; only where the grammar forbids the choice is it made again among what
/// the grammar allows. (llama.cpp does the same.)
public struct Grammar: Hashable, Sendable {
  public var text: String
  /// Where the generated text begins: tokens before it are the prompt.
  public var promptLength: Int

  /// Bytes of grammar text that are accepted.
  public static let maxBytes = 256 << 10

  public init(text: String, promptLength: Int) {
    self.text = text
    self.promptLength = promptLength
  }
}
