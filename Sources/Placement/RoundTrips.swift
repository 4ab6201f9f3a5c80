import StudyAnalysis
import StudyStatistics

/// How far sites are from each other, by hour of the day (UTC), and how it is known.
public struct RoundTrips: Sendable {
  public enum Origin: String, Sendable, Codable {
    /// The plan's file; a study's medians; a guess from the distance.
    case given, study, distance
  }

  public struct Path: Sendable, Hashable {
    public var origin: Origin
    /// Seconds: one for the whole day, or 24.
    public var hours: [Double]

    public func at(_ hour: Int) -> Double { hours.count == 1 ? hours[0] : hours[hour] }
    public var median: Double { Quantile.of(hours, 0.5) ?? 0 }
  }

  private let file: PlanFile
  private let study: StudyData?

  /// - Parameter study: its round trips are taken where the file gives none
  public init(_ file: PlanFile, study: StudyData?) {
    self.file = file
    self.study = study
  }

  public func path(_ a: PlanFile.Site, _ b: PlanFile.Site) -> Path {
    if a.name == b.name { return Path(origin: .given, hours: [file.roundTrips[a.name]?[b.name] ?? 0]) }
    if let given = file.roundTrips[a.name]?[b.name] ?? file.roundTrips[b.name]?[a.name] {
      return Path(origin: .given, hours: [given])
    }
    if let measured = measured(a.name, b.name) { return Path(origin: .study, hours: measured) }
    return Path(origin: .distance, hours: [a.region.typicalRoundTrip(to: b.region) / .seconds(1)])
  }

  /// Medians by hour over both directions; hours without a probe have the day's median. To a millisecond: closer
  /// differences change nothing, and equal links need one simulation.
  private func measured(_ a: String, _ b: String) -> [Double]? {
    guard let study else { return nil }
    var byHour = [[Double]](repeating: [], count: 24)
    for pair in study.pairs {
      let ends = (study.sources[pair.source].name, study.targets[pair.target].region.name)
      guard ends == (a, b) || ends == (b, a) else { continue }
      for (index, slot) in pair.slots.enumerated() {
        // The kernel's own figure, or a TCP handshake, which is one round trip.
        let time = pair.roundTrip[index].isFinite ? pair.roundTrip[index] : pair.connect[index]
        if time.isFinite { byHour[Int(study.hour(of: Int(slot)))].append(time) }
      }
    }
    guard let day = Quantile.of(byHour.flatMap { $0 }, 0.5) else { return nil }
    return byHour.map { ((Quantile.of($0, 0.5) ?? day) * 1000).rounded() / 1000 }
  }
}
