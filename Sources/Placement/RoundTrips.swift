import Foundation
import StudyAnalysis
import StudyStatistics

/// How far sites are from each other, by hour of the day (UTC), and how it is known.
public struct RoundTrips: Sendable {
  public enum Origin: String, Sendable, Codable {
    /// The plan's file; a study's medians; a guess from the distance.
    case given, study, distance
    /// Both ends are at one place, and nothing was given.
    case sameSite = "same site"
  }

  public struct Path: Sendable, Hashable {
    public var origin: Origin
    /// Seconds: one for the whole day, or 24.
    public var hours: [Double]

    public func at(_ hour: Int) -> Double { hours.count == 1 ? hours[0] : hours[hour] }
    public var median: Double { Quantile.of(hours, 0.5) ?? 0 }
  }

  private let given: [String: [String: Double]]
  /// Both directions of each pair of places that was probed, with the smaller name first.
  private let measured: [[String]: [Double]]

  /// - Parameter study: its round trips are taken where the file gives none
  public init(_ file: PlanFile, study: StudyData?) {
    given = file.roundTrips
    measured = study.map { Self.medians($0, among: Set(file.sites.map(\.name))) } ?? [:]
  }

  /// The same in both directions.
  public func path(_ a: PlanFile.Site, _ b: PlanFile.Site) -> Path {
    if let given = given[a.name]?[b.name] ?? given[b.name]?[a.name] {
      return Path(origin: .given, hours: [given])
    }
    if a.name == b.name { return Path(origin: .sameSite, hours: [0]) }
    if let measured = measured[[a.name, b.name].sorted()] { return Path(origin: .study, hours: measured) }
    return Path(
      origin: .distance, hours: [Self.rounded(a.region.typicalRoundTrip(to: b.region) / .seconds(1))])
  }

  /// Medians by hour over both directions. An hour with fewer probes than a median's interval needs has the day's.
  private static func medians(_ study: StudyData, among sites: Set<String>) -> [[String]: [Double]] {
    var times: [[String]: [[Double]]] = [:]
    for pair in study.pairs {
      let ends = [study.sources[pair.source].name, study.targets[pair.target].region.name]
      guard ends[0] != ends[1], ends.allSatisfy(sites.contains) else { continue }
      var byHour = times[ends.sorted()] ?? Array(repeating: [], count: 24)
      for (index, slot) in pair.slots.enumerated() {
        // The kernel's own figure, or a TCP handshake, which is one round trip.
        let time = pair.roundTrip[index].isFinite ? pair.roundTrip[index] : pair.connect[index]
        if time.isFinite, time >= 0 { byHour[Int(study.hour(of: Int(slot)))].append(time) }
      }
      times[ends.sorted()] = byHour
    }
    return times.compactMapValues { byHour in
      guard let day = Quantile.of(byHour.flatMap { $0 }, 0.5) else { return nil }
      return byHour.map { hour in
        rounded(hour.count < Quantile.minimumCount(0.5) ? day : Quantile.of(hour, 0.5) ?? day)
      }
    }
  }

  /// To a millisecond: closer differences change nothing, and equal links need one simulation.
  private static func rounded(_ seconds: Double) -> Double { (seconds * 1000).rounded() / 1000 }
}
