import Foundation
import Simulator
import StrictYAML
import Testing

/// The table of keys is all there is: what a reader asks for stands in it, and what stands in it is asked for.
struct ScenarioKeyTests {
  private static let places: [(section: String, prefix: String, scenario: String)] = [
    ("", "", "nonsense: 1"),
    ("text", "text", "text: {match-rate: 0.5, nonsense: 1}"),
    ("target, draft, local", "target", "target: {pass: 30ms, nonsense: 1}"),
    ("worker, workers[]", "worker", "worker: {nonsense: 1}"),
    ("link, workers[].link", "link", "link: {nonsense: 1}"),
    ("link.outages[]", "link.outages.0", "link: {outages: [{start: 1s, for: 1s, nonsense: 1}]}"),
    ("link.series", "link.series", "link: {series: {every: 1s, rtt: [1ms], nonsense: 1}}"),
    ("controller", "controller", "controller: {nonsense: 1}"),
    ("controller.verify", "controller.verify", "controller: {verify: {nonsense: 1}}"),
    ("controller.local", "controller.local", "controller: {local: {nonsense: 1}}"),
    ("workload", "workload", "workload: {nonsense: 1}"),
    ("workload.arrivals", "workload.arrivals", "workload: {arrivals: {users: 2, nonsense: 1}}"),
    (
      "workload.arrivals.diurnal", "workload.arrivals.diurnal",
      "workload: {arrivals: {diurnal: {mean: 1/s, peak: 2, nonsense: 1}}}"
    ),
    ("goodput", "goodput", "goodput: {ttft: 1s, nonsense: 1}"),
    ("capacity", "capacity", "capacity: {ttft-p95: 1s, nonsense: 1}"),
  ]

  @Test(arguments: places.map(\.section))
  func theTableIsWhatTheReaderKnows(_ section: String) throws {
    let place = try #require(Self.places.first { $0.section == section })
    let base = ["name: keys", "text: {match-rate: 0.5}", "target: {pass: 30ms}", "draft: {pass: 5ms}"]
      .filter { line in !place.scenario.hasPrefix(line.prefix { $0 != ":" } + ":") }
    let text = (base + [place.scenario]).joined(separator: "\n") + "\n"
    let error = try #require(throws: YAMLError.self) {
      _ = try Scenario(YAMLDocument(parsing: text, name: "s.yaml"), folder: URL(filePath: "/"))
    }
    let described = "\(error)"
    #expect(described.contains("unknown key \"nonsense\""), "\(described)")
    let known = try #require(described.split(separator: "keys here: ").last).split(separator: ", ").map(
      String.init)
    // What only one kind of value asks for, or was asked for elsewhere, may be missing; nothing may be too much.
    let listed = try #require(ScenarioKeys.sections.first { $0.path == section }).rows.map(\.name)
    #expect(Set(known).subtracting(listed).isEmpty, "\(known)")
    #expect(Set(listed).subtracting(known).subtracting(Self.alternatives[section] ?? []).isEmpty, "\(known)")
  }

  /// Keys that are asked for only where another is not there, or is.
  private static let alternatives: [String: Set<String>] = [
    "text": ["fitted-to", "match-rate", "after-miss", "spread"]
  ]

  @Test func everyKeySaysWhatItIs() {
    for section in ScenarioKeys.sections {
      #expect(Set(section.rows.map(\.name)).count == section.rows.count, "\(section.path)")
      for row in section.rows {
        #expect(!row.about.isEmpty && !row.about.hasSuffix("."), "\(section.path).\(row.name)")
        #expect(row.values?.isEmpty != true, "\(section.path).\(row.name)")
      }
    }
  }

  /// "home" is the name of an earlier version.
  @Test func theOldNameOfLocalIsRead() throws {
    func plan(_ name: String) throws -> [SimulationPlan] {
      let text = """
        name: old
        text: {match-rate: 0.5}
        target: {pass: 30ms}
        draft: {pass: 5ms}
        \(name): {pass: 7ms}
        controller: {mode: local-parallel, \(name): {depth: 3}}

        """
      return try Scenario(YAMLDocument(parsing: text, name: "s.yaml"), folder: URL(filePath: "/"))
        .points.map(\.setup.plan)
    }
    let (old, new) = (try #require(try plan("home").first), try #require(try plan("local").first))
    #expect(new.localCost == old.localCost && new.settings.localLimits == old.settings.localLimits)
    #expect(new.settings.localLimits.maxDepth == 3)
  }
}
