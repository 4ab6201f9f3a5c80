import Foundation
import Simulator
import Spelling
import StrictYAML
import StudyAnalysis

/// What is planned: sites, what stands there and what it costs, and how text is written.
///
/// Keys of its own: `name`, `sites`, `regions`, `rtt`, `plain`, `tokens-per-second`, `tolerance`. The rest of the file
/// is a scenario's (docs/simulator.md), but for what a plan decides itself: how far apart sites are, what is compared.
public struct PlanFile: Sendable {
  public var name: String
  public var sites: [Site]
  /// Given round trips in seconds, each pair of sites in one direction at least.
  var roundTrips: [String: [String: Double]]
  /// Tokens that a controller's site writes in a second, for savings over a year.
  public var tokensPerSecond: Double?
  /// How much slower than drafting locally a pair may be and still be worth it, as a share.
  public var tolerance: Double
  /// The scenario without the keys of a plan, and without hardware, which is each site's.
  let scenario: YAMLDocument
  /// What stands at each site, by its name.
  let hardware: [String: SiteHardware]
  /// That paths in the file are relative to.
  let folder: URL
  /// Of the list of sites, for errors about all of them.
  let place: YAMLPlace

  public var controllers: [Site] { sites.filter(\.isController) }
  public var workers: [Site] { sites.filter(\.isWorker) }

  private static let ownKeys: Set<String> = [
    "name", "sites", "regions", "rtt", "plain", "tokens-per-second", "tolerance",
  ]
  public static let maxSites = 100

  /// - Throws: for a file that cannot be read or is not a valid plan, with the line and the key
  public static func read(_ path: String) throws(YAMLError) -> PlanFile {
    try PlanFile(
      try YAMLDocument.read(path, kind: ("a plan", "name: my-plan")),
      folder: URL(filePath: path).deletingLastPathComponent())
  }

  /// - Parameter folder: that paths in the file are relative to
  public init(_ document: YAMLDocument, folder: URL) throws(YAMLError) {
    let (own, rest) = document.split(Self.ownKeys)
    let root = own.root
    name = try root.required("name", root.text("name", maxLength: 100))
    guard name.wholeMatch(of: /[A-Za-z0-9][A-Za-z0-9._-]*/) != nil else {
      throw root.error("name", "a name has letters, digits and .-_ only: it names files")
    }
    tokensPerSecond = try root.number("tokens-per-second", in: 0.001...1e9)
    tolerance = try root.number("tolerance", in: 0...1, percent: true) ?? 0.05
    let plain = try root.duration("plain", in: SiteHardware.plainRange)
    let sites = try Self.sites(root, try RegionReader(root, key: "regions").regions())
    roundTrips = try Self.roundTrips(root, sites)
    try root.finish()
    for site in sites { try site.checkRole() }
    place = root.value("sites")?.place ?? document.node.place
    guard sites.contains(where: \.isController) else {
      throw root.error("sites", "no site has a target", hint: "set \"controller: true\" for one")
    }
    guard sites.contains(where: \.isWorker) else {
      throw root.error("sites", "no site has room for a worker", hint: "set \"worker: true\" for one")
    }
    var hardware: [String: SiteHardware] = [:]
    for site in sites { hardware[site.name] = try SiteHardware(site, in: rest, plain: plain, folder: folder) }
    self.sites = sites
    self.hardware = hardware
    self.folder = folder
    scenario = rest.split(SiteHardware.keys).others
  }

  private static func sites(
    _ root: YAMLSection, _ regions: RegionReader.Regions
  ) throws(YAMLError) -> [Site] {
    guard let list = try root.sections("sites", maxCount: maxSites), !list.isEmpty else {
      throw root.error(
        "sites", "a plan has sites",
        hint:
          "add \"sites:\" with a list of {region: us-east-1, controller: true} and {region: eu-west-2, worker: true}"
      )
    }
    var sites: [Site] = []
    for section in list {
      let site = try Site(section, regions)
      guard !sites.contains(where: { $0.name == site.name }) else {
        throw section.error("region", "the site \(site.name) is there twice", hint: "keep one of them")
      }
      sites.append(site)
    }
    return sites
  }

  private static func roundTrips(
    _ root: YAMLSection, _ sites: [Site]
  ) throws(YAMLError) -> [String: [String: Double]] {
    guard let matrix = try root.section("rtt") else { return [:] }
    let names = sites.map(\.name)
    func check(_ name: String, _ section: YAMLSection) throws(YAMLError) {
      if names.contains(name) { return }
      let near = NearestName.of(name, among: names).map { "; did you mean \"\($0)\"?" } ?? ""
      throw section.error(
        name, "rtt: there is no site \"\(name)\"\(near)", hint: "sites: \(names.joined(separator: ", "))")
    }
    var result: [String: [String: Double]] = [:]
    for from in matrix.keys {
      try check(from, matrix)
      guard let row = try matrix.section(from) else { continue }
      for to in row.keys {
        try check(to, row)
        let time = try row.required(to, row.duration(to, in: .zero ... .seconds(10))) / .seconds(1)
        if let other = result[to]?[from], other != time {
          throw row.error(
            to, "rtt: \(from) to \(to) is there twice with different values", hint: "remove one")
        }
        result[from, default: [:]][to] = time
      }
    }
    return result
  }
}
