import Foundation
import Simulator
import SpeculationCore
import StrictYAML

/// How long passes take at a site, however the file says it: in a profile or as pass times, for all sites or for one.
///
/// A controller's engines are its own site's, a worker's draft model is the worker's site's; so a pair's scenario has
/// both written out, and equal hardware is found equal whatever it is called.
struct SiteHardware: Sendable, Hashable {
  struct Engine: Sendable, Hashable {
    var pass: CostCurve
    var prefill: Duration
  }

  /// Of no meaning at a site for workers only.
  var target: Engine
  var draft: Engine
  /// The draft model beside the target.
  var local: Engine
  /// How many times as long passes of the target and of the draft model beside it take while the other computes.
  var contention: Double
  var draftContention: Double
  /// The same beside a worker at another site: what the file says for everything. What a profile says was measured on
  /// one machine, and a worker elsewhere is another.
  var remoteContention: Double
  var remoteDraftContention: Double
  /// Generations at the same time, targets that they need, and workers that draft for them.
  var sessions: Int
  var targets: Int
  var workers: Int

  /// Keys of a scenario that say what stands somewhere.
  static let keys: Set<String> = [
    "profile", "target", "draft", "local", "home", "contention", "draft-contention",
  ]
  /// Of a measured time per token of plain decoding.
  static let plainRange = Duration.microseconds(1) ... .seconds(3600)

  /// - Parameters:
  ///   - scenario: the file without a plan's own keys
  ///   - plain: measured on the hardware that the scenario describes
  /// - Throws: for whatever is wrong in the scenario or in the site's part
  init(
    _ site: PlanFile.Site, in scenario: YAMLDocument, plain: Duration?, folder: URL
  ) throws(YAMLError) {
    var document = scenario
    if let profile = site.profile {
      document = document.split(["profile", "target", "draft", "local", "home"]).others
      try document.set("profile", to: profile)
    }
    if let target = site.target { try Self.lay(target, over: "target", of: &document) }
    if let draft = site.draft {
      document = document.split(["local", "home"]).others
      try Self.lay(draft, over: "draft", of: &document)
    }
    let isProfiled = document.node(at: "profile") != nil
    if document.node(at: "target") == nil, !isProfiled {
      guard !site.isController else { throw Self.missing("target", at: site) }
      // Nobody asks; the scenario's reader wants one.
      try document.set("target", to: "{pass: 1ms}")
    }
    if document.node(at: "draft") == nil, !isProfiled { throw Self.missing("draft", at: site) }
    for changes in [site.controllerChanges, site.workerChanges] {
      if let changes { try document.merge(changes) }
    }
    try Self.check(document)
    try document.set("name", to: YAMLNode(.scalar("plan", plain: false), at: site.place))
    let scenario = try Scenario(document, folder: folder)
    guard let plan = scenario.points.first?.setup.plan else { throw Self.missing("target", at: site) }
    target = Engine(pass: plan.targetCost, prefill: plan.targetPrefillPerToken)
    local = Engine(pass: plan.localCost ?? CostCurve(), prefill: .zero)
    guard let worker = plan.workers.first else {
      throw YAMLError(
        document.node(at: "worker.count")?.place ?? site.place,
        "worker.count: a plan needs a worker for each controller",
        hint: "write 1 or more")
    }
    draft = Engine(pass: worker.cost, prefill: worker.prefillPerToken)
    (contention, draftContention) = (plan.contention, plan.draftContention)
    remoteContention = document.node(at: "contention") == nil ? 1 : contention
    remoteDraftContention = document.node(at: "draft-contention") == nil ? 1 : draftContention
    sessions = plan.sessions
    targets = plan.sharesTarget ? 1 : plan.sessions
    workers = plan.workers.count
    let isOwnTarget = site.profile != nil || site.target != nil
    if let measured = site.plain ?? (isOwnTarget ? nil : plain), let single = target.pass.seconds(for: 1) {
      target.pass = target.pass.scaled(by: measured / .seconds(1) / single)
    }
  }

  private static func missing(_ key: String, at site: PlanFile.Site) -> YAMLError {
    YAMLError(
      site.place, "nothing says how long a pass of the \(key) takes at \(site.name)",
      hint:
        "add \"\(key): {pass: \(key == "target" ? 30 : 5)ms}\" or a \"profile\", for all sites or for this one"
    )
  }

  /// A table of passes replaces another; merged they would be the passes of neither.
  private static func lay(
    _ node: YAMLNode, over key: String, of document: inout YAMLDocument
  ) throws(YAMLError) {
    try document.merge(YAMLNode(.mapping([.init(key: key, place: node.place, value: node)]), at: node.place))
    guard case .mapping(let entries) = node.content else { return }
    for entry in entries { try document.set("\(key).\(entry.key)", to: entry.value) }
  }

  /// What a plan decides itself, whose silent loss would surprise.
  private static func check(_ document: YAMLDocument) throws(YAMLError) {
    let root = document.root
    for (key, reason, hint) in [
      ("sweep", "it compares sites", "remove it"), ("variants", "it compares sites", "remove it"),
      ("charts", "it draws its own", "remove it"),
      (
        "workers", "each worker is a site's",
        "list sites, and give one \"worker-changes\" where its settings differ"
      ),
    ] where root.has(key) {
      throw root.error(key, "a plan has no \"\(key)\": \(reason)", hint: hint)
    }
    if let link = try root.section("link") {
      for key in ["rtt", "up-delay", "down-delay", "series"] where link.has(key) {
        throw link.error(
          key, "link.\(key): how far apart sites are is not the same for all of them",
          hint: "write it under \"rtt:\", or take it from a study")
      }
    }
    if let controller = try root.section("controller"), let mode = try controller.text("mode"),
      ["plain", "local-sequential", "local-parallel"].contains(mode)
    {
      throw controller.error(
        "mode", "controller.mode: a plan compares with \(mode) anyway",
        hint: "choose wan or autopilot, or remove it")
    }
  }
}

extension CostCurve {
  /// All passes take so many times as long.
  func scaled(by factor: Double) -> CostCurve {
    factor == 1
      ? self
      : CostCurve(measured: Dictionary(uniqueKeysWithValues: points.map { ($0.size, $0.duration * factor) }))
  }
}

extension SiteHardware.Engine {
  func scaled(by factor: Double) -> Self { Self(pass: pass.scaled(by: factor), prefill: prefill * factor) }

  /// As a scenario has it, to the nanosecond.
  func node(at place: YAMLPlace) -> YAMLNode {
    func mapping(_ entries: [(String, YAMLNode)]) -> YAMLNode {
      YAMLNode(.mapping(entries.map { .init(key: $0.0, place: place, value: $0.1) }), at: place)
    }
    func time(_ duration: Duration) -> YAMLNode {
      YAMLNode(.scalar("\(duration.wholeNanoseconds)ns", plain: true), at: place)
    }
    return mapping([
      ("pass", mapping(pass.points.map { ("\($0.size)", time($0.duration)) })), ("prefill", time(prefill)),
    ])
  }
}
