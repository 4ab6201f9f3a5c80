import ConstrainedDecoding
import SpeculationCore
import SpeculationTesting
import SplitMix
import Testing

/// Grammars that hold from where a text comes to them.
struct GrammarTriggerTests {
  static let calls = "root ::= \"<call>\" [0-9]+ \"</call>\""

  static func session(
    _ trigger: GrammarTrigger, _ grammar: String = calls, shown: [TokenID: [UInt8]] = [:],
    words: [String] = []
  ) throws -> GrammarSession {
    try GrammarSession(
      Grammar(GrammarRules(grammar), promptLength: 0, trigger: trigger, shownTokens: shown),
      tokens: ByteVocabulary(words: words).tokens, endTokens: [ByteVocabulary.endToken])
  }

  @Test(
    arguments: [
      ("", .whole), ("Hello", .whole), ("<cal", .whole), ("a <call>", .beginning), ("<call>1", .beginning),
      ("x<call>12</call>", .whole), ("<call>x", .forbidden), ("<call>1</call> more", .forbidden),
      ("<<call>7</call>", .whole), ("<call <call>x", .forbidden),
    ] as [(String, Verdict)])
  func aWordBeginsIt(text: String, expected: Verdict) throws {
    let session = try Self.session(GrammarTrigger(words: ["<call>"]))
    #expect(verdict(text, session) == expected)
  }

  @Test(
    arguments: [
      ("<think><call>x", .whole), ("<think><call>x</think><call>x", .forbidden),
      ("<think>a</think><call>7", .beginning), ("<call>1", .beginning),
      ("<think></think><think><call></think>", .whole),
    ] as [(String, Verdict)])
  func whatIsThoughtIsNotLookedAt(text: String, expected: Verdict) throws {
    let trigger = GrammarTrigger(words: ["<call>"], thinkingStart: "<think>", thinkingEnds: ["</think>"])
    #expect(verdict(text, try Self.session(trigger)) == expected)
  }

  @Test func thePromptMayHaveBegunToThink() throws {
    let trigger = GrammarTrigger(
      words: ["<call>"], thinkingStart: "<think>", thinkingEnds: ["</think>"], beginsThinking: true)
    let session = try Self.session(trigger)
    #expect(verdict("<call>x", session) == .whole)
    #expect(verdict("<call>x</think><call>x", session) == .forbidden)
  }

  /// As gpt-oss' and Functionary's templates have them.
  @Test(
    arguments: [
      (">>>x", #">>>(?!all)"#, "root ::= \">>>\" [0-9]", .forbidden),
      ("a>>>4", #">>>(?!all)"#, "root ::= \">>>\" [0-9]", .whole),
      // The first group that matched says where.
      ("<|start|>assistant to", #"<\|start\|>assistant(\s+to)"#, "root ::= \" to\" [0-9]", .beginning),
      ("b", #"^(?:a)$"#, "root ::= \"a\" \"!\"", .whole),
      ("a", #"^(?:a)$"#, "root ::= \"a\" \"!\"", .beginning),
    ] as [(String, String, String, Verdict)])
  func aPatternBeginsIt(text: String, pattern: String, grammar: String, expected: Verdict) throws {
    let trigger = GrammarTrigger(words: [], patterns: [pattern])
    #expect(verdict(text, try Self.session(trigger, grammar)) == expected)
  }

  @Test func aWrongPatternIsRefused() {
    #expect(throws: ConstraintError.self) {
      try Self.session(GrammarTrigger(words: [], patterns: ["("]))
    }
  }

  /// However a text is cut into tokens, the same is allowed; and what is said to be allowed is.
  @Test(arguments: 0..<40 as Range<UInt64>)
  func tokensDoNotMatter(seed: UInt64) throws {
    var random = SplitMix64(seed: seed)
    let pieces = ["<", "call", ">", "<call>", "12", "</call>", "<think>", "</think>", "a ", "ll>7<", "<c"]
    let trigger = GrammarTrigger(words: ["<call>"], thinkingStart: "<think>", thinkingEnds: ["</think>"])
    let session = try Self.session(trigger, words: pieces)
    var text: [TokenID] = []
    var bytes: [TokenID] = []
    for _ in 0..<12 {
      guard let state = session.state(after: text) else { break }
      let allowed = session.allowed(in: state)
      let word = Int.random(in: 0..<pieces.count, using: &random)
      let token = TokenID(256 + word)
      let isAllowed = session.allows(token, in: state)
      #expect(allowed.contains(Int(token)) == isAllowed, "seed \(seed)")
      text.append(token)
      bytes += pieces[word].utf8.map { TokenID($0) }
      #expect((session.state(after: bytes) != nil) == isAllowed, "seed \(seed): \(text)")
      #expect((session.state(after: text) != nil) == isAllowed, "seed \(seed): \(text)")
    }
  }

  /// A control token whose name is part of what the grammar describes.
  @Test func shownTokensHaveTheirNames() throws {
    let shown: [TokenID: [UInt8]] = [256: Array("<call>".utf8)]
    let session = try Self.session(GrammarTrigger(words: ["<call>"]), shown: shown, words: [""])
    let state = try #require(session.state(after: [TokenID(UInt8(ascii: "a")), 256]))
    #expect(session.allowed(in: state).contains(Int(UInt8(ascii: "7"))))
    #expect(!session.allowed(in: state).contains(256))
    let bound = try Self.session(
      GrammarTrigger(words: ["!"]), "root ::= \"!<call>\"", shown: shown, words: [""])
    let after = try #require(bound.state(after: [TokenID(UInt8(ascii: "!"))]))
    #expect(bound.allowed(in: after).contains(256))
  }

  @Test func theBeginningIsInThePrompt() throws {
    let session = try GrammarSession(
      Grammar(GrammarRules("root ::= \"assistant:\" [0-9]+"), promptLength: 0, beginning: "assistant:"),
      tokens: ByteVocabulary().tokens, endTokens: [ByteVocabulary.endToken])
    #expect(verdict("12", session) == .whole && verdict("a", session) == .forbidden)
  }
}
