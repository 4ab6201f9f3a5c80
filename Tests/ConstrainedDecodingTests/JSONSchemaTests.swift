import ConstrainedDecoding
import Foundation
import Simulator
import SpeculationCore
import SpeculationTesting
import SplitMix
import Testing

@Suite struct JSONSchemaTests {
  /// Schemas, documents that their grammars allow, and documents that they must not.
  static let cases: [(schema: String, allowed: [String], forbidden: [String])] = [
    (
      #"{"type":"object","properties":{"b":{"type":"string"},"a":{"type":"integer"}},"required":["b","a"],"additionalProperties":false}"#,
      [#"{"b":"x","a":1}"#, #"{ "b": "x", "a": -20 }"#, "{\n  \"b\": \"\\u00e9\\n\",\n  \"a\": 0\n}"],
      [
        #"{"a":1,"b":"x"}"#, #"{"b":"x"}"#, #"{"b":"x","a":01}"#, #"{"b":"x","a":1,"c":2}"#, "{}",
        #"{"b":"x","a":1.5}"#,
      ]
    ),
    (
      #"{"properties":{"a":{"type":"null"},"b":{"type":"boolean"},"c":{"const":3}},"required":["b"]}"#,
      [#"{"b":true}"#, #"{"a":null,"b":false}"#, #"{"a":null,"b":true,"c":3}"#, #"{"b":true,"c":3}"#],
      [
        #"{}"#, #"{"a":null}"#, #"{"b":true,"a":null}"#, #"{,"b":true}"#, #"{"b":true,}"#,
        #"{"b":true,"c":4}"#,
      ]
    ),
    (
      #"{"type":"object","properties":{"ab":{"type":"integer"},"ac":{"type":"integer"}},"additionalProperties":{"type":"string"}}"#,
      [
        "{}", #"{"ab":1}"#, #"{"ac":1,"a":"x"}"#, #"{"x":"y","z":"w"}"#, #"{"abc":"x"}"#, #"{"":"x"}"#,
        #"{"ab":1,"ac":2,"q":"r"}"#, #"{"b":"x"}"#,
      ],
      [#"{"ab":"x"}"#, #"{"x":1}"#, #"{"x":"y","ab":1}"#, #"{"ac":"x"}"#, #"{"\u0061b":"x"}"#]
    ),
    (#"{"type":"object"}"#, [#"{}"#, #"{"a":[1,{"b":null}]}"#], ["[]", "1"]),
    (#"{"type":"object","additionalProperties":false}"#, ["{}", "{ }"], [#"{"a":1}"#]),
    (
      #"{"type":"array","items":{"type":"integer"},"minItems":1,"maxItems":3}"#,
      ["[1]", "[1,2]", "[ 1, 2, 3 ]"], ["[]", "[1,2,3,4]", "[1,]", "[,1]", #"["a"]"#]
    ),
    (
      #"{"type":"array","items":{"type":"null"}}"#, ["[]", "[null]", "[null,null,null,null]"],
      ["[1]", "[null"]
    ),
    (#"{"type":"array","items":{"type":"null"},"maxItems":0}"#, ["[]"], ["[null]"]),
    (#"{"type":"array","items":{"type":"null"},"maxItems":1}"#, ["[]", "[null]"], ["[null,null]"]),
    (
      #"{"prefixItems":[{"type":"integer"},{"type":"string"}],"items":{"type":"boolean"},"minItems":1}"#,
      ["[1]", #"[1,"a"]"#, #"[1,"a",true,false]"#], ["[]", #"["a"]"#, #"[1,true]"#, #"[1,"a","b"]"#]
    ),
    (
      #"{"prefixItems":[{"type":"integer"},{"type":"string"}],"items":false,"minItems":2}"#, [#"[1,"a"]"#],
      ["[1]", #"[1,"a",1]"#]
    ),
    (
      #"{"type":"string","minLength":2,"maxLength":4}"#, [#""ab""#, #""abcd""#, #""\n\"""#, #""é😀""#],
      [#""a""#, #""abcde""#, #""""#]
    ),
    (#"{"type":"string"}"#, [#""""#, #""a\u00e9\ud83d\ude00""#], [#""\ud83d""#, #""\x""#, "\"\n\"", "'a'"]),
    (#"{"enum":["a\"b",1,null,{"k":[1,2]}]}"#, [#""a\"b""#, "1", "null", #"{"k":[1,2]}"#], ["2", #""a""#]),
    (
      #"{"type":"integer","minimum":7,"maximum":123}"#, ["7", "9", "10", "99", "100", "123"],
      ["6", "124", "-7", "007", "1000"]
    ),
    (
      #"{"type":"integer","minimum":-15,"exclusiveMaximum":3}"#, ["-15", "-9", "-1", "0", "2"],
      ["-16", "3", "-0", "10"]
    ),
    (#"{"type":"integer","exclusiveMinimum":0}"#, ["1", "10", "999999"], ["0", "-1", "01"]),
    (#"{"type":"integer","maximum":-3}"#, ["-3", "-10", "-99"], ["-2", "0", "3"]),
    (#"{"type":"number"}"#, ["0", "-1.5", "1e5", "12.25E-3"], [".5", "1.", "+1", "1e", "1e1000"]),
    (#"{"type":"number","minimum":0}"#, ["0", "1.5"], ["-1"]),
    (#"{"type":["string","null"],"maxLength":1}"#, [#""a""#, "null"], [#""ab""#, "1"]),
    (
      #"{"anyOf":[{"type":"integer"},{"type":"array","items":{"type":"integer"}}]}"#, ["1", "[1]"], [#""a""#]
    ),
    (#"{"oneOf":[{"const":"a"},{"const":"b"}],"description":"x"}"#, [#""a""#, #""b""#], [#""c""#]),
    (
      ##"{"allOf":[{"$ref":"#/$defs/p"},{"type":"object","properties":{"y":{"type":"integer"}},"required":["y","x"]}],"$defs":{"p":{"type":"object","properties":{"x":{"type":"integer"}}}}}"##,
      [#"{"x":1,"y":2}"#], [#"{"y":2}"#, #"{"x":1}"#]
    ),
    (
      ##"{"$ref":"#/$defs/tree","$defs":{"tree":{"type":"object","properties":{"v":{"type":"integer"},"kids":{"type":"array","items":{"$ref":"#/$defs/tree"}}},"required":["v"]}}}"##,
      [#"{"v":1}"#, #"{"v":1,"kids":[{"v":2,"kids":[]},{"v":3}]}"#],
      [#"{"kids":[]}"#, #"{"v":1,"kids":[1]}"#]
    ),
    (
      ##"{"type":"object","properties":{"next":{"anyOf":[{"$ref":"#"},{"type":"null"}]}},"required":["next"]}"##,
      [#"{"next":null}"#, #"{"next":{"next":null}}"#], [#"{"next":{}}"#]
    ),
    (
      #"{"type":"string","format":"date"}"#, [#""2024-02-28""#, #""1999-12-31""#],
      [#""2024-02-30""#, #""2024-13-01""#, #""2024-04-31""#]
    ),
    (
      #"{"type":"string","format":"date-time"}"#,
      [#""2024-02-28T23:59:59Z""#, #""2024-01-01T00:00:00.5+01:30""#],
      [#""2024-01-01""#, #""2024-01-01T24:00:00Z""#]
    ),
    (#"{"type":"string","format":"uuid"}"#, [#""123e4567-e89b-12d3-a456-426614174000""#], [#""123e4567""#]),
    (#"{"type":"string","format":"ipv4"}"#, [#""255.0.19.1""#], [#""256.0.0.1""#, #""1.2.3""#]),
    (
      #"{"type":"string","pattern":"^[A-Z]{2}-\\d+$"}"#, [#""AB-1""#, #""QQ-123""#],
      [#""A-1""#, #""AB-""#, #""xAB-1""#]
    ),
    (#"{"type":"string","pattern":"b+"}"#, [#""b""#, #""abba""#], [#""a""#, #""""#]),
    (
      #"{"type":"string","pattern":"^(?:a|\"|\\\\)\\n?[^a-z\"]$"}"#, [#""a!""#, #""\"\nX""#, #""\\\\""#],
      [#""ab""#, #""a\"""#]
    ),
    (#"{"type":"string","pattern":"^x$|^y"}"#, [#""x""#, #""yz""#], [#""xz""#, #""zy""#]),
    ("{}", ["1", "[{}]", #"{"a":1}"#, #""x""#], ["", "x"]),
    ("true", ["null"], ["nul"]),
    (#"{"description":"free","x-order":3}"#, ["1.5"], ["a"]),
    (
      #"{"type":"object","properties":{"a\"\\é":{"const":1}},"required":["a\"\\é"]}"#, [#"{"a\"\\é":1}"#],
      ["{}"]
    ),
  ]

  @Test(arguments: cases.indices)
  func allowsWhatTheSchemaAllows(index: Int) throws {
    let (schema, allowed, forbidden) = Self.cases[index]
    let session = try ByteVocabulary().session(JSONSchemaGrammar.rules(schema: Array(schema.utf8)).text)
    for text in allowed { #expect(verdict(text, session) == .whole, "\(schema): \(text)") }
    for text in forbidden { #expect(verdict(text, session) != .whole, "\(schema): \(text)") }
  }

  /// Bounds of integers, against counting.
  @Test func integerBoundsAreExact() throws {
    try forEachSeed(count: 40) { seed in
      var random = SplitMix64(seed: seed)
      let low = Int.random(in: -1200...1200, using: &random)
      let high = low + Int.random(in: 0...1500, using: &random)
      let schema = #"{"type":"integer","minimum":\#(low),"maximum":\#(high)}"#
      let session = try ByteVocabulary().session(JSONSchemaGrammar.rules(schema: Array(schema.utf8)).text)
      for value in -3000...3000 {
        #expect(
          (verdict("\(value)", session) == .whole) == (low...high).contains(value), "\(schema): \(value)")
      }
    }
  }

  /// Random walks through every schema's grammar: what comes out is JSON, and what the walk says is over can be
  /// read back by another reader.
  @Test(arguments: cases.indices)
  func whatComesOutIsJSON(index: Int) throws {
    let words = ["\": ", "\",", "\"}", "},", "true", "null", "\"a", "12", "\\\""]
    let session = try ByteVocabulary(words: words).session(
      JSONSchemaGrammar.rules(schema: Array(Self.cases[index].schema.utf8)).text)
    let closing = Set("\"}],:".utf8.map { TokenID($0) })
    try forEachSeed(count: 25) { seed in
      var random = SplitMix64(seed: seed)
      var text: [TokenID] = []
      var isComplete = false
      while text.count < 600, !isComplete {
        let state = try #require(session.state(after: text))
        let set = session.allowed(in: state)
        let all = (1..<TokenID(256 + words.count)).filter { set.contains(Int($0)) }
        if session.allows(ByteVocabulary.endToken, in: state), all.isEmpty || Bool.random(using: &random) {
          isComplete = true
        } else {
          // Mostly towards the end, or texts would grow for ever.
          let near = all.filter(closing.contains)
          let pick = Int.random(in: 0..<3, using: &random) > 0 && !near.isEmpty ? near : all
          text.append(try #require(pick.randomElement(using: &random)))
        }
      }
      guard isComplete else { return }
      let bytes = text.flatMap { $0 < 256 ? [UInt8($0)] : Array(words[Int($0) - 256].utf8) }
      #expect(
        throws: Never.self, "seed \(seed): \(String(decoding: bytes, as: UTF8.self))"
      ) { try JSONSerialization.jsonObject(with: Data(bytes), options: .fragmentsAllowed) }
    }
  }

  static let refused: [(schema: String, place: String, reason: String)] = [
    ("", "", "not valid JSON"),
    ("{", "", "not valid JSON"),
    (#"{"type":"object"} x"#, "", "something follows"),
    (#"{"a":1,"a":2}"#, "", "twice"),
    ("[]", "", "not an array"),
    ("false", "", "allows nothing"),
    (#"{"type":"thing"}"#, "/type", "no type thing"),
    (#"{"type":7}"#, "/type", "not a number"),
    (#"{"type":[]}"#, "/type", "at least one"),
    (#"{"not":{}}"#, "/not", "keyword not is not supported"),
    (
      #"{"properties":{"a/b":{"type":"string","contentEncoding":"x"}}}"#, "/properties/a~1b/contentEncoding",
      "not supported"
    ),
    (#"{"type":"object","required":["a"]}"#, "/required", "a is required"),
    (#"{"type":"object","required":"a"}"#, "/required", "list of strings"),
    (#"{"type":"object","patternProperties":{}}"#, "/patternProperties", "not supported"),
    (#"{"type":"array","uniqueItems":true}"#, "/uniqueItems", "not supported"),
    (#"{"type":"array","minItems":3,"maxItems":2}"#, "/maxItems", "below minItems"),
    (#"{"type":"array","minItems":-1}"#, "/minItems", "whole number"),
    (#"{"type":"array","maxItems":100000}"#, "/maxItems", "at most 10000"),
    (#"{"type":"array","items":false,"minItems":1}"#, "/minItems", "0 items at most"),
    (#"{"type":"string","format":"email"}"#, "/format", "ipv4"),
    (#"{"type":"string","pattern":"a","minLength":1}"#, "/pattern", "together"),
    (#"{"type":"string","pattern":"(?=a)"}"#, "/pattern", "(?:"),
    (#"{"type":"string","pattern":"a*?"}"#, "/pattern", "lazy"),
    (#"{"type":"string","pattern":"(a"}"#, "/pattern", "no )"),
    (#"{"type":"string","pattern":"[b-a]"}"#, "/pattern", "range"),
    (#"{"type":"string","pattern":"\\1"}"#, "/pattern", "escape"),
    (#"{"type":"string","pattern":"a$b"}"#, "/pattern", "at the end only"),
    (#"{"type":"number","maximum":5}"#, "/maximum", "integers only"),
    (#"{"type":"integer","minimum":5,"maximum":4}"#, "", "no integer"),
    (#"{"type":"integer","minimum":1e30}"#, "/minimum", "16 digits"),
    (#"{"type":"integer","multipleOf":2}"#, "/multipleOf", "not supported"),
    (#"{"enum":[]}"#, "/enum", "at least one"),
    (#"{"type":"string","enum":["a",1]}"#, "/enum", "1 is not of type string"),
    (#"{"anyOf":[]}"#, "/anyOf", "at least one"),
    (#"{"anyOf":[{"type":"string"}],"minLength":1}"#, "/minLength", "beside anyOf"),
    (#"{"allOf":[{"type":"string"},{"type":"object"}]}"#, "/allOf/0", "objects only"),
    (##"{"$ref":"#/$defs/x"}"##, "/$ref", "nothing at"),
    (#"{"$ref":"http://example.org/x"}"#, "/$ref", "within the schema"),
    (##"{"$ref":"#"}"##, "", "begin with itself"),
    (##"{"anyOf":[{"$ref":"#"},{"type":"null"}]}"##, "", "begin with itself"),
    (
      ##"{"allOf":[{"$ref":"#/$defs/a"},{"type":"object"}],"$defs":{"a":{"$ref":"#/$defs/a"}}}"##, "",
      "on and on"
    ),
    (String(repeating: "[", count: 100_000), "", "nested more than 64"),
    (
      String(repeating: #"{"items":"#, count: 70) + "true" + String(repeating: "}", count: 70), "",
      "nested more"
    ),
    (String(repeating: " ", count: 200_000), "", "at most 131072"),
    (#"{"enum":[\#(Array(repeating: "1", count: 1001).joined(separator: ","))]}"#, "/enum", "at most 1000"),
    (
      #"{"type":"array","items":{"type":"array","items":{"enum":[1]},"maxItems":10000},"prefixItems":[{"type":"string","maxLength":10000},{"type":"string","maxLength":9000}]}"#,
      "", "larger than"
    ),
  ]

  @Test(arguments: refused.indices)
  func refusesNamingThePlace(index: Int) {
    let (schema, place, reason) = Self.refused[index]
    let error = #expect(throws: ConstraintError.self) {
      try JSONSchemaGrammar.rules(schema: Array(schema.utf8)).text
    }
    let message = error?.description ?? ""
    #expect(
      message.contains(reason) && (place.isEmpty || message.contains("at \(place):")),
      "\(message.prefix(300))")
  }

  /// Long chains of references do not need a deep stack.
  @Test func longChainsOfReferences() throws {
    let links = (0..<2000).map { ##""d\##($0)":{"type":"array","items":{"$ref":"#/$defs/d\##($0 + 1)"}}"## }
    let schema =
      ##"{"$ref":"#/$defs/d0","$defs":{\##(links.joined(separator: ",")),"d2000":{"type":"null"}}}"##
    let session = try ByteVocabulary().session(JSONSchemaGrammar.rules(schema: Array(schema.utf8)).text)
    #expect(verdict("[[[]]]", session) == .whole)
  }

  @Test func anyObjectIsAnObject() throws {
    let session = try ByteVocabulary().session(JSONSchemaGrammar.anyObject)
    #expect(verdict(#"{"a": [1, 2.5, {"b": null}], "c": "\n"}"#, session) == .whole)
    #expect(verdict("[]", session) == .forbidden)
    // White space cannot go on for ever.
    #expect(verdict("{  ", session) == .forbidden)
    #expect(verdict("{\n" + String(repeating: " ", count: 40), session) == .forbidden)
  }

  /// Random changes to schemas: an error or a grammar, never a crash.
  @Test func anyBytesCanBeASchema() throws {
    let pieces = Array(#"{}[]",:0123-e\truefalsn$#/"#.utf8)
    try forEachSeed(count: 3000) { seed in
      var random = SplitMix64(seed: seed)
      var bytes = Array((Self.cases.randomElement(using: &random)?.schema ?? "").utf8)
      for _ in 0..<Int.random(in: 1...4, using: &random) {
        let at = Int.random(in: 0..<max(1, bytes.count), using: &random)
        if Bool.random(using: &random), at < bytes.count {
          bytes[at] = UInt8.random(in: 0...255, using: &random)
        } else {
          bytes.insert(pieces.randomElement(using: &random) ?? 0, at: min(at, bytes.count))
        }
      }
      do { _ = try JSONSchemaGrammar.rules(schema: bytes) } catch { #expect(error is ConstraintError) }
    }
  }
}
