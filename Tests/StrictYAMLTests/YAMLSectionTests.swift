import Foundation
import Simulator
import SpeculationTesting
import SplitMix
import StrictYAML
import Testing

@Suite struct YAMLSectionTests {
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
