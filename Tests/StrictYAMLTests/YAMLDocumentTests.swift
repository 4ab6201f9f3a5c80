import Foundation
import Simulator
import SpeculationTesting
import SplitMix
import StrictYAML
import Testing

private enum Mode: String, CaseIterable { case plain, chain, tree }

private func document(_ text: String) throws -> YAMLDocument {
  try YAMLDocument(parsing: text, name: "s.yaml")
}

/// Reads `x: TEXT`, and gives the value or the error's description.
private func reading<T>(
  _ text: String, _ read: (YAMLSection) throws(YAMLError) -> T?
) throws -> Result<T?, YAMLError> {
  let root = try document("name: n\nx: \(text)\n").root
  return Result { () throws(YAMLError) in try read(root) }
}

private func description(_ body: () throws -> Void) -> String {
  do { try body() } catch { return "\(error)" }
  return "no error"
}

private func refusal(_ text: String) -> String { description { _ = try document(text) } }

extension Result {
  fileprivate var failure: Failure? { if case .failure(let error) = self { error } else { nil } }
}

@Suite struct ScenarioReaderTests {
  @Test func absentKeysAreNil() throws {
    let root = try document("name: n").root
    #expect(try root.text("a") == nil)
    #expect(try root.flag("a") == nil)
    #expect(try root.integer("a", in: 0...1) == nil)
    #expect(try root.number("a", in: 0...1) == nil)
    #expect(try root.duration("a") == nil)
    #expect(try root.rate("a") == nil)
    #expect(try root.choice("a", Mode.self) == nil)
    #expect(try root.section("a") == nil)
    #expect(try root.sections("a", maxCount: 1) == nil)
    #expect(root.value("a") == nil)
    #expect(!root.has("a"))
    #expect(root.keys == ["name"])
  }

  @Test(arguments: [
    ("hello world", "hello world"), ("no", "no"), ("5", "5"), ("\"\"", ""), ("'null'", "null"),
    ("a*b * c", "a*b * c"),
    ("\"*\\u00e9\"", "*é"), ("|\n  one\n  two", "one\ntwo\n"), ("a & b", "a & b"),
  ])
  func text(written: String, value: String) throws {
    #expect(
      try reading(written) { section throws(YAMLError) in try section.text("x") } == .success(value))
  }

  @Test(arguments: [
    ("", #"s.yaml:2: x: expected a text, found no value\#n  hint: write a value, or remove the key"#),
    ("~", #"s.yaml:2: x: expected a text, found no value\#n  hint: write a value, or remove the key"#),
    ("[a]", "s.yaml:2: x: expected a text, found a list"),
    ("{a: b}", "s.yaml:2: x: expected a text, found a mapping"),
    ("abcdef", "s.yaml:2: x: must have at most 5 characters, found 6"),
  ])
  func wrongText(written: String, error: String) throws {
    let result = try reading(written) { section throws(YAMLError) in try section.text("x", maxLength: 5) }
    #expect(result.failure?.description == error)
  }

  @Test func flags() throws {
    func read(_ text: String) throws -> Result<Bool?, YAMLError> {
      try reading(text) { section throws(YAMLError) in try section.flag("x") }
    }
    #expect(try read("true") == .success(true))
    #expect(try read("false") == .success(false))
    for text in ["yes", "True", "1", "\"true\"", "[]"] {
      #expect(try read(text).failure?.message.hasPrefix("x: expected true or false, found") == true)
    }
  }

  @Test(arguments: [("7", 7), ("-3", -3), ("+9", 9), ("0", 0), ("-0", 0)])
  func integers(written: String, value: Int) throws {
    #expect(
      try reading(written) { section throws(YAMLError) in try section.integer("x", in: -3...9) }
        == .success(value))
  }

  @Test(arguments: [
    ("10", "x: must be -3 to 9, found 10"),
    ("99999999999999999999", "x: must be -3 to 9, found 99999999999999999999"),
    ("1.0", "x: expected a whole number, found \"1.0\""),
    ("1e3", "x: expected a whole number, found \"1e3\""),
    ("1_000", "x: expected a whole number, found \"1_000\""),
    ("07", "x: expected a whole number, found \"07\""),
    ("0x7", "x: expected a whole number, found \"0x7\""),
    ("\"7\"", "x: expected a whole number, found \"7\""),
    ("+", "x: expected a whole number, found \"+\""), ("", "x: expected a whole number, found no value"),
    ("٣", "x: expected a whole number, found \"٣\""),
  ])
  func wrongIntegers(written: String, message: String) throws {
    let result = try reading(written) { section throws(YAMLError) in try section.integer("x", in: -3...9)
    }
    #expect(result.failure?.message == message)
  }

  @Test func openRanges() throws {
    let low = try reading("0") { section throws(YAMLError) in try section.integer("x", in: 1 ... .max) }
    #expect(low.failure?.message == "x: must be 1 or more, found 0")
    let high = try reading("2.5") { section throws(YAMLError) in
      try section.number("x", in: -Double.infinity...1)
    }
    #expect(high.failure?.message == "x: must be 1 or less, found 2.5")
  }

  @Test(arguments: [
    ("0.5", 0.5), ("1", 1), ("5e-1", 0.5), ("85%", 0.85), ("\"7%\"", 0.07), ("0.0", 0), ("0%", 0),
  ])
  func numbers(written: String, value: Double) throws {
    let result = try reading(written) { section throws(YAMLError) in
      try section.number("x", in: 0...1, percent: true)
    }
    #expect(result == .success(value))
  }

  @Test(arguments: [
    ("1.5", "x: must be 0 to 1, found 1.5"), ("150%", "x: must be 0% to 100%, found 150%"),
    ("-1%", "x: must be 0% to 100%, found -1%"), ("1e999", "x: must be 0 to 1, found 1e999"),
    ("1e-999", "x: \"1e-999\" is too small"),
    (".nan", "x: expected a number or a percentage, found \".nan\""),
    ("nan", "x: expected a number or a percentage, found \"nan\""),
    (".inf", "x: expected a number or a percentage, found \".inf\""),
    ("infinity", "x: expected a number or a percentage, found \"infinity\""),
    ("0x1p-1", "x: expected a number or a percentage, found \"0x1p-1\""),
    ("1e99999999999999999999", "x: must be 0 to 1, found 1e99999999999999999999"),
    ("\"0.5\"", "x: expected a number or a percentage, found \"0.5\""),
    ("%", "x: expected a number or a percentage, found \"%\""),
    ("1,5", "x: expected a number or a percentage, found \"1,5\""),
  ])
  func wrongNumbers(written: String, message: String) throws {
    // A % cannot begin a plain text.
    let written = written == "%" ? "'%'" : written
    let result = try reading(written) { section throws(YAMLError) in
      try section.number("x", in: 0...1, percent: true)
    }
    #expect(result.failure?.message == message)
  }

  @Test func numbersAreFinite() throws {
    let huge = try reading("1e999") { section throws(YAMLError) in
      try section.number("x", in: 0 ... .infinity)
    }
    #expect(huge.failure?.message == "x: \"1e999\" is too large")
    let percent = try reading("85%") { section throws(YAMLError) in try section.number("x", in: 0...1) }
    #expect(
      percent.failure?.description
        == "s.yaml:2: x: expected a number, found \"85%\"\n  hint: write a plain number")
  }

  @Test(arguments: [
    ("50ms", Duration.milliseconds(50)), ("50 ms", .milliseconds(50)), ("0.1s", .milliseconds(100)),
    ("1.5us", .nanoseconds(1500)), ("7ns", .nanoseconds(7)), ("2min", .seconds(120)),
    ("8760h", .seconds(31_536_000)),
    ("\"3s\"", .seconds(3)), ("0s", .zero), ("-0s", .zero), ("1.9ns", .nanoseconds(2)),
    ("0.333333333333ms", .nanoseconds(333_333)),
  ])
  func durations(written: String, value: Duration) throws {
    #expect(
      try reading(written) { section throws(YAMLError) in try section.duration("x") } == .success(value))
  }

  @Test(arguments: [
    ("30", "x: 30 has no unit; write 30ms"), ("30 msec", "x: unknown unit \"msec\"; did you mean 30ms?"),
    ("5 minutes", "x: unknown unit \"minutes\"; did you mean 5min?"),
    ("5MS", "x: unknown unit \"MS\"; did you mean 5ms?"),
    ("5m", "x: unknown unit \"m\""), ("1h30min", "x: unknown unit \"h30min\"; did you mean 1h?"),
    ("1e3ms", "x: unknown unit \"e3ms\"; did you mean 1ms?"), ("-5ms", "x: must be 0s to 8760h, found -5ms"),
    ("8761h", "x: must be 0s to 8760h, found 8761h"),
    ("99999999999999999999h", "x: must be 0s to 8760h, found 99999999999999999999h"),
    ("9999999999999999999999999h", "x: \"9999999999999999999999999h\" has too many digits"),
    ("0.1ns", "x: \"0.1ns\" is less than a nanosecond"),
    ("soon", "x: expected a duration, such as 50ms, found \"soon\""),
    ("inf s", "x: expected a duration, such as 50ms, found \"inf s\""),
    ("1.s", "x: expected a duration, such as 50ms, found \"1.s\""),
    ("[50ms]", "x: expected a duration, such as 50ms, found a list"),
    ("--5ms", "x: expected a duration, such as 50ms, found \"--5ms\""),
  ])
  func wrongDurations(written: String, message: String) throws {
    let result = try reading(written) { section throws(YAMLError) in try section.duration("x") }
    #expect(result.failure?.message == message)
    #expect(result.failure?.line == 2)
  }

  @Test func durationRangesAreInReadableUnits() throws {
    let result = try reading("2s") { section throws(YAMLError) in
      try section.duration("x", in: .microseconds(1500) ... .milliseconds(90))
    }
    #expect(result.failure?.description == "s.yaml:2: x: must be 1500us to 90ms, found 2s")
    let endless = try reading("-1s") { section throws(YAMLError) in
      try section.duration("x", in: .zero ... .seconds(Int64.max))
    }
    #expect(endless.failure?.message == "x: must be 0s to 9223372036854775807s, found -1s")
  }

  @Test(arguments: [
    ("100Mbit/s", 1e8), ("1.1 Mbit/s", 1.1e6), ("64kbit/s", 64_000), ("9bit/s", 9), ("2.5Gbit/s", 2.5e9),
  ])
  func rates(written: String, value: Double) throws {
    #expect(
      try reading(written) { section throws(YAMLError) in try section.rate("x") } == .success(value))
  }

  @Test(arguments: [
    ("100", "x: 100 has no unit; write 100Mbit/s"),
    ("100Mbps", "x: unknown unit \"Mbps\"; did you mean 100Mbit/s?"),
    ("100 mbit", "x: unknown unit \"mbit\"; did you mean 100Mbit/s?"),
    ("10MB/s", "x: rates are in bits, not bytes, found \"10MB/s\""),
    ("0bit/s", "x: must be 1bit/s to 10000Gbit/s, found 0bit/s"),
    ("-1Mbit/s", "x: must be 1bit/s to 10000Gbit/s, found -1Mbit/s"),
    ("fast", "x: expected a rate, such as 100Mbit/s, found \"fast\""),
  ])
  func wrongRates(written: String, message: String) throws {
    let result = try reading(written) { section throws(YAMLError) in try section.rate("x") }
    #expect(result.failure?.message == message)
  }

  @Test func choices() throws {
    func read(_ text: String) throws -> Result<Mode?, YAMLError> {
      try reading(text) { section throws(YAMLError) in try section.choice("x") }
    }
    #expect(try read("tree") == .success(.tree))
    #expect(
      try read("tre").failure?.description
        == "s.yaml:2: x: unknown choice \"tre\"; did you mean \"tree\"?\n  hint: choices: plain, chain, tree")
    #expect(try read("zzz").failure?.message == "x: unknown choice \"zzz\"")
    #expect(try read("[tree]").failure?.message == "x: expected one of the choices, found a list")
  }

  @Test func listsAndUnions() throws {
    let root = try document(
      """
      gates:
        - never
        - {entropy: 1.5}
        - entropy: 2
          typo: 1
      sizes: [1, 2, x]
      """
    ).root
    let gates = try root.list("gates", maxCount: 3) { value throws(YAMLError) -> Double? in
      if value.scalar == "never" { return nil }
      let section = try value.section()
      return try section.required("entropy", section.number("entropy", in: 0...10))
    }
    #expect(gates == [nil, 1.5, 2])
    #expect(root.value("gates")?.kind == .list)
    #expect(
      description {
        _ = try root.list("sizes", maxCount: 3) { (value) throws(YAMLError) in
          try value.integer(in: 0...9)
        }
      }
        == "s.yaml:6: sizes.2: expected a whole number, found \"x\"\n  hint: write digits only, as in 12000")
    #expect(
      description {
        _ = try root.list("sizes", maxCount: 2) { (value) throws(YAMLError) in
          try value.integer(in: 0...9)
        }
      }
        == "s.yaml:6: sizes: must have at most 2 elements, found 3")
    #expect(
      description { _ = try root.sections("sizes", maxCount: 9) }
        == "s.yaml:6: sizes.0: expected a mapping, found \"1\"\n  hint: write its keys below it")
    #expect(
      description { try root.finish() }
        == "s.yaml:5: unknown key \"typo\" in gates.2\n  hint: keys here: entropy")
  }
}

@Suite struct ScenarioSectionTests {
  private let text = """
    name: n
    link:
      rrt: 50ms
      loss: 1%
    workers:
      - {link: {rtt: 1ms}, count: 2}
      - count: 3
    """

  @Test func unknownKeysAreNamed() throws {
    let root = try document(text).root
    _ = try root.text("name")
    #expect(
      description { try root.finish() }
        == "s.yaml:2: unknown key \"link\" at the top level\n  hint: keys here: name")
    let link = try #require(try root.section("link"))
    _ = try link.duration("rtt")
    _ = try link.number("loss", in: 0...1, percent: true)
    #expect(
      description { try link.finish() }
        == "s.yaml:3: unknown key \"rrt\" in link; did you mean \"rtt\"?\n  hint: keys here: rtt, loss")
  }

  /// Whatever a key holds, a message is one line.
  @Test func oddKeysAreQuoted() throws {
    let root = try document("\"a\\n\\u202eb\": {c d: x}").root
    let section = try #require(try root.section("a\n\u{202E}b"))
    #expect(
      description { _ = try section.flag("c d") }
        == #"s.yaml:1: "a\n\u202eb".c d: expected true or false, found "x""#)
  }

  @Test func finishIncludesSections() throws {
    var fixed = try document(text)
    try fixed.set("link", to: "{rtt: 50ms}")
    let root = fixed.root
    _ = try root.text("name")
    _ = try root.section("link")?.duration("rtt")
    let workers = try #require(try root.sections("workers", maxCount: 8))
    for worker in workers { _ = try worker.integer("count", in: 1...9) }
    #expect(
      description { try root.finish() }
        == "s.yaml:6: unknown key \"link\" in workers.0\n  hint: keys here: count")
    #expect(workers[0].has("link"))
    #expect(
      description { try root.finish() }
        == "s.yaml:6: the key \"link\" has no effect in workers.0\n  hint: remove it")
    _ = try workers[0].section("link")?.duration("rtt")
    try root.finish()
    #expect(try root.section("link") === root.section("link"))
  }

  @Test func errorsOfTheCaller() throws {
    let root = try document(text).root
    let worker = try #require(try root.sections("workers", maxCount: 8)?.last)
    #expect(worker.path == "workers.1")
    #expect(worker.place == YAMLPlace(file: "s.yaml", line: 7))
    #expect(
      description { _ = try worker.required("link", worker.section("link")) }
        == "s.yaml:7: workers.1 needs \"link\"\n  hint: add \"link:\"")
    #expect(
      description { _ = try root.required("seed", root.integer("seed", in: 0...1)) }
        == "s.yaml:1: the file needs \"seed\"\n  hint: add \"seed:\"")
    #expect(
      root.error("workers", "too many", hint: "fewer").description == "s.yaml:5: too many\n  hint: fewer")
    #expect(root.error("absent", "odd").description == "s.yaml:1: odd")
    #expect(root.error(nil, "odd").line == 1)
    #expect(root.value("workers")?.error("odd").description == "s.yaml:5: workers: odd")
  }

  @Test(arguments: [
    ("rrt", "rtt"), ("badnwidth", "bandwidth"), ("Loss", "loss"), ("bandwith", "bandwidth"), ("zz", nil),
    ("queue", nil),
  ])
  func suggestions(written: String, meant: String?) throws {
    let root = try document("\(written): 1").root
    for key in ["rtt", "bandwidth", "loss"] { _ = root.has(key) }
    let error = description { try root.finish() }
    #expect(error.contains("did you mean \"\(meant ?? "")\"") == (meant != nil))
  }
}

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

@Suite struct ScenarioEditingTests {
  private let text = """
    name: n
    link:
      rtt: 50ms
      loss: 1%
    workers:
      - {link: {rtt: 1ms}}
      - {link: {rtt: 2ms}}
    empty:
    """

  private func rtt(_ document: YAMLDocument, _ path: String) -> YAMLNode.Content? {
    document.node(at: path)?.content
  }

  @Test func settings() throws {
    var document = try document(text)
    try document.set("workers.1.link.rtt", to: "7ms")
    try document.set("new.deep.flag", to: "true")
    try document.set("empty.a", to: "[1, {b: 2}]")
    try document.set("name", to: "\"a: b\"")
    #expect(document.node(at: "workers.1.link.rtt")?.content == .scalar("7ms", plain: true))
    #expect(document.node(at: "workers.0.link.rtt")?.content == .scalar("1ms", plain: true))
    #expect(document.node(at: "new.deep.flag")?.content == .scalar("true", plain: true))
    #expect(document.node(at: "empty.a.1.b")?.content == .scalar("2", plain: true))
    #expect(document.node(at: "name")?.content == .scalar("a: b", plain: false))
    #expect(document.node(at: "")?.content == document.node.content)
    for path in ["workers.2", "workers.x", "name.x", "a..b"] { #expect(document.node(at: path) == nil) }
  }

  @Test func errorsNameTheSetting() throws {
    var document = try document(text)
    try document.set("link.rtt", to: "30")
    try document.set("link.jiter", to: "1ms")
    let link = try #require(try document.root.section("link"))
    #expect(
      description { _ = try link.duration("rtt") }
        == "--set link.rtt: link.rtt: 30 has no unit; write 30ms\n  hint: units: ns, us, ms, s, min, h")
    _ = link.value("rtt")
    _ = link.value("loss")
    _ = link.value("jitter")
    #expect(
      description { try link.finish() }
        == "--set link.jiter: unknown key \"jiter\" in link; did you mean \"jitter\"?\n  hint: keys here: rtt, loss, jitter"
    )
  }

  @Test(arguments: [
    (
      "workers.2.link", "1",
      "--set workers.2.link: workers is a list of 2, so it has no element \"2\"\n  hint: elements are 0 to 1"
    ),
    (
      "workers.x", "1",
      "--set workers.x: workers is a list of 2, so it has no element \"x\"\n  hint: elements are 0 to 1"
    ),
    ("name.x", "1", "--set name.x: name is \"n\", so there is nothing in it named \"x\""),
    (
      "peers.0.x", "1",
      "--set peers.0.x: there is no peers, so it has no element 0\n  hint: set the whole list: peers=[...]"
    ),
    ("a..b", "1", "--set a..b: \"a..b\" is not a path\n  hint: write keys and indexes: workers.0.link"),
    ("", "1", "--set : \"\" is not a path\n  hint: write keys and indexes: workers.0.link"),
    ("a", "", "--set a: has no value\n  hint: write --set a=VALUE; quote a text that begins with #"),
    ("a", "#1", "--set a: has no value\n  hint: write --set a=VALUE; quote a text that begins with #"),
    (
      "a", "b: c",
      "--set a: expected a scalar, a [list] or a {mapping}, found \"b: c\"\n  hint: put a text with \": \" or \"- \" in quotes"
    ),
    (
      "a", "- c",
      "--set a: expected a scalar, a [list] or a {mapping}, found \"- c\"\n  hint: put a text with \": \" or \"- \" in quotes"
    ),
    ("a", "[1", "--set a: not valid YAML: did not find expected ',' or ']' while parsing a flow sequence"),
    ("a", "{b: 1, b: 2}", "--set a: the key \"b\" occurs twice in one mapping\n  hint: keep one of them"),
    (
      "a", "*x",
      "--set a: aliases (*name) are not allowed\n  hint: write the value where it is used; put a text that begins with * in quotes"
    ),
  ])
  func refusedSettings(path: String, value: String, error: String) throws {
    var document = try document(text)
    let before = document
    #expect(description { try document.set(path, to: value) } == error)
    #expect(document == before)
  }

  @Test func copiesKeepTheirPlaces() throws {
    var target = try document("link: {rtt: 1ms}")
    let sweep = try YAMLDocument(parsing: "sweep:\n- bad\n- 2ms", name: "sweep.yaml")
    try target.set("link.rtt", to: #require(sweep.node(at: "sweep.0")))
    #expect(
      description { _ = try target.root.section("link")?.duration("rtt") }
        == "sweep.yaml:2: link.rtt: expected a duration, such as 50ms, found \"bad\"\n  hint: units: ns, us, ms, s, min, h"
    )
    try target.set("link.rtt", to: #require(sweep.node(at: "sweep.1")))
    #expect(try target.root.section("link")?.duration("rtt") == .milliseconds(2))
  }

  @Test func merging() throws {
    var base = try document(text)
    let variant = try YAMLDocument(
      parsing: "link:\n  loss: x\n  jitter: 1ms\nworkers: [{count: 1}]\nempty: {a: 1}\nname: fast",
      name: "v.yaml")
    try base.merge(variant.node)
    let merged = """
      name: fast
      link: {rtt: 50ms, loss: x, jitter: 1ms}
      workers: [{count: 1}]
      empty: {a: 1}
      """
    #expect(try base.canonicalText == document(merged).canonicalText)
    #expect(base.root.keys == ["name", "link", "workers", "empty"])
    let link = try #require(try base.root.section("link"))
    #expect(link.place == YAMLPlace(file: "s.yaml", line: 2))
    #expect(link.error("loss", "odd").description == "v.yaml:2: odd")
    #expect(
      description { try base.merge(#require(variant.node(at: "name"))) }
        == "v.yaml:6: expected a mapping to lay over the file, found \"fast\"")
  }

  @Test func editsKeepTheLimits() throws {
    var document = try document(text)
    let deep = String(repeating: "[", count: 20) + String(repeating: "]", count: 20)
    try document.set("a.b.c", to: deep)
    let path = (0..<20).map { "k\($0)" }.joined(separator: ".")
    #expect(description { try document.set(path, to: deep) }.contains("nested deeper than 32 levels"))
    #expect(
      description { try document.set(path + "." + path, to: "1") }.contains("nested deeper than 32 levels"))
    let many = "[" + String(repeating: "1,", count: 15_000) + "]"
    try document.set("many", to: many)
    #expect(description { try document.set("more", to: many) }.contains("more than 20000 values"))
    #expect(document.node(at: "more") == nil)
  }
}

@Suite struct ScenarioFuzzTests {
  private static let seedText = """
    # A scenario
    name: "fu\\u00e9zz"
    seed: 12
    link: {rtt: 50ms, loss: 85%, rate: 100Mbit/s}
    workers:
      - count: 2
        gate: never
        mode: tree
      - {count: 1_0, gate: {entropy: 1.0e0}}
    text: |
      one
      two
    empty: ~
    'quoted ''key''': [1, 2.5, -3, .inf, 1e999]
    """

  /// Asks for everything as everything.
  private static func readAll(_ section: YAMLSection, depth: Int = 0) throws {
    for key in section.keys + ["rtt"] {
      guard let value = section.value(key) else { continue }
      try readAll(value, depth: depth)
    }
    _ = description { try section.finish() }
  }

  private static func readAll(_ value: YAMLValue, depth: Int) throws {
    let attempts: [() throws -> Void] = [
      { _ = try value.text(maxLength: 5) }, { _ = try value.flag() }, { _ = try value.integer(in: -5...5) },
      { _ = try value.number(in: 0...1, percent: true) },
      { _ = try value.number(in: -.infinity ... .infinity) },
      { _ = try value.duration() }, { _ = try value.rate() }, { _ = try value.choice(Mode.self) },
    ]
    for attempt in attempts {
      do { try attempt() } catch let error as YAMLError {
        try #require(!error.message.isEmpty && !error.message.contains("\n"))
        try #require(error.file != "s.yaml" || error.line != nil)
      }
    }
    switch value.kind {
    case .mapping: try readAll(value.section(), depth: depth + 1)
    case .list:
      let elements = try value.list(maxCount: 20_000) { $0 }
      for element in elements { try readAll(element, depth: depth + 1) }
    case .empty, .scalar: break
    }
  }

  @Test func mutatedDocumentsNeverCrash() throws {
    let pieces = [
      "\n", "  ", "\t", ":", ": ", "- ", "[", "]", "{", "}", ",", "\"", "'", "|", ">", "&x ", "*x", "!!str ",
      "? ", "#", "%",
      "---\n", "...\n", "\\", "\\x", "\\U0010FFFF", "\0", "\u{FEFF}", "\u{FFFFD}", "\u{85}", "é", "\u{301}",
      "1e9", "-", ".",
      "99999999999999999999", "ms", "0", "<<: ", "~", "name: ", "\r", "\r\n", "@", "`",
    ]
    var accepted = 0
    try forEachSeed(count: 2_500) { seed in
      var random = SplitMix64(seed: seed)
      var scalars = Array(Self.seedText.unicodeScalars)
      for _ in 0..<Int.random(in: 1...6, using: &random) {
        let at = Int.random(in: 0...scalars.count, using: &random)
        let end = min(scalars.count, at + Int.random(in: 0...12, using: &random))
        switch Int.random(in: 0..<5, using: &random) {
        case 0: scalars.removeSubrange(at..<end)
        case 1:
          scalars.insert(contentsOf: scalars[at..<end], at: Int.random(in: 0...scalars.count, using: &random))
        case 2 where random.chance(0.05): scalars.removeSubrange(at...)
        default: scalars.insert(contentsOf: pieces.randomElement(using: &random)!.unicodeScalars, at: at)
        }
      }
      var text = String.UnicodeScalarView()
      text.append(contentsOf: scalars)
      do {
        var parsed = try YAMLDocument(parsing: String(text), name: "s.yaml")
        accepted += 1
        try Self.readAll(parsed.root)
        let canonical = parsed.canonicalText
        try #require(try document(canonical).canonicalText == canonical)
        try parsed.merge(parsed.node)
        try #require(parsed.canonicalText == canonical)
        let pick = Int.random(in: 0..<max(1, scalars.count - 20), using: &random)
        let value = String(String.UnicodeScalarView(scalars[pick..<min(scalars.count, pick + 20)]))
        _ = description { try parsed.set("workers.0.link.x", to: value) }
        _ = description { try parsed.set(value, to: "{a: 1}") }
        try Self.readAll(parsed.root)
      } catch let error as YAMLError {
        try #require(error.file == "s.yaml" && !error.message.isEmpty)
      }
    }
    #expect(
      accepted > 200 || accepted > 0 && ProcessInfo.processInfo.environment["WANSPEC_TEST_SEEDS"] != nil)
  }
}
