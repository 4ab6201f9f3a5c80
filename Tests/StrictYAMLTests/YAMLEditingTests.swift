import Foundation
import Simulator
import SpeculationTesting
import SplitMix
import StrictYAML
import Testing

@Suite struct YAMLEditingTests {
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
