import Foundation
import Simulator
import SpeculationTesting
import SplitMix
import StrictYAML
import Testing

@Suite struct YAMLDocumentTests {
  @Test(arguments: [
    ("", "s.yaml: the file is empty"), ("# nothing\n", "s.yaml: the file is empty"),
    ("---\n", "s.yaml: the file is empty"),
    (
      "- a",
      "s.yaml:1: a file of settings is a mapping, not a list\n  hint: write lines such as \"name: fast\""
    ),
    (
      "a: 1\nb: 2\na: 3",
      "s.yaml:3: the key \"a\" occurs twice in one mapping (first on line 1)\n  hint: keep one of them"
    ),
    (
      "x:\n  a: 1\n  b: {a: a}\n\n  'a': 3\n  a: 4",
      "s.yaml:5: the key \"a\" occurs twice in one mapping (first on line 2)\n  hint: keep one of them"
    ),
    (
      "x: {a: 1,\n b: a,\n a: 2}",
      "s.yaml:3: the key \"a\" occurs twice in one mapping (first on line 1)\n  hint: keep one of them"
    ),
    (
      "a*: 1\r\nb: 2\r\na*: 3",
      "s.yaml:3: the key \"a*\" occurs twice in one mapping (first on line 1)\n  hint: keep one of them"
    ),
    (
      "a: 1\n\"\\x61\": 3",
      "s.yaml:1: the key \"a\" occurs twice in one mapping (first on line 1)\n  hint: keep one of them"
    ),
    (
      "a: 1\n---\nb: 2",
      "s.yaml:2: a second document begins here\n  hint: one file is one document; remove the ---"
    ),
    ("a: 1\nb: &x 2", "s.yaml:2: anchors (&name) are not allowed\n  hint: write the value where it is used"),
    (
      "a: 1\nb: &x {c: 2}",
      "s.yaml:2: anchors (&name) are not allowed\n  hint: write the value where it is used"
    ),
    (
      "a: 1\nb: [&x [2]]",
      "s.yaml:2: anchors (&name) are not allowed\n  hint: write the value where it is used"
    ),
    ("&x a: 1", "s.yaml:1: anchors (&name) are not allowed"),
    (
      "a: 1\nb: *x",
      "s.yaml:2: aliases (*name) are not allowed\n  hint: write the value where it is used; put a text that begins with * in quotes"
    ),
    (
      "a: 1\n*x : 2",
      "s.yaml:2: aliases (*name) are not allowed\n  hint: write the value where it is used; put a text that begins with * in quotes"
    ),
    ("a: !!str 5", "s.yaml:1: tags (\"tag:yaml.org,2002:str\") are not allowed\n  hint: remove the tag"),
    ("a: !x [5]", "s.yaml:1: tags (\"!x\") are not allowed\n  hint: remove the tag"),
    ("a: 1\n? [b]\n: 2", "s.yaml:2: a key must be a text, not a list or a mapping"),
    (
      "a:\n\tb: 1",
      "s.yaml:2: not valid YAML: found character that cannot start any token while scanning for the next token\n  hint: indent with spaces, not tabs"
    ),
    (
      "a: 1\nb: \u{1}",
      "s.yaml:2: not valid YAML: control characters are not allowed\n  hint: remove the character, or write \\xNN in quotes"
    ),
    (
      "a: [1, 2",
      "s.yaml:2: not valid YAML: did not find expected ',' or ']' while parsing a flow sequence that begins on line 1"
    ),
    ("\"\": 1", "s.yaml:1: a key is empty\n  hint: write key: value"),
    ("a: \u{FFFFD}", "s.yaml: the private-use character U+FFFFD is not allowed\n  hint: remove it"),
  ])
  func refused(text: String, error: String) {
    #expect(refusal(text) == error)
  }

  @Test func limits() throws {
    func nested(_ levels: Int) -> String {
      "a: " + String(repeating: "[", count: levels) + "1" + String(repeating: "]", count: levels)
    }
    _ = try document(nested(30))
    #expect(
      refusal(nested(31)) == "s.yaml:1: nested deeper than 32 levels, the most that a file may have")
    #expect(refusal(nested(900)).contains("nested deeper"))
    #expect(refusal(nested(100_000)).contains("not valid YAML"))
    func listed(_ count: Int) -> String { "a:\n" + String(repeating: "- 1\n", count: count) }
    _ = try document(listed(19_998))
    #expect(
      refusal(listed(19_999)) == "s.yaml:20000: more than 20000 values, the most that a file may have")
    #expect(refusal("a: " + String(repeating: "x", count: 1 << 20)).contains("larger than 1 MiB"))
    #expect(refusal(String(repeating: "k", count: 101) + ": 1").contains("is longer than 100 characters"))
  }

  /// The parser recurses 1,000 levels deep before ours are counted.
  @Test func deepNestingFitsASmallStack() {
    let thread = Thread {
      #expect(refusal(String(repeating: "- ", count: 990)).contains("nested deeper"))
      #expect(
        refusal("a: " + String(repeating: "[", count: 990) + String(repeating: "]", count: 990))
          .contains("nested deeper"))
    }
    thread.stackSize = 256 << 10
    thread.start()
    while !thread.isFinished { usleep(1_000) }
  }

  /// Aliases in keys, which the parser would compare: exponential if they were expanded.
  @Test(.timeLimit(.minutes(1))) func aliasesAreNotExpanded() {
    var text = "a0: &a0 [1]\n"
    for i in 1...40 { text += "a\(i): &a\(i) [*a\(i - 1), *a\(i - 1)]\n" }
    #expect(refusal(text + "? *a40\n: 1\n").contains("s.yaml:1: anchors (&name) are not allowed"))
  }

  @Test func files() throws {
    let folder = FileManager.default.temporaryDirectory.appending(path: "scenario-\(UUID().uuidString)")
    try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
    defer { try? FileManager.default.removeItem(at: folder) }
    let path = folder.appending(path: "s.yaml").path
    #expect(
      description { _ = try YAMLDocument.read(path) }
        == "\(path): cannot be read: No such file or directory")
    #expect(
      description { _ = try YAMLDocument.read(folder.path) }.hasSuffix("cannot be read: Is a directory"))
    try Data("\u{FEFF}name: é\n".utf8).write(to: URL(filePath: path))
    #expect(try YAMLDocument.read(path).root.text("name") == "é")
    try Data([UInt8]("a: 1\nb: ".utf8) + [0xFF, 0x0A]).write(to: URL(filePath: path))
    #expect(
      description { _ = try YAMLDocument.read(path) }
        == "\(path):2: not UTF-8 text\n  hint: save the file as UTF-8")
    try Data(count: 1 << 20 | 1).write(to: URL(filePath: path))
    #expect(description { _ = try YAMLDocument.read(path) }.contains("larger than 1 MiB"))
  }

  @Test func canonicalText() throws {
    let a = try document("b: [1, x y, \"1\", true]\na: {d: , c: {}}\n")
    let b = try document("# the same\na:\n  c: {}\n  d: null\nb:\n- 1\n- 'x y'\n- \"1\"\n- true\n")
    #expect(
      a.canonicalText
        == """
        {
          "a": {
            "c": {},
            "d": null
          },
          "b": [
            1,
            "x y",
            "1",
            true
          ]
        }

        """)
    #expect(a.canonicalText == b.canonicalText)
    #expect(try document(a.canonicalText).canonicalText == a.canonicalText)
  }
}
