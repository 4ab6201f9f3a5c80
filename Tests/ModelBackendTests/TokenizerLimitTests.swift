import ModelBackend
import SpeculationCore
import Synchronization
import Testing

/// One token for every so many bytes, and some more for each text that it is given; remembers what that was.
private final class CountingTokenizer: Tokenizer {
  let bytesPerToken: Int
  let extra: Int
  let given = Mutex<[String]>([])

  init(bytesPerToken: Int, extra: Int = 0) {
    self.bytesPerToken = bytesPerToken
    self.extra = extra
  }

  func encode(_ text: String, addSpecial: Bool, parseSpecial: Bool) throws -> [TokenID] {
    given.withLock { $0.append(text) }
    return Array(repeating: 7, count: (text.utf8.count + bytesPerToken - 1) / bytesPerToken + extra)
  }

  func bytes(of token: TokenID) -> [UInt8] { [] }
  func render(_ conversation: Conversation) throws -> ChatPrompt { ChatPrompt(parts: [], addsSpecial: false) }
}

struct TokenizerLimitTests {
  private func encode(_ text: String, _ tokenizer: CountingTokenizer, limit: Int) throws -> [TokenID] {
    try tokenizer.encode(text, addSpecial: true, parseSpecial: true, limit: limit)
  }

  @Test func whatIsMuchTooLongIsNotTokenizedWhole() throws {
    let tokenizer = CountingTokenizer(bytesPerToken: 4)
    let error = #expect(throws: TooManyTokens.self) {
      try encode(String(repeating: "a", count: 4 << 20), tokenizer, limit: 511)
    }
    #expect(error?.description == "more than 511 tokens")
    #expect(tokenizer.given.withLock { $0.map(\.utf8.count).reduce(0, +) } < 32 << 10)
  }

  @Test(arguments: [511, 512])
  func theLimitIsExact(limit: Int) throws {
    // 512 tokens in three pieces, each of which has some more for being one.
    let tokenizer = CountingTokenizer(bytesPerToken: 48, extra: 0)
    let text = String(repeating: " ", count: 512 * 48)
    if limit == 512 {
      #expect(try encode(text, tokenizer, limit: limit).count == 512)
    } else {
      let error = #expect(throws: TooManyTokens.self) { try encode(text, tokenizer, limit: limit) }
      #expect(error?.description == "512 tokens")
    }
  }

  @Test func whatCutsAddDoesNotCount() throws {
    let tokenizer = CountingTokenizer(bytesPerToken: 1000, extra: 8)
    let text = String(repeating: "x", count: 1 << 20)
    #expect(try encode(text, tokenizer, limit: 1057).count == 1057)
  }

  @Test(arguments: ["word ", "é", "😀", "\n", "ab\tc", "a"])
  func piecesAreTheText(unit: String) throws {
    let tokenizer = CountingTokenizer(bytesPerToken: 4)
    let text = String(repeating: unit, count: 20_000)
    _ = try encode(text, tokenizer, limit: 1 << 20)
    let given = tokenizer.given.withLock { $0 }
    #expect(given.last == text)
    let pieces = given.dropLast()
    #expect(pieces.joined() == text)
    #expect(pieces.allSatisfy { $0.utf8.count <= 8 << 10 && !$0.contains("\u{FFFD}") })
    // Words stay whole.
    if unit == "word " { #expect(pieces.dropLast().allSatisfy { $0.hasSuffix("word") }) }
  }

  @Test func nobodyWaitsAnyMore() throws {
    struct Gone: Error {}
    let tokenizer = CountingTokenizer(bytesPerToken: 4)
    var asked = 0
    #expect(throws: Gone.self) {
      try tokenizer.encode(
        String(repeating: "a", count: 1 << 20), addSpecial: true, parseSpecial: true, limit: 1 << 20,
        checkWanted: {
          asked += 1
          if asked > 3 { throw Gone() }
        })
    }
    #expect(tokenizer.given.withLock { $0.count } == 2)
  }
}
