import StrictYAML

/// The scenario of a controller and a worker, and that of the controller alone.
struct PairScenario {
  let file: PlanFile

  static let plain = "plain"
  static let sequential = "local sequential"
  static let parallel = "local parallel"
  static let chain = "local parallel chain"

  /// What a controller can do without a worker, each at its best. In parallel that is a tree as wide as the plan's
  /// own, or a chain, as the literature has it.
  private static let baselines = """
    variants:
    - {name: "\(plain)", changes: {controller: {mode: plain}}}
    - name: "\(sequential)"
      changes: {controller: {mode: local-sequential}}
      best-of: {controller.draft-length: [2, 3, 4, 5, 6, 7, 8]}
    - {name: "\(parallel)", changes: {controller: {mode: local-parallel}}}
    - name: "\(chain)"
      changes:
        controller:
          mode: local-parallel
          local: {width: 1, candidates: 1, min-probability: 0, min-path: 0, depth: 64}
          verify: {width: 8, min-path: 0}
    """

  /// - Parameter slowdown: of the passes at the controller's site
  func alone(
    _ controller: PlanFile.Site, _ hardware: SiteHardware, slowdown: (target: Double, draft: Double)
  ) throws(YAMLError) -> YAMLDocument {
    var document = try localScenario(controller, hardware, slowdown)
    document = document.split(["worker", "link"]).others
    // No worker is asked; equal for all that there may be.
    try document.set("draft", to: hardware.local.scaled(by: slowdown.draft).node(at: controller.place))
    try document.merge(try YAMLDocument(parsing: Self.baselines, name: "plan").node)
    return document
  }

  /// - Parameters:
  ///   - slowdown: of the passes at the controller's site
  ///   - workerSlowdown: of draft passes at the worker's
  func pair(
    _ controller: PlanFile.Site, _ hardware: SiteHardware, slowdown: (target: Double, draft: Double),
    _ worker: PlanFile.Site, _ workerHardware: SiteHardware, workerSlowdown: Double
  ) throws(YAMLError) -> YAMLDocument {
    var document = try localScenario(controller, hardware, slowdown)
    if let changes = worker.workerChanges { try document.merge(changes) }
    if worker.name != controller.name {
      try document.set("contention", to: Self.number(hardware.remoteContention, controller.place))
      try document.set("draft-contention", to: Self.number(hardware.remoteDraftContention, controller.place))
    }
    try document.set("draft", to: workerHardware.draft.scaled(by: workerSlowdown).node(at: worker.place))
    return document
  }

  private func localScenario(
    _ controller: PlanFile.Site, _ hardware: SiteHardware, _ slowdown: (target: Double, draft: Double)
  ) throws(YAMLError) -> YAMLDocument {
    var document = file.scenario
    let place = controller.place
    if let changes = controller.controllerChanges { try document.merge(changes) }
    try document.set("name", to: YAMLNode(.scalar(file.name, plain: false), at: place))
    try document.set("target", to: hardware.target.scaled(by: slowdown.target).node(at: place))
    try document.set("local", to: hardware.local.scaled(by: slowdown.draft).node(at: place))
    try document.set("contention", to: Self.number(hardware.contention, place))
    try document.set("draft-contention", to: Self.number(hardware.draftContention, place))
    return document
  }

  private static func number(_ value: Double, _ place: YAMLPlace) -> YAMLNode {
    YAMLNode(.scalar("\(value)", plain: true), at: place)
  }
}
