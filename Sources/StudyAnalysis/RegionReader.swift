import Foundation
import Spelling
import StrictYAML

/// Regions in files: known ones, and those that the file describes under a key of its own.
package struct RegionReader {
  package struct Regions: Sendable {
    fileprivate var regions: [String: Region]
    fileprivate var key: String

    /// - Throws: for a name that nobody knows, at the value's place
    package func region(_ name: String, at value: YAMLValue) throws(YAMLError) -> Region {
      if let region = regions[name] { return region }
      let near = NearestName.of(name, among: regions.keys.sorted()).map { "; did you mean \"\($0)\"?" } ?? ""
      throw value.error(
        "unknown region \"\(name)\"\(near)",
        hint: "describe it: \(key): {\(name): {latitude: 47.4, longitude: 8.5, time-zone: Europe/Zurich}}")
    }
  }

  private let root: YAMLSection
  private let key: String

  package init(_ root: YAMLSection, key: String = "describe") {
    self.root = root
    self.key = key
  }

  package func regions() throws(YAMLError) -> Regions {
    var regions = Region.known
    guard let section = try root.section(key) else { return Regions(regions: regions, key: key) }
    for name in section.keys {
      guard let entry = try section.section(name) else { continue }
      guard name.wholeMatch(of: /[A-Za-z0-9][A-Za-z0-9._-]*/) != nil else {
        throw section.error(name, "a region's name has letters, digits and .-_ only")
      }
      let zone = try entry.text("time-zone", maxLength: 100) ?? "UTC"
      guard TimeZone(identifier: zone) != nil else {
        throw entry.error(
          "time-zone", "unknown time zone \"\(zone)\"", hint: "write one such as Europe/Zurich")
      }
      regions[name] = Region(
        name: name,
        latitude: try entry.required("latitude", entry.number("latitude", in: -90...90)),
        longitude: try entry.required("longitude", entry.number("longitude", in: -180...180)), timeZone: zone)
    }
    return Regions(regions: regions, key: key)
  }
}
