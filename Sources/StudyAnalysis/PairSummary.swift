import Foundation
import SplitMix
import StudyStatistics

/// What is said of one source and one target. Times in seconds; +infinity is "longer than the timeout".
public struct PairSummary: Sendable {
  /// A quantile of one hour of the day, and the middle 95% of it when whole days are drawn; no interval with fewer than
  /// five days or than `Quantile.minimumCount` probes.
  public struct Level: Sendable {
    public var value: Double
    public var interval: ClosedRange<Double>?
  }

  /// One hour of the day.
  public struct Hour: Sendable {
    /// UTC, 0..<24.
    public var hour: Int
    public var count: Int
    public var p50: Level
    public var p90: Level
  }

  public struct Daily: Sendable {
    public var test: DiurnalTest
    /// Whether it stands when all pairs are tested (Benjamini-Hochberg, 5%).
    public var isDiscovery: Bool
    /// From the mean to the peak, seconds.
    public var amplitude: Double
    public var amplitudeInterval: ClosedRange<Double>
  }

  public struct Change: Sendable {
    public var date: Date
    public var before: Double
    public var after: Double
    public var pValue: Double
    /// Whether it stands when all pairs are searched (Benjamini-Hochberg, 5%).
    public var isDiscovery = false
  }

  public var source: Int
  public var target: Int
  /// Whether the target is in the source's own region.
  public var isIntra: Bool
  /// Probes, and those that count as infinitely slow.
  public var count: Int
  public var censored: Int
  /// Of the request's time to first token, with 95% intervals.
  public var p50: Estimate
  public var p90: Estimate
  public var p95: Estimate
  /// Nil with fewer probes than `Quantile.minimumCount` asks for.
  public var p99: Double?
  public var coldP50: Double
  public var coldP95: Double
  public var connectP50: Double?
  public var roundTripP50: Double?
  public var timePerTokenP50: Double?
  /// Nil where no round trip is known.
  public var roundTripCheck: RoundTripCheck?
  /// Nil where no round trip is known, or what is known cannot be true.
  public var network: NetworkShare?
  public var daily: Daily?
  public var changes: [Change]
  public var hours: [Hour]
  /// Quantiles of the TCP handshake at 0.5%, 1.5%, ..., 99.5%.
  public var connectQuantiles: [Double]
}

extension PairSummary {
  /// - Returns: nil for a pair without a value
  init?(
    _ pair: StudyData.Pair, _ check: RoundTripCheck?, of data: StudyData, bootstrap: BlockBootstrap
  ) {
    let values = pair.requestTTFT.filter { !$0.isNaN }
    guard !values.isEmpty else { return nil }
    source = pair.source
    target = pair.target
    isIntra = data.sources[pair.source].name == data.targets[pair.target].region.name
    count = values.count
    censored = values.count { $0 == .infinity }
    let series = pair.series(of: data)
    // Each pair draws its own numbers, and the same ones on every run.
    var random = SplitMix64(numbered: UInt64(pair.source) << 32 | UInt64(pair.target))
    guard let p50 = bootstrap.quantile(0.5, of: series, using: &random),
      let p90 = bootstrap.quantile(0.9, of: series, using: &random),
      let p95 = bootstrap.quantile(0.95, of: series, using: &random)
    else { return nil }
    self.p50 = p50
    self.p90 = p90
    self.p95 = p95
    p99 = values.count >= Quantile.minimumCount(0.99) ? Quantile.of(values, 0.99) : nil
    let cold = pair.coldTTFT.filter { !$0.isNaN }
    coldP50 = Quantile.of(cold, 0.5) ?? .nan
    coldP95 = Quantile.of(cold, 0.95) ?? .nan
    let connects = pair.connect.filter(\.isFinite).sorted()
    connectP50 = connects.isEmpty ? nil : connects[Quantile.index(0.5, count: connects.count)]
    connectQuantiles =
      connects.isEmpty
      ? [] : (0..<100).map { connects[Quantile.index((Double($0) + 0.5) / 100, count: connects.count)] }
    roundTripP50 = Quantile.of(pair.roundTrip.filter(\.isFinite), 0.5)
    timePerTokenP50 = Quantile.of(pair.timePerToken.filter(\.isFinite), 0.5)
    roundTripCheck = check
    network = check.flatMap { $0.isBelievable ? NetworkShare(pair.networkProbes(slowerThan: $0)) : nil }
    daily = DiurnalTest(series, startHour: data.hour(of: pair.first)).map { test in
      let level = p50.value.isFinite ? p50.value : 0
      return Daily(
        test: test, isDiscovery: false, amplitude: test.amplitude * level,
        amplitudeInterval: test.amplitudeInterval.lowerBound * level...test.amplitudeInterval.upperBound
          * level)
    }
    changes = ChangePoint.find(in: series).map {
      Change(date: data.date(of: pair.first + $0.slot), before: $0.before, after: $0.after, pValue: $0.pValue)
    }
    hours = HourlySeries(pair, of: data).summaries(using: &random)
  }
}

extension StudyData.Pair {
  var first: Int { slots.first.map(Int.init) ?? 0 }

  /// From the first probe's slot to the last one's.
  func series(of data: StudyData) -> SlotSeries {
    guard let first = slots.first, let last = slots.last else {
      return SlotSeries(interval: data.slotLength, values: [])
    }
    var values = [Double?](repeating: nil, count: Int(last - first) + 1)
    for (slot, value) in zip(slots, requestTTFT) where !value.isNaN { values[Int(slot - first)] = value }
    return SlotSeries(interval: data.slotLength, values: values)
  }

  func networkProbes(slowerThan check: RoundTripCheck) -> [NetworkShare.Probe] {
    slots.indices.compactMap { index in
      guard requestTTFT[index].isFinite, connect[index].isFinite, let time = self.roundTrip(at: index),
        time >= check.shortestPossible
      else { return nil }
      func seconds(_ value: Double) -> Double { value.isFinite ? value : 0 }
      return NetworkShare.Probe(
        nameLookup: seconds(nameLookup[index]), connect: connect[index], handshake: seconds(handshake[index]),
        request: requestTTFT[index], roundTrip: roundTrip[index].isFinite ? roundTrip[index] : nil)
    }
  }
}
