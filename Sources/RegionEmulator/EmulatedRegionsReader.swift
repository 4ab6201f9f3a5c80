import Foundation
import LatencyStudy
import StrictYAML
import StudyAnalysis

extension EmulatedRegions {
  public static func read(_ path: String) throws(YAMLError) -> EmulatedRegions {
    try EmulatedRegions(try YAMLDocument.read(path, kind: ("emulated regions", "name: two-days")))
  }

  public init(_ document: YAMLDocument) throws(YAMLError) {
    let root = document.root
    let reader = EmulatedRegionsReader(root: root, regions: try RegionReader(root).regions())
    name = try root.required("name", root.text("name", maxLength: 100))
    guard name.wholeMatch(of: /[A-Za-z0-9][A-Za-z0-9._-]*/) != nil else {
      throw root.error("name", "a name has letters, digits and .-_ only")
    }
    seed = UInt64(try root.integer("seed", in: 0...Int.max) ?? 0)
    start = try reader.start()
    acceleration = try root.number("acceleration", in: 1...100_000) ?? 1
    sources = try reader.sources()
    sites = try reader.sites()
    roundTrips = try reader.roundTrips(sources, sites)
    jitter = try reader.jitter()
    keys = try reader.keys()
    try root.finish()
  }
}

private struct EmulatedRegionsReader {
  let root: YAMLSection
  let regions: RegionReader.Regions

  func start() throws(YAMLError) -> Double {
    // A Monday.
    guard let text = try root.text("start", maxLength: 40) else { return 1_767_571_200 }
    guard let date = try? Date(text, strategy: .iso8601) else {
      throw root.error("start", "\"\(text)\" is no time; write it as 2026-01-05T00:00:00Z")
    }
    return date.timeIntervalSince1970
  }

  func sources() throws(YAMLError) -> [Region] {
    let list = try root.list("sources", maxCount: 250) {
      (value) throws(YAMLError) in try regions.region(value.text(maxLength: 100), at: value)
    }
    let sources = try root.required("sources", list)
    guard !sources.isEmpty, Set(sources.map(\.name)).count == sources.count else {
      throw root.error("sources", "there must be a source at least, and each once")
    }
    return sources
  }

  func sites() throws(YAMLError) -> [EmulatedRegions.Site] {
    guard let list = try root.sections("regions", maxCount: 250), !list.isEmpty else {
      throw root.error(
        "regions", "there must be a region at least", hint: "add \"regions:\" with a list of {region: NAME}")
    }
    var sites: [EmulatedRegions.Site] = []
    for section in list {
      guard let value = section.value("region") else {
        throw section.error(nil, "\(section.path) needs \"region\"", hint: "add \"region:\"")
      }
      let region = try regions.region(value.text(maxLength: 100), at: value)
      guard !sites.contains(where: { $0.region.name == region.name }) else {
        throw section.error("region", "the region \(region.name) is there twice")
      }
      sites.append(try site(section, region))
    }
    return sites
  }

  private func site(_ section: YAMLSection, _ region: Region) throws(YAMLError) -> EmulatedRegions.Site {
    func seconds(_ key: String, _ fallback: Double) throws(YAMLError) -> Double {
      guard let duration = try section.duration(key, in: .microseconds(1) ... .seconds(60)) else {
        return fallback
      }
      return duration / .seconds(1)
    }
    let site = EmulatedRegions.Site(
      region: region, servers: try section.integer("servers", in: 1...1000) ?? 8,
      queue: try section.integer(section.key("queue", orOld: "room"), in: 0...100_000) ?? 1000,
      prefill: try seconds("prefill", 0.15), perToken: try seconds("per-token", 0.015),
      sigma: try section.number("sigma", in: 0...3) ?? 0.3,
      tokens: try section.integer("tokens", in: 1...10_000) ?? 100,
      load: try section.number("load", in: 0...0.97, percent: true) ?? 0.5,
      diurnal: try section.number("diurnal", in: 0...1, percent: true) ?? 0,
      peakHour: try section.number("peak-hour", in: 0...24) ?? 14, faults: try faults(section))
    return site
  }

  private func faults(_ section: YAMLSection) throws(YAMLError) -> [EmulatedRegions.Fault] {
    var faults: [EmulatedRegions.Fault] = []
    for fault in try section.sections("faults", maxCount: 50) ?? [] {
      faults.append(
        EmulatedRegions.Fault(
          kind: try fault.required("kind", fault.choice("kind", EmulatedRegions.FaultKind.self)),
          share: try fault.required("share", fault.number("share", in: 0...1, percent: true))))
    }
    guard faults.reduce(0, { $0 + $1.share }) <= 1 else {
      throw section.error("faults", "the shares of faults are more than 100% together")
    }
    return faults
  }

  /// A key beside the sources of `links`.
  func jitter() throws(YAMLError) -> Double {
    let duration = try root.section("links")?.duration("jitter", in: .zero ... .seconds(1))
    return (duration ?? .zero) / .seconds(1)
  }

  /// Given ones, whichever end is named first; typical ones elsewhere.
  func roundTrips(_ sources: [Region], _ sites: [EmulatedRegions.Site]) throws(YAMLError) -> [String: [String:
    Double]]
  {
    var given: [String: [String: Double]] = [:]
    // For pairs that are not given in the other order too.
    var reverse: [String: [String: Double]] = [:]
    let isSource = { name in sources.contains { $0.name == name } }
    let isSite = { name in sites.contains { $0.region.name == name } }
    if let links = try root.section("links") {
      for source in links.keys where source != "jitter" {
        guard isSource(source) || isSite(source) else {
          throw links.error(source, "links: there is no source or region \"\(source)\"")
        }
        guard let section = try links.section(source) else { continue }
        for region in section.keys {
          let isForth = isSource(source) && isSite(region)
          let isBack = isSource(region) && isSite(source)
          guard isForth || isBack else {
            throw section.error(
              region, "links: one of \"\(source)\" and \"\(region)\" must be a source, and the other a region"
            )
          }
          let duration = try section.duration(region, in: .zero ... .seconds(10)) ?? .zero
          if isForth { given[source, default: [:]][region] = duration / .seconds(1) }
          if isBack { reverse[region, default: [:]][source] = duration / .seconds(1) }
        }
      }
    }
    for source in sources {
      for site in sites where given[source.name]?[site.region.name] == nil {
        given[source.name, default: [:]][site.region.name] =
          reverse[source.name]?[site.region.name]
          ?? source.typicalRoundTrip(to: site.region) / .seconds(1)
      }
    }
    return given
  }

  func keys() throws(YAMLError) -> EmulatedRegions.Keys {
    guard let section = try root.section("keys") else { return EmulatedRegions.Keys() }
    let keys = EmulatedRegions.Keys(
      bearer: try section.text("bearer", maxLength: 500),
      accessKeyID: try section.text("access-key", maxLength: 200),
      secretAccessKey: try section.text("secret-key", maxLength: 200))
    if (keys.accessKeyID == nil) != (keys.secretAccessKey == nil) {
      throw section.error(nil, "access-key and secret-key belong together")
    }
    return keys
  }
}
