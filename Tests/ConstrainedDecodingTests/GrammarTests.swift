import ConstrainedDecoding
import Simulator
import SpeculationCore
import SpeculationTesting
import SplitMix
import Testing

enum Verdict: String {
  /// The grammar allows it, as a whole text.
  case whole
  /// The grammar allows texts that begin so.
  case beginning
  case forbidden
}

func verdict(_ text: String, _ session: GrammarSession) -> Verdict {
  guard let state = session.state(after: text.utf8.map { TokenID($0) }) else { return .forbidden }
  return session.allows(ByteVocabulary.endToken, in: state) ? .whole : .beginning
}

@Suite struct GrammarTests {
  static let cases: [(grammar: String, whole: [String], beginning: [String], forbidden: [String])] = [
    ("root ::= \"yes\" | \"no\"", ["yes", "no"], ["", "y", "ye", "n"], ["x", "yesx", "noo"]),
    ("root ::= [a-c]+ [^a-c]", ["ax", "abcé", "a€", "c😀"], ["", "a", "abc"], ["x", "ab\0"]),
    ("root ::= \"a\"{2,4}", ["aa", "aaa", "aaaa"], ["", "a"], ["aaaaa", "b"]),
    ("root ::= (\"ab\"){3}", ["ababab"], ["abab", "a"], ["abb", "abababa"]),
    ("root ::= \"ab\"*", ["", "ab", "abab"], ["a", "aba"], ["b", "aa"]),
    ("root ::= \"x\"{2,}", ["xx", "xxxxxxxx"], ["x"], ["y"]),
    (
      "root ::= a b?\na ::= \"(\" a \")\" | \"\"\nb ::= .", ["", "()", "(())x", "é", "("], ["(("],
      ["(x", "))"]
    ),
    ("# c\nroot ::= # here too\n  \"a\" (\n \"b\" |\n \"c\" ) # end\n", ["ab", "ac"], ["a"], ["b"]),
    ("root ::= \"\\x41\\u00e9\\U0001F600\\n\\\"\"", ["Aé😀\n\""], ["A", "Aé"], ["a"]),
    ("root ::= [\\]\\[\\-\\\\a-]", ["]", "[", "-", "\\", "a"], [""], ["b"]),
    ("root ::= ([a] | [a])* \"b\"", ["b", "aaab"], ["", "aa"], ["c"]),
    // Ambiguous in exponentially many ways.
    ("root ::= \"a\" root \"b\" | \"a\" root \"c\" | \"a\"", ["a", "aab", "aaabc"], ["aa"], ["ab"]),
    // Nullable in the middle, the same rule at several places.
    ("root ::= o o o \"!\"\no ::= \"x\" | \"\"", ["!", "x!", "xxx!"], ["xxx"], ["xxxx"]),
    // Ways from which no text leads to an end are none.
    ("root ::= \"yes\" | \"no\" [^\\x00-\\U0010FFFF]", ["yes"], ["", "ye"], ["n", "no"]),
    (
      "root ::= \"a\" b | \"c\" d?\nb ::= \"x\" b\nd ::= \"(\" b | \"!\"", ["c", "c!"], [""],
      ["a", "c(", "ax"]
    ),
    // Repetitions of what may be empty, as llama.cpp writes them for calls of tools.
    ("root ::= (\"a\"? [ ]?)+ \"b\"", ["b", "ab", "a a b"], ["", "a "], ["c"]),
    ("root ::= ((\"a\"?)* (\"b\"?)*)* \"c\"", ["c", "abbac"], ["ba"], ["d"]),
    ("root ::= n \"+\" n \"=\" n\nn ::= o o\no ::= [0-9]?", ["+=", "1+23=4"], ["12", "1+"], ["123"]),
  ]

  @Test(arguments: cases.indices)
  func saysWhatIsAllowed(index: Int) throws {
    let (grammar, whole, beginning, forbidden) = Self.cases[index]
    _ = try GrammarRules(grammar)
    let session = try ByteVocabulary().session(grammar)
    for text in whole { #expect(verdict(text, session) == .whole, "\(grammar): \(text)") }
    for text in beginning { #expect(verdict(text, session) == .beginning, "\(grammar): \(text)") }
    for text in forbidden { #expect(verdict(text, session) == .forbidden, "\(grammar): \(text)") }
  }

  /// Bytes that are no UTF-8, or could not become a character that is allowed, are forbidden at once.
  @Test func bytesOfCharactersAreFollowed() throws {
    let session = try ByteVocabulary().session("root ::= [à-ÿ€😀]")
    func allowed(_ bytes: [UInt8]) -> Bool { session.state(after: bytes.map { TokenID($0) }) != nil }
    #expect(allowed([0xC3]) && allowed([0xC3, 0xA0]) && !allowed([0xC3, 0x80]))
    #expect(allowed([0xE2, 0x82, 0xAC]) && !allowed([0xE2, 0x83]) && !allowed([0xC2]))
    #expect(allowed([0xF0, 0x9F, 0x98, 0x80]) && !allowed([0xF0, 0x9F, 0x98, 0x81]))
    let any = try ByteVocabulary().session("root ::= .*")
    func anything(_ bytes: [UInt8]) -> Bool { any.state(after: bytes.map { TokenID($0) }) != nil }
    for bad: [UInt8] in [
      [0x80], [0xC0], [0xC1], [0xF5], [0xFF], [0xE0, 0x80], [0xE0, 0x9F], [0xED, 0xA0], [0xED, 0xBF],
      [0xF0, 0x80], [0xF4, 0x90], [0xC3, 0x41],
    ] {
      #expect(!anything(bad), "\(bad)")
    }
    for good: [UInt8] in [[0xE0, 0xA0], [0xED, 0x9F], [0xEE, 0x80], [0xF0, 0x90], [0xF4, 0x8F]] {
      #expect(anything(good), "\(good)")
    }
  }

  static let refused: [(grammar: String, reason: String)] = [
    ("", "no rule root"),
    ("start ::= \"a\"", "no rule root"),
    ("root ::= thing", "line 1: there is no rule thing"),
    ("root ::= \"a\"\n\nroot ::= \"b\"", "line 3: rule root is there twice"),
    ("root ::= \"a", "a literal has no end"),
    ("root ::= [a", "a character class has no end"),
    ("root ::= []", "empty"),
    ("root ::= [b-a]", "ends before it begins"),
    ("root ::= (\"a\"", "a ( has no )"),
    ("root ::= \"a\")", "expected the end of the line"),
    ("root ::= *", "nothing before it"),
    ("root = \"a\"", "expected ::="),
    ("root ::= \"\\q\"", "no escape"),
    ("root ::= \"\\x4\"", "2 hexadecimal digits"),
    ("root ::= <[7]>", "token literals"),
    ("root ::= \"a\"{5,3}", "{5,3}"),
    ("root ::= \"a\"{0,100000}", "at most 10000 repetitions"),
    ("root ::= \"a\"{99999999999999999999999}", "at most 10000 repetitions"),
    ("root ::= \"a\"{x}", "expected a number"),
    ("root ::= root \"a\" | \"a\"", "rule root can begin with itself"),
    ("root ::= a\na ::= b \"x\"\nb ::= a | \"y\"", "can begin with itself"),
    // What llama.cpp does not find: e is empty only through f.
    ("root ::= e root \"x\" | \"y\"\ne ::= f\nf ::= \"\"", "can begin with itself"),
    ("root ::= " + String(repeating: "(", count: 100_000), "nested more than 64"),
    ("root ::= \"" + String(repeating: "a", count: 300_000) + "\"", "at most 262144"),
    (
      "root ::= (\"" + String(repeating: "a", count: 60_000) + "\"){2} \""
        + String(repeating: "b", count: 60_000)
        + "\"", "larger than 100000"
    ),
    ("root ::= \"a\"{10000} \"a\"{10000}{10000} [a-z]{0,10000} [a-z]{0,10000} [a-z]{0,10000}", "larger than"),
    ("root ::= \"a\"" + String(repeating: "?", count: 1000), "more than 8"),
    ("root ::= \(String(repeating: "n", count: 300)) \"a\"", "at most 256 bytes"),
    ("\u{0}", "expected a rule's name"),
    ("root ::= \"hello\" [^\\x00-\\U0010FFFF]", "no text follows it"),
    ("root ::= \"a\" root", "no text follows it"),
    ("root ::= [\\x00]", "no text follows it"),
    ("root ::= a | b\na ::= \"x\" b\nb ::= \"y\" a", "no text follows it"),
  ]

  @Test(arguments: refused.indices)
  func refusesWithAReason(index: Int) {
    let (grammar, reason) = Self.refused[index]
    let error = #expect(throws: ConstraintError.self) { _ = try GrammarRules(grammar) }
    #expect(error?.description.contains(reason) == true, "\(error?.description.prefix(300) ?? "")")
  }

  @Test(arguments: cases.indices)
  func wholeTextsAreAccepted(index: Int) throws {
    let (grammar, whole, beginning, forbidden) = Self.cases[index]
    let rules = try GrammarRules(grammar)
    for text in whole { #expect(rules.accepts(text.utf8), "\(grammar): \(text)") }
    for text in beginning + forbidden { #expect(!rules.accepts(text.utf8), "\(grammar): \(text)") }
  }

  /// Grammars that would take exponential time or space: looked through in no time, or cut off.
  @Test func hostileGrammarsEnd() throws {
    // Leftmost calls that fan out at each of 2,000 rules.
    let fan =
      "root ::= a0\n" + (0..<2000).map { "a\($0) ::= a\($0 + 1) | a\($0 + 1)\n" }.joined()
      + "a2000 ::= \"x\"\n"
    let fanned = try ByteVocabulary().session(fan)
    #expect(verdict("x", fanned) == .whole)
    // The same with something behind: a chain of frames deeper than what is allowed.
    let deep =
      "root ::= a0\n" + (0..<2000).map { "a\($0) ::= a\($0 + 1) \"y\"\n" }.joined() + "a2000 ::= \"x\"\n"
    #expect(throws: ConstraintError.self) { _ = try GrammarRules(deep) }
    // More ways to begin than are followed.
    let wide = "root ::= " + (0..<3000).map { "\"a\($0)\"" }.joined(separator: " | ")
    #expect(throws: ConstraintError.self) { _ = try GrammarRules(wide) }
    // Every text is a state of its own, and all of them are long.
    let letters = (0..<26).map { "\"\(UnicodeScalar(UInt8(97 + $0)))\"" }
    let palindromes = "root ::= " + letters.map { "\($0) root \($0)" }.joined(separator: " | ") + " | \"\""
    var random = SplitMix64(seed: 4)
    let words = (0..<20_000).map { _ in
      String(
        (0..<Int.random(in: 2...8, using: &random)).map { _ in
          Character(UnicodeScalar(UInt8.random(in: 97...122, using: &random)))
        })
    }
    let session = try ByteVocabulary(words: words).session(palindromes)
    var text: [TokenID] = []
    for _ in 0..<6 {
      let state = try #require(session.state(after: text))
      #expect(session.allowed(in: state).contains(Int(UInt8(ascii: "q"))))
      text.append(256 + TokenID.random(in: 0..<20_000, using: &random))
    }
    // Nesting beyond the limit is forbidden, not followed.
    let nested = try ByteVocabulary().session("root ::= \"(\" root \")\" | \"x\"")
    #expect(verdict(String(repeating: "(", count: 1000), nested) == .beginning)
    #expect(verdict(String(repeating: "(", count: 100_000), nested) == .forbidden)
  }

  /// What looking at all tokens says is what looking at each says, over random texts and words.
  @Test func masksAgreeWithSingleTokens() throws {
    let words = [
      "ab", "abc", "ba", "(", "((", "(x", "))", "x)", "é", "yes", "yesx", "no", "1+", "=", "xx", "!x",
    ]
    let vocabulary = ByteVocabulary(words: words)
    for (index, entry) in Self.cases.enumerated() {
      var random = SplitMix64(seed: UInt64(index))
      let session = try vocabulary.session(entry.grammar)
      for _ in 0..<20 {
        var text: [TokenID] = []
        for _ in 0..<12 {
          let state = try #require(session.state(after: text))
          let mask = session.allowed(in: state)
          let each = (0..<TokenID(256 + words.count)).filter { session.allows($0, in: state) }
          #expect(
            (0..<256 + words.count).filter { mask.contains($0) } == each.map { Int($0) }, "\(entry.grammar)")
          guard let next = each.filter({ $0 != 0 }).randomElement(using: &random) else { break }
          text.append(next)
        }
      }
    }
  }

  /// A state does not depend on how one came to it: from the start or from a text before, with what other texts
  /// left in the matcher.
  @Test func theWayDoesNotMatter() throws {
    let entry = Self.cases[11]
    let used = try ByteVocabulary().session(entry.grammar, promptLength: 2)
    try forEachSeed(count: 30) { seed in
      var random = SplitMix64(seed: seed)
      let fresh = try ByteVocabulary().session(entry.grammar, promptLength: 2)
      let text =
        [9, 9]
        + (0..<Int.random(in: 0..<14, using: &random)).map { _ in
          TokenID(UInt8(ascii: "a")) + TokenID.random(in: 0..<10, using: &random) / 7
        }
      let (a, b) = (used.state(after: text), fresh.state(after: text))
      #expect((a == nil) == (b == nil))
      guard let a, let b else { return }
      #expect(
        (0..<256).filter { used.allowed(in: a).contains($0) }
          == (0..<256).filter { fresh.allowed(in: b).contains($0) })
    }
  }

  /// Random bytes as a grammar: an error or a grammar, never a crash.
  @Test func anyBytesCanBeAGrammar() throws {
    let seeds = Self.cases.map { Array($0.grammar.utf8) }
    let pieces = Array("()[]{}|*+?.\"\\^-,0123456789ax:= \n#root<!é".utf8)
    try forEachSeed(count: 3000) { seed in
      var random = SplitMix64(seed: seed)
      var bytes = seeds.randomElement(using: &random) ?? []
      for _ in 0..<Int.random(in: 1...6, using: &random) {
        let at = Int.random(in: 0...bytes.count, using: &random)
        switch Int.random(in: 0..<3, using: &random) {
        case 0: bytes.insert(pieces.randomElement(using: &random) ?? 0, at: at)
        case 1 where at < bytes.count: bytes.remove(at: at)
        default:
          if at < bytes.count { bytes[at] = UInt8.random(in: 0...255, using: &random) }
        }
      }
      let text = String(decoding: bytes, as: UTF8.self)
      guard let session = try? ByteVocabulary().session(text) else { return }
      if let state = session.state(after: []) { _ = session.allowed(in: state) }
    }
  }
}
