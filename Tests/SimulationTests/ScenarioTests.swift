import Foundation
import Simulator
import SpeculationCore
import StrictYAML
import Testing

struct ScenarioTests {
  static let shipped = try! FileManager.default.contentsOfDirectory(atPath: Shipped.scenarios.path)
    .filter { $0.hasSuffix(".yaml") }.sorted()

  static func read(_ name: String, _ settings: [(path: String, value: String)] = []) throws -> Scenario {
    try Scenario.read(Shipped.scenarios.appendingPathComponent(name).path, settings: settings)
  }

  @Test(arguments: shipped) func shippedScenariosAreValid(name: String) throws {
    let scenario = try Self.read(name)
    #expect(scenario.name + ".yaml" == name)
    #expect(!scenario.charts.isEmpty && !scenario.about.isEmpty)
    #expect(Set(scenario.points.map(\.identity)).count == scenario.points.count, "no point is there twice")
  }

  static let minimal = """
    name: x
    text: {match-rate: 0.8}
    target: {pass: 30ms}
    draft: {pass: 5ms}
    """

  private static func error(_ text: String) -> String {
    do {
      _ = try Scenario(try YAMLDocument(parsing: text, name: "x.yaml"), folder: Shipped.scenarios)
      return "none"
    } catch {
      return "\(error)"
    }
  }

  @Test(arguments: [
    ("", "none"),
    ("lnk: {rtt: 5ms}", "x.yaml:5: unknown key \"lnk\" at the top level; did you mean \"link\"?"),
    ("link:\n  rrt: 5ms", "x.yaml:6: unknown key \"rrt\" in link; did you mean \"rtt\"?"),
    ("link: {rtt: 30}", "30 has no unit; write 30ms"),
    ("link: {rtt: -3ms}", "link.rtt"),
    ("link: {loss: 60%}", "link.loss"),
    ("link: {jitter: {gauss: 3ms}}", "jitter needs a distribution"),
    ("link: {outages: [{start: 1s}]}", "outages.0 needs \"for\""),
    ("worker: {width: 0}", "worker.width"),
    ("controller: {mode: wn}", "did you mean \"wan\"?"),
    ("controller: {policy: sometimes}", "a policy is never, always, {entropy: NATS} or {value: TIME}"),
    ("controller: {verify: {rule: best}}", "choices: everything, cost-aware"),
    ("sweep: {link.rtt: []}", "a sweep over no values"),
    ("sweep: {link.rtt: [1ms, 2mss]}", "unknown unit \"mss\""),
    ("sweep: {link.rrt: [1ms]}", "unknown key \"rrt\" in link"),
    ("variants: [{name: a}, {name: a}]", "two variants with the name \"a\""),
    ("variants: [{name: a, changes: {worker: {widht: 3}}}]", "did you mean \"width\"?"),
    ("charts: [{kind: pie}]", "choices: line, frontier, bars, timeline"),
    ("charts: [{kind: line, variants: [b]}]", "there is no variant \"b\""),
    ("seed: -1", "seed"),
    ("sessions: 1001", "sessions"),
    ("target: {pass: {0: 3ms}}", "twice"),
    ("profile: nowhere.json", "cannot be read"),
    ("name: a/b", "twice"),
  ])
  func errorsSayWhereAndWhatToDo(extra: String, expected: String) {
    let message = Self.error(Self.minimal + "\n" + extra)
    #expect(message.contains(expected), "\(message)")
  }

  @Test func missingPartsAreNamed() {
    #expect(Self.error("name: x").contains("the file needs \"text\""))
    #expect(
      Self.error("name: x\ntext: {match-rate: 0.5}\ntarget: {pass: 1ms}").contains(
        "the scenario needs \"draft\""))
    #expect(Self.error("name: x\ntext: {texts: 3}\ntarget: {pass: 1ms}").contains("text needs \"recording\""))
    #expect(Self.error("text: {match-rate: 1}").contains("needs \"name\""))
  }

  @Test func variantsSweepsAndChoicesMultiply() throws {
    let scenario = try Scenario(
      try YAMLDocument(
        parsing: Self.minimal + """

          sweep: {link.rtt: [0ms, 10ms], draft.pass: [1ms, 2ms, 3ms]}
          variants:
            - name: one
            - name: two
              changes: {controller: {mode: local-sequential}}
              best-of: {controller.draft-length: [2, 4]}
          """, name: "x"), folder: Shipped.scenarios)
    #expect(scenario.points.count == 6 + 12)
    #expect(scenario.points[0].place.map(\.value) == ["0ms", "1ms"])
    #expect(scenario.points.last?.choice.map(\.value) == ["4"])
    #expect(scenario.variant(of: .localSequential) == "two" && scenario.variant(of: .plain) == nil)
  }

  private static func plan(_ extra: String) throws -> SimulationPlan {
    let document = try YAMLDocument(parsing: minimal + "\n" + extra, name: "x")
    return try #require(try Scenario(document, folder: Shipped.scenarios).points.first).setup.plan
  }

  @Test func theAutopilotChoosesWhatNothingSays() throws {
    for text in ["", "controller: {mode: autopilot}", "controller: {}"] {
      let plan = try Self.plan(text)
      #expect(plan.workers.map(\.limits) == [Autopilot.limits], "\(text)")
      #expect(plan.settings.verification == Autopilot.settings().verification)
      #expect(plan.settings.lookupLength == Autopilot.settings().lookupLength)
      #expect(plan.settings.minGain == Autopilot.settings().minGain)
    }
  }

  /// Whoever names a setting gets it, at both ends; what is not named stays with the autopilot.
  @Test(arguments: ["", "mode: autopilot, "]) func whatIsSetByHandHolds(mode: String) throws {
    let plan = try Self.plan(
      """
      worker: {width: 5, nodes: 100}
      controller: {\(mode)verify: {width: 7}, lookup: 3, local: {depth: 9}, policy: {value: 5ms}}
      """)
    var limits = Autopilot.limits
    limits.passWidth = 5
    limits.maxNodes = 100
    #expect(plan.workers.map(\.limits) == [limits])
    var local = Autopilot.limits
    local.maxDepth = 9
    #expect(plan.settings.localLimits == local)
    #expect(plan.settings.localPolicy == .value(price: .milliseconds(5)))
    #expect(plan.settings.lookupLength == 3 && plan.settings.minGain == Autopilot.settings().minGain)
    var verification = Autopilot.settings().verification
    verification.maxNodes = 7
    #expect(plan.settings.verification == verification)
  }

  @Test func fixedSettingsHoldWithoutTheAutopilot() throws {
    let plan = try Self.plan("worker: {width: 5}\ncontroller: {mode: wan}")
    var limits = DraftLimits()
    limits.passWidth = 5
    #expect(plan.workers.map(\.limits) == [limits])
    #expect(plan.settings.verification == VerificationPolicy() && plan.settings.lookupLength == 0)
  }

  @Test func profilesGiveCosts() throws {
    for name in try FileManager.default.contentsOfDirectory(
      atPath: Shipped.scenarios.appendingPathComponent("profiles").path)
    {
      let profile = try CostProfile.read(Shipped.scenarios.appendingPathComponent("profiles/\(name)").path)
      #expect(!profile.source.isEmpty && !profile.hardware.isEmpty)
      #expect(profile.target.pass.seconds(for: 1)! > profile.draft.pass.seconds(for: 1)!)
    }
    let folder = FileManager.default.temporaryDirectory.appendingPathComponent(UUID().uuidString)
    try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
    defer { try? FileManager.default.removeItem(at: folder) }
    let path = folder.appendingPathComponent("p.json").path
    let profile = CostProfile(
      name: "n", hardware: "h", source: "s",
      target: CostProfile.Engine(
        model: "t", pass: CostCurve(measured: [1: .milliseconds(30), 8: .milliseconds(40)]),
        prefill: .microseconds(500), attention: AttentionCost(perToken: .nanoseconds(8500))),
      draft: CostProfile.Engine(
        model: "d", pass: CostCurve(measured: [1: .milliseconds(5)]), prefill: .zero),
      contention: 1.25, draftContention: 1.5, variation: PassVariation(target: 0.05, draft: 0.125))
    try profile.write(to: path)
    #expect(try CostProfile.read(path) == profile)
    try Data("{}".utf8).write(to: URL(fileURLWithPath: path))
    #expect(throws: RecordingError.self) { try CostProfile.read(path) }
  }
}
