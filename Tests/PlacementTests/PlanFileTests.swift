import Foundation
import Placement
import StrictYAML
import Testing

@Suite struct PlanFileTests {
  /// Lines: 1 name, 2 to 4 sites, 5 to 8 the scenario.
  static let lines = [
    "sites:", "- {region: us-east-1, controller: true}", "- {region: eu-west-2, worker: true}",
    "text: {match-rate: 0.8, texts: 2, length: 20}", "target: {pass: 40ms}", "draft: {pass: 5ms}",
    "controller: {mode: wan}",
  ]

  private static func error(_ lines: [String]) -> String {
    do {
      _ = try Plans.file(lines.joined(separator: "\n") + "\n")
      return "none"
    } catch { return "\(error)" }
  }

  @Test func theShortestIsValid() throws {
    let file = try Plans.file(Self.lines.joined(separator: "\n"))
    #expect(file.controllers.map(\.name) == ["us-east-1"] && file.workers.map(\.name) == ["eu-west-2"])
    #expect(file.tolerance == 0.05 && file.tokensPerSecond == nil)
  }

  /// What follows the shortest plan, from line 9 on.
  @Test(arguments: [
    ("tolerance: 5", "9: tolerance: must be 0 to 1, found 5"),
    ("tolerance: much", "9: tolerance: expected a number or a percentage"),
    ("tokens-per-second: 0", "9: tokens-per-second: must be 0.001 to 1000000000, found 0"),
    ("plain: 30", "9: plain: 30 has no unit; write 30ms"),
    ("plain: 0ms", "9: plain: must be 1us"),
    ("regions: {office: {latitude: 91, longitude: 8}}", "9: regions.office.latitude: must be -90 to 90"),
    (
      "regions: {office: {latitude: 9, longitude: 8, time-zone: Mars/Base}}",
      "9: unknown time zone \"Mars/Base\""
    ),
    ("rtt: 30ms", "9: rtt: expected a mapping"),
    (
      "rtt:\n  us-east-1: {eu-west-3: 5ms}",
      "10: rtt: there is no site \"eu-west-3\"; did you mean \"eu-west-2\"?"
    ),
    ("rtt: {mars: {eu-west-2: 5ms}}", "9: rtt: there is no site \"mars\""),
    ("rtt: {us-east-1: 30ms}", "9: rtt.us-east-1: expected a mapping"),
    ("rtt: {us-east-1: {eu-west-2: 30}}", "9: rtt.us-east-1.eu-west-2: 30 has no unit"),
    ("rtt: {us-east-1: {eu-west-2: 11s}}", "9: rtt.us-east-1.eu-west-2: must be 0s to 10s"),
    ("rtt: {us-east-1: {eu-west-2: -1ms}}", "9: rtt.us-east-1.eu-west-2: must be 0s to 10s"),
    (
      "rtt:\n  us-east-1: {eu-west-2: 30ms}\n  eu-west-2: {us-east-1: 31ms}",
      "11: rtt: eu-west-2 to us-east-1 is there twice with different values"
    ),
    ("sweep: {link.rtt: [0ms]}", "9: a plan has no \"sweep\""),
    ("variants: [{name: a}]", "9: a plan has no \"variants\""),
    ("charts: []", "9: a plan has no \"charts\""), ("workers: [{width: 3}]", "9: a plan has no \"workers\""),
    ("link: {rtt: 30ms}", "9: link.rtt: how far apart sites are is not the same for all of them"),
    ("link:\n  loss: 1%\n  up-delay: 3ms", "11: link.up-delay"),
    ("link: {down-delay: 3ms}", "9: link.down-delay"),
    ("link: {series: {every: 1s, rtt: [3ms]}}", "9: link.series"),
    ("link: {loss: 60%}", "9: link.loss: must be"),
    ("link: {jitter: {gauss: 3ms}}", "9: jitter needs a distribution"),
    ("worker: {count: 0}", "9: worker.count: a plan needs a worker"),
    ("worker: {widht: 3}", "9: unknown key \"widht\" in worker"),
    ("site: []", "9: unknown key \"site\" at the top level"),
    ("sessions: 0", "9: sessions: must be 1 to 1000"),
    ("profile: nowhere.json", "9: nowhere.json"), ("seed: -1", "9: seed"),
    ("contention: 0.5", "9: contention: must be 1 to 10"),
    ("name: again", "9: the key \"name\" occurs twice"),
  ])
  func errorsSayWhereAndWhatToDo(extra: String, expected: String) {
    let message = Self.error(Self.lines + extra.split(separator: "\n").map(String.init))
    if expected.contains("nowhere") {
      #expect(message.hasPrefix("plan.yaml:9: ") && message.contains("nowhere.json"), "\(message)")
    } else {
      #expect(message.hasPrefix("plan.yaml:" + expected), "\(message)")
    }
  }

  /// What is added to the controller's site (line 3) or to the worker's (line 4).
  @Test(arguments: [
    (3, "target-price: -1", "sites.0.target-price: must be 0 to 1000000"),
    (3, "draft-price: cheap", "sites.0.draft-price: expected a number"),
    (3, "worker: 3", "sites.0.worker: expected true or false"),
    (3, "price: 3", "unknown key \"price\" in sites.0"),
    (3, "profile: nowhere.json", "nowhere.json"), (3, "profile: [a]", "sites.0.profile: expected a text"),
    (3, "plain: 5", "sites.0.plain: 5 has no unit"),
    (3, "target: 30ms", "sites.0.target: expected a mapping"),
    (3, "target: {pas: 30ms}", "unknown key \"pas\" in sites.0.target"),
    (3, "target: {pass: 30}", "target.pass: 30 has no unit"),
    (3, "target: {pass: {0: 3ms}}", "\"0\" is not a number of tokens"),
    (3, "draft: {pass: 0ms}", "draft.pass: must be"),
    (3, "busy: {from: 9}", "sites.0.busy: expected a list"),
    (3, "busy: [{from: 9, target: 2}]", "sites.0.busy.0 needs \"to\""),
    (3, "busy: [{to: 9, target: 2}]", "sites.0.busy.0 needs \"from\""),
    (3, "busy: [{from: 24, to: 3, target: 2}]", "sites.0.busy.0.from: must be 0 to 23"),
    (3, "busy: [{from: 9, to: 25, target: 2}]", "sites.0.busy.0.to: must be 1 to 24"),
    (3, "busy: [{from: 9, to: 9, target: 2}]", "sites.0.busy.0: a spell from 9 to 9 has no hours"),
    (3, "busy: [{from: 9, to: 12}]", "sites.0.busy.0 needs \"target\" or \"draft\""),
    (3, "busy: [{from: 9, to: 12, target: 0.5}]", "sites.0.busy.0.target: must be 1 to 100"),
    (3, "busy: [{from: 9, to: 12, draft: 101}]", "sites.0.busy.0.draft: must be 1 to 100"),
    (
      3, "busy: [{from: 9, to: 12, draft: 2}, {from: 22, to: 10, draft: 3}]",
      "sites.0.busy.1: the hour 9 is in two spells"
    ),
    (3, "controller-changes: {link: {loss: 1%}}", "unknown key \"link\" in sites.0.controller-changes"),
    (
      3, "controller-changes: {controller: {mode: plain}}",
      "controller.mode: a plan compares with plain anyway"
    ),
    (3, "controller-changes: {controller: {mode: wn}}", "controller.mode: unknown choice \"wn\""),
    (
      3, "worker-changes: {worker: {width: 3}}",
      "sites.0: \"worker-changes\" has no effect: no worker stands at us-east-1"
    ),
    (4, "target: {pass: 3ms}", "sites.1: \"target\" has no effect: no target stands at eu-west-2"),
    (4, "plain: 3ms", "sites.1: \"plain\" has no effect"),
    (4, "target-price: 3", "sites.1: \"target-price\" has no effect"),
    (4, "controller-changes: {sessions: 2}", "sites.1: \"controller-changes\" has no effect"),
    (4, "worker-changes: {draft: {pass: 3ms}}", "unknown key \"draft\" in sites.1.worker-changes"),
    (4, "worker-changes: {link: {rtt: 3ms}}", "link.rtt: how far apart"),
    (4, "worker-changes: {worker: {width: 0}}", "worker.width: must be"),
    (4, "worker-changes: {worker: {count: 0}}", "worker.count: a plan needs a worker"),
  ])
  func errorsInSitesSayWhere(line: Int, extra: String, expected: String) {
    var lines = Self.lines
    lines[line - 2] = lines[line - 2].dropLast() + ", \(extra)}"
    let message = Self.error(lines)
    #expect(message.hasPrefix("plan.yaml:\(line): ") && message.contains(expected), "\(message)")
  }

  @Test(arguments: [
    (2, "sites: []", "2: a plan has sites"),
    (
      3, "- {region: us-est-1, controller: true}",
      "3: sites.0.region: unknown region \"us-est-1\"; did you mean"
    ),
    (3, "- {controller: true}", "3: sites.0 needs \"region\""),
    (3, "- {region: us-east-1}", "3: the site us-east-1 has neither a target nor a worker"),
    (3, "- {region: us-east-1, worker: true}", "2: no site has a target"),
    (4, "- {region: eu-west-2, controller: true}", "2: no site has room for a worker"),
    (4, "- {region: us-east-1, worker: true}", "4: the site us-east-1 is there twice"),
    (5, "", "none of it"), (6, "", "3: nothing says how long a pass of the target takes at us-east-1"),
    (7, "", "3: nothing says how long a pass of the draft takes at us-east-1"),
    (
      8, "controller: {mode: local-parallel}",
      "8: controller.mode: a plan compares with local-parallel anyway"
    ),
  ])
  func errorsInTheRestSayWhere(line: Int, replacement: String, expected: String) {
    var lines = Self.lines
    lines[line - 2] = replacement
    if line == 2 { lines.removeSubrange(1...2) }
    let message = Self.error(lines)
    if expected == "none of it" {
      #expect(message.contains("needs \"text\""), "\(message)")
    } else {
      #expect(message.hasPrefix("plan.yaml:" + expected), "\(message)")
    }
  }

  @Test func namesAreFileNames() {
    #expect(throws: YAMLError.self) {
      try PlanFile(
        try YAMLDocument(parsing: "name: a/b\n" + Self.lines.joined(separator: "\n"), name: "x"),
        folder: Plans.scenarios)
    }
    #expect(throws: YAMLError.self) {
      try PlanFile(
        try YAMLDocument(parsing: Self.lines.joined(separator: "\n"), name: "x"), folder: Plans.scenarios)
    }
    #expect(throws: YAMLError.self) { try PlanFile.read("/nowhere/plan.yaml") }
  }

  @Test func thereAreLimits() {
    var lines = Self.lines
    lines.insert(contentsOf: (0..<PlanFile.maxSites).map { "- {region: r\($0), worker: true}" }, at: 1)
    #expect(Self.error(lines).hasPrefix("plan.yaml:2: sites: must have at most 100 elements"))
  }

  /// A missing recording is found when texts are read.
  @Test func aMissingRecordingIsSaid() async throws {
    var lines = Self.lines
    lines[3] = "text: {recording: nowhere.jsonl.gz}"
    let file = try Plans.file(lines.joined(separator: "\n"))
    await #expect { try await Planner(file).run(jobs: 1) } throws: { "\($0)".contains("nowhere.jsonl.gz") }
  }
}
