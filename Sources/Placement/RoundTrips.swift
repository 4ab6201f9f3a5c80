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
  /// What the study has between sites of the plan and cannot be true.
  public let unbelievable: [PlanResult.FalseRoundTrip]

  /// - Parameter study: its round trips are taken where the file gives none
  public init(_ file: PlanFile, study: StudyData?) {
    given = file.roundTrips
    let sites = Set(file.sites.map(\.name))
    measured = study.map { Self.medians($0, among: sites) } ?? [:]
    unbelievable = study.map { Self.unbelievable($0, among: sites) } ?? []
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
    for (pair, check) in zip(study.pairs, study.roundTripChecks) {
      guard let check, check.isBelievable, let ends = ends(of: pair, study, among: sites) else { continue }
      var byHour = times[ends.sorted()] ?? Array(repeating: [], count: 24)
      for (index, slot) in pair.slots.enumerated() {
        guard let time = pair.roundTrip(at: index), time >= check.shortestPossible else { continue }
        byHour[Int(study.hour(of: Int(slot)))].append(time)
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

  private static func unbelievable(
    _ study: StudyData, among sites: Set<String>
  ) -> [PlanResult.FalseRoundTrip] {
    zip(study.pairs, study.roundTripChecks).compactMap { pair, check in
      guard let check, !check.isBelievable, let ends = ends(of: pair, study, among: sites) else { return nil }
      return PlanResult.FalseRoundTrip(
        source: ends[0], region: ends[1], milliseconds: check.median * 1000,
        shortestPossibleMilliseconds: check.shortestPossible * 1000)
    }
  }

  /// A source and another place, both in the plan.
  private static func ends(
    of pair: StudyData.Pair, _ study: StudyData, among sites: Set<String>
  ) -> [String]? {
    let ends = [study.sources[pair.source].name, study.targets[pair.target].region.name]
    return ends[0] != ends[1] && ends.allSatisfy(sites.contains) ? ends : nil
  }

  /// To a millisecond: closer differences change nothing, and equal links need one simulation.
  private static func rounded(_ seconds: Double) -> Double { (seconds * 1000).rounded() / 1000 }
}
