import Foundation
import Simulator
import StrictYAML
import StudyAnalysis

/// What is planned: sites, what stands there and what it costs, and how text is written. The rest of the file is a
/// scenario's (docs/simulator.md).
public struct PlanFile: Sendable {
  public struct Site: Sendable, Hashable {
    public var region: Region
    /// Whether a target may stand here, and whether a worker may.
    public var isController: Bool
    public var isWorker: Bool
    /// USD for an hour of what the target runs on, and of what a draft model runs on here.
    public var targetPrice: Double
    public var draftPrice: Double
    /// What differs from the scenario for a controller here, and for a worker here.
    var controllerChanges: YAMLNode?
    var workerChanges: YAMLNode?
    public var name: String { region.name }
  }

  public var name: String
  public var sites: [Site]
  /// Given round trips, seconds, one way of writing each pair.
  var roundTrips: [String: [String: Double]]
  /// Tokens that a controller writes in a second, for savings over a year.
  public var tokensPerSecond: Double?
  /// How much slower than drafting at home a pair may be and still be worth it, as a share.
  public var tolerance: Double
  /// The scenario without the keys of a plan.
  let scenario: YAMLDocument
  let folder: URL

  public var controllers: [Site] { sites.filter(\.isController) }
  public var workers: [Site] { sites.filter(\.isWorker) }

  private static let ownKeys: Set<String> = ["name", "sites", "rtt", "tokens-per-second", "tolerance", "regions"]
  /// Keys of a scenario that a plan sets itself.
  private static let taken = ["sweep", "variants", "charts"]
  public static let maxSites = 100

  public static func read(_ path: String) throws(YAMLError) -> PlanFile {
    try PlanFile(
      try YAMLDocument.read(path, kind: ("a plan", "name: my-plan")),
      folder: URL(filePath: path).deletingLastPathComponent())
  }

  /// - Parameter folder: that paths in the file are relative to
  public init(_ document: YAMLDocument, folder: URL) throws(YAMLError) {
    let (own, rest) = document.split(Self.ownKeys)
    let root = own.root
    for key in Self.taken where rest.root.has(key) {
      throw rest.root.error(key, "a plan has no \"\(key)\": it compares sites", hint: "remove it")
    }
    name = try root.required("name", root.text("name", maxLength: 100))
    guard name.wholeMatch(of: /[A-Za-z0-9][A-Za-z0-9._-]*/) != nil else {
      throw root.error("name", "a name has letters, digits and .-_ only: it names files")
    }
    tokensPerSecond = try root.number("tokens-per-second", in: 0.001...1e9)
    tolerance = try root.number("tolerance", in: 0...1, percent: true) ?? 0.05
    sites = try Self.sites(root, try RegionReader(root, key: "regions").regions())
    roundTrips = try Self.roundTrips(root, sites)
    try root.finish()
    scenario = rest
    self.folder = folder
    guard !controllers.isEmpty else {
      throw root.error("sites", "no site has a target", hint: "set \"controller: true\" for one")
    }
    guard !workers.isEmpty else {
      throw root.error("sites", "no site has room for a worker", hint: "set \"worker: true\" for one")
    }
  }

  private static func sites(
    _ root: YAMLSection, _ regions: RegionReader.Regions
  ) throws(YAMLError) -> [Site] {
    guard let list = try root.sections("sites", maxCount: maxSites), !list.isEmpty else {
      throw root.error(
        "sites", "a plan has sites", hint: "add \"sites:\" with a list of {region, controller: true} and {region, worker: true}")
    }
    var sites: [Site] = []
    for section in list {
      guard let value = section.value("region") else {
        throw section.error(nil, "\(section.path) needs \"region\"", hint: "add \"region:\"")
      }
      let region = try regions.region(value.text(maxLength: 100), at: value)
      guard !sites.contains(where: { $0.name == region.name }) else {
        throw section.error("region", "the site \(region.name) is there twice")
      }
      sites.append(
        Site(
          region: region, isController: try section.flag("controller") ?? false,
          isWorker: try section.flag("worker") ?? false,
          targetPrice: try section.number("target-price", in: 0...1e6) ?? 0,
          draftPrice: try section.number("draft-price", in: 0...1e6) ?? 0,
          controllerChanges: section.value("controller-changes")?.node,
          workerChanges: section.value("worker-changes")?.node))
    }
    return sites
  }

  private static func roundTrips(
    _ root: YAMLSection, _ sites: [Site]
  ) throws(YAMLError) -> [String: [String: Double]] {
    guard let matrix = try root.section("rtt") else { return [:] }
    func check(_ name: String, _ section: YAMLSection) throws(YAMLError) {
      if sites.contains(where: { $0.name == name }) { return }
      let near = NearestName.of(name, among: sites.map(\.name)).map { "; did you mean \"\($0)\"?" } ?? ""
      throw section.error(name, "rtt: there is no site \"\(name)\"\(near)")
    }
    var result: [String: [String: Double]] = [:]
    for from in matrix.keys {
      try check(from, matrix)
      guard let row = try matrix.section(from) else { continue }
      for to in row.keys {
        try check(to, row)
        let time = try row.duration(to, in: .zero ... .seconds(10)) ?? .zero
        if let other = result[to]?[from], other != time / .seconds(1) {
          throw row.error(to, "rtt: \(from) to \(to) is there twice with different values", hint: "remove one")
        }
        result[from, default: [:]][to] = time / .seconds(1)
      }
    }
    return result
  }
}
