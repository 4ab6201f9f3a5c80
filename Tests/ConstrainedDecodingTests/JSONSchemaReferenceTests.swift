import ConstrainedDecoding
import Foundation
import Simulator
import SpeculationCore
import SpeculationTesting
import SplitMix
import StrictJSON
import Testing

/// Our grammars of JSON Schemas and those of llama.cpp's converter allow the same documents.
///
/// White space and escapes apart, which each allows in its own way: what one grammar writes at random is read, written
/// again without spaces and with the least escapes, and given to the other. `Reference/make-reference` made the fixture.
@Suite struct JSONSchemaReferenceTests {
  struct Reference: Decodable {
    var schema: String
    var grammar: String?
  }

  static let references: [Reference] = {
    let folder = URL(filePath: #filePath).deletingLastPathComponent().appending(path: "Reference")
    let text = (try? String(contentsOf: folder.appending(path: "grammars.jsonl"), encoding: .utf8)) ?? ""
    return text.split(separator: "\n").compactMap {
      try? JSONDecoder().decode(Reference.self, from: Data($0.utf8))
    }
  }()

  @Test func theFixtureIsThere() { #expect(Self.references.count { $0.grammar != nil } >= 60) }

  @Test(arguments: references.indices)
  func whatOneWritesTheOtherAllows(index: Int) throws {
    let reference = Self.references[index]
    guard let grammar = reference.grammar else { return }
    let theirs = try ByteVocabulary().session(grammar)
    let ours = try ByteVocabulary().session(
      JSONSchemaGrammar.rules(schema: Array(reference.schema.utf8)).text)
    var compared = (ours: 0, theirs: 0)
    try forEachSeed(count: 40) { seed in
      var random = SplitMix64(seed: seed)
      if let text = try Self.text(of: theirs, &random), !Self.isOurOmission(text, reference.schema) {
        compared.theirs += 1
        #expect(verdict(text, ours) == .whole, "seed \(seed): llama.cpp's grammar allows \(text)")
      }
      if let text = try Self.text(of: ours, &random) {
        compared.ours += 1
        #expect(verdict(text, theirs) == .whole, "seed \(seed): our grammar allows \(text)")
      }
    }
    #expect(compared.ours > 5 && compared.theirs > 5, "\(compared) documents of 40")
  }

  /// What our grammars leave out on purpose, see `JSONSchemaGrammar`.
  private static func isOurOmission(_ text: String, _ schema: String) -> Bool { false }

  /// A document that a grammar allows, written without spaces; nil where the walk through it did not end.
  private static func text(of session: GrammarSession, _ random: inout SplitMix64) throws -> String? {
    let closing = Set("\"}],:".utf8.map { TokenID($0) })
    var text: [TokenID] = []
    while text.count < 400 {
      let state = try #require(session.state(after: text))
      let set = session.allowed(in: state)
      let all = (1..<TokenID(256)).filter { set.contains(Int($0)) }
      if session.allows(ByteVocabulary.endToken, in: state), all.isEmpty || Bool.random(using: &random) {
        let bytes = text.map { UInt8($0) }
        var writer: [UInt8] = []
        write(try JSONReader.read(bytes), of: bytes, to: &writer)
        return String(decoding: writer, as: UTF8.self)
      }
      // Mostly towards the end, or texts would grow for ever.
      let near = all.filter(closing.contains)
      let pick = Int.random(in: 0..<3, using: &random) > 0 && !near.isEmpty ? near : all
      text.append(try #require(pick.randomElement(using: &random)))
    }
    return nil
  }

  private static func write(_ node: JSONNode, of bytes: [UInt8], to output: inout [UInt8]) {
    switch node.value {
    case .string(let text): JSONString.append(text, to: &output)
    case .array(let items):
      output.append(UInt8(ascii: "["))
      for (index, item) in items.enumerated() {
        if index > 0 { output.append(UInt8(ascii: ",")) }
        write(item, of: bytes, to: &output)
      }
      output.append(UInt8(ascii: "]"))
    case .object(let members):
      output.append(UInt8(ascii: "{"))
      for (index, member) in members.enumerated() {
        if index > 0 { output.append(UInt8(ascii: ",")) }
        JSONString.append(member.key, to: &output)
        output.append(UInt8(ascii: ":"))
        write(member.node, of: bytes, to: &output)
      }
      output.append(UInt8(ascii: "}"))
    default: output += bytes[node.range]
    }
  }
}
