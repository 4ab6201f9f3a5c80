import Foundation
import StrictJSON
import Testing

struct JSONReaderTests {
  func read(_ text: String) -> Result<JSONNode, JSONError> {
    do {
      return .success(try JSONReader.read(Array(text.utf8)))
    } catch {
      return .failure(error)
    }
  }

  @Test(arguments: [
    ("", "ends where a value"), ("{", "key in double quotes"), ("[1,]", "no value begins"),
    ("{\"a\":1,\"a\":2}", "\"a\" occurs twice"), ("{\"a\" 1}", "colon"), ("01", "may not begin with 0"),
    ("1e999", "too large"), ("-", "needs a digit"), ("1.", "needs a digit"), ("1e", "needs a digit"),
    ("NaN", "no value begins"), ("Infinity", "no value begins"), ("tru", "no value begins"),
    ("\"\\uD800\"", "surrogate"), ("\"\\uDC00\"", "surrogate"), ("\"\\uD800\\u0041\"", "surrogate"),
    ("\"\\x\"", "no escape"), ("\"\\u12G4\"", "hexadecimal"), ("\"a", "has no end"), ("\"\u{1}\"", "control"),
    ("1 2", "more after the end"), ("{\"a\":1 \"b\":2}", "comma"), ("'a'", "no value begins"),
    ("[1 2]", "comma"), ("// c\n1", "no value begins"), ("\u{FEFF}1", "no value begins"),
  ])
  func malformedTextIsRefusedWithItsPlace(text: String, reason: String) throws {
    guard case .failure(let error) = read(text) else {
      Issue.record("\(text) was accepted")
      return
    }
    #expect(error.description.contains(reason), "\(text): \(error)")
    #expect((0...text.utf8.count).contains(error.offset))
  }

  @Test func limitsHold() {
    let deep = String(repeating: "[", count: 100_000)
    guard case .failure(let error) = read(deep) else {
      Issue.record("accepted")
      return
    }
    #expect(error.reason.contains("nested"))
    let many = "[" + String(repeating: "1,", count: 300_000) + "1]"
    guard case .failure(let error) = read(many) else {
      Issue.record("accepted")
      return
    }
    #expect(error.reason.contains("more than 200000 values"))
    guard case .failure = read(String(repeating: "1", count: 1_000)) else {
      Issue.record("a number of 1,000 digits was accepted")
      return
    }
  }

  @Test func invalidUTF8IsRefused() {
    for bytes: [UInt8] in [
      [0xFF], [0xC0, 0x80], [0xED, 0xA0, 0x80], [0xF5, 0x80, 0x80, 0x80], [0xE2, 0x82],
    ] {
      #expect(throws: JSONError.self) { try JSONReader.read([0x22] + bytes + [0x22]) }
    }
  }

  @Test func valuesAreWhatFoundationReads() throws {
    let text = #"""
      {"a": [1, -2, 3.5, 0.25, 0], "é\n": "\u00e9\ud83d\ude00\"\\\/\b\f\r\t", "": {},
       "t": true, "f": false, "n": null}
      """#
    func canonical(_ value: Any) throws -> String {
      String(
        decoding: try JSONSerialization.data(withJSONObject: value, options: [.sortedKeys]), as: UTF8.self)
    }
    func plain(_ node: JSONNode) -> Any {
      switch node.value {
      case .null: NSNull()
      case .bool(let flag): flag
      case .integer(let value): Int(value)
      case .real(let value): value
      case .string(let text): text
      case .array(let elements): elements.map(plain)
      case .object(let members): Dictionary(uniqueKeysWithValues: members.map { ($0.key, plain($0.node)) })
      }
    }
    let own = try canonical(plain(try JSONReader.read(Array(text.utf8))))
    let theirs = try canonical(JSONSerialization.jsonObject(with: Data(text.utf8)))
    #expect(own == theirs)
  }

  @Test func keysKeepTheirOrderAndValuesTheirBytes() throws {
    let text = #"{"z": 1, "a": {"y" : [ 1 ], "b": 2}, "m": 3}"#
    let node = try JSONReader.read(Array(text.utf8))
    guard case .object(let members) = node.value else {
      Issue.record("no object")
      return
    }
    #expect(members.map(\.key) == ["z", "a", "m"])
    #expect(
      String(decoding: Array(text.utf8)[members[1].node.range], as: UTF8.self) == #"{"y" : [ 1 ], "b": 2}"#)
  }
}
