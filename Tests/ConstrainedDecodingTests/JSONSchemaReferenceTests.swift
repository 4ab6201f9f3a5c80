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

  @Test func theFixtureIsThere() { #expect(Self.references.count { $0.grammar != nil } >= 65) }

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
      // Their strings may hold halves of surrogate pairs, and some of their numbers begin with 0.
      if let document = try Self.document(of: theirs, &random), var text = try? Self.written(document),
        !Self.weLeaveOut(text, reference.schema)
      {
        compared.theirs += 1
        // Ours are of small letters.
        if reference.schema.contains("\"uuid\"") { text = text.lowercased() }
        #expect(verdict(text, ours) == .whole, "seed \(seed): llama.cpp's grammar allows \(text)")
      }
      if let document = try Self.document(of: ours, &random) {
        let text: String
        do {
          text = try Self.written(document)
        } catch let error as JSONError where error.reason.contains("twice") {
          // No grammar can keep count of the keys that an object has already.
          return
        }
        if Self.theyLeaveOut(text, reference.schema) { return }
        compared.ours += 1
        #expect(verdict(text, theirs) == .whole, "seed \(seed): our grammar allows \(text)")
      }
    }
    #expect(compared.ours > 1 && compared.theirs > 1, "\(compared) documents of 40")
  }

  /// Exponents of three digits and more, days that no month has, the control character U+007F as it is.
  private static func weLeaveOut(_ text: String, _ schema: String) -> Bool {
    if text.contains(/[0-9][eE][-+]?[0-9]{3}/) || text.contains("\u{7F}") { return true }
    return schema.contains("\"date") && text.contains(/-(02-29|02-3|(04|06|09|11)-31)/)
  }

  /// Arrays shorter or longer than their `prefixItems`, which the schemas allow; fractions of a second that have not three digits.
  private static func theyLeaveOut(_ text: String, _ schema: String) -> Bool {
    if schema.contains("prefixItems") {
      return elementCount(of: text) != schema.matches(of: /"type"/).count - 1
    }
    return schema.contains("time\"") && text.contains(/\./) && !text.contains(/\.[0-9]{3}[^0-9]/)
  }

  /// Elements of the array that a document is.
  private static func elementCount(of text: String) -> Int {
    guard case .array(let items)? = try? JSONReader.read(Array(text.utf8)).value else { return 0 }
    return items.count
  }

  /// What a grammar allows; nil where the walk through it did not end.
  private static func document(of session: GrammarSession, _ random: inout SplitMix64) throws -> [UInt8]? {
    let closing = Set("\"}],:".utf8.map { TokenID($0) })
    var text: [TokenID] = []
    while text.count < 400 {
      let state = try #require(session.state(after: text))
      let set = session.allowed(in: state)
      let all = (1..<TokenID(256)).filter { set.contains(Int($0)) }
      if session.allows(ByteVocabulary.endToken, in: state), all.isEmpty || Bool.random(using: &random) {
        return text.map { UInt8($0) }
      }
      // Mostly towards the end, or texts would grow for ever.
      let near = all.filter(closing.contains)
      let pick = Int.random(in: 0..<3, using: &random) > 0 && !near.isEmpty ? near : all
      text.append(try #require(pick.randomElement(using: &random)))
    }
    return nil
  }

  /// - Throws: `JSONError` when it is no JSON
  private static func written(_ document: [UInt8]) throws -> String {
    var output: [UInt8] = []
    write(try JSONReader.read(document), of: document, to: &output)
    return String(decoding: output, as: UTF8.self)
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
