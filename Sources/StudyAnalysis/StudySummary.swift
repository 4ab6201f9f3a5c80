import Foundation
import StudyStatistics
import Synchronization

/// All that is said of a study.
public struct StudySummary: Sendable {
  public let data: Facts
  /// In the order of source, then target.
  public let pairs: [PairSummary]
  /// For each source that has a target in its own region, each other target.
  public let comparisons: [Comparison]
  public let exclusions: [StudyData.Exclusion]

  /// A study without its probes.
  public struct Facts: Sendable {
    public var name: String
    public var slotLength: Double
    public var begin: Date
    public var end: Date
    public var emulated: String?
    public var timeout: Double
    public var sources: [Region]
    public var targets: [StudyData.Target]
    public var sent: Int
    public var bursts: Int
    public var usd: Double
    public var clockAge: Double?
    /// What decides about summer time.
    public var middle: Date { begin.addingTimeInterval(end.timeIntervalSince(begin) / 2) }
  }

  /// Computes everything, on all cores. The same study gives the same summary, whatever the cores.
  ///
  /// - Parameter progress: called from any thread with the parts done, and how many there are
  public static func make(
    _ data: StudyData, bootstrap: BlockBootstrap = BlockBootstrap(),
    progress: @escaping @Sendable (Int, Int) -> Void = { _, _ in }
  ) async -> StudySummary {
    await withCheckedContinuation { continuation in
      // Minutes of arithmetic do not belong on cooperative threads.
      DispatchQueue.global(qos: .userInitiated).async {
        continuation.resume(returning: StudySummary(data, bootstrap: bootstrap, progress: progress))
      }
    }
  }

  private init(_ data: StudyData, bootstrap: BlockBootstrap, progress: @escaping @Sendable (Int, Int) -> Void)
  {
    let opposed = Self.opposed(data)
    let total = data.pairs.count + opposed.count
    let done = Atomic(0)
    @Sendable func step() { progress(done.add(1, ordering: .relaxed).newValue, total) }
    let checks = data.roundTripChecks
    var pairs = Self.parallel(data.pairs.count) { index in
      defer { step() }
      return PairSummary(data.pairs[index], checks[index], of: data, bootstrap: bootstrap)
    }.compactMap { $0 }
    let tested = pairs.indices.filter { pairs[$0].daily != nil }
    let found = DiurnalTest.discoveries(tested.map { pairs[$0].daily?.test.pValue ?? 1 })
    for (index, isDiscovery) in zip(tested, found) { pairs[index].daily?.isDiscovery = isDiscovery }
    self.pairs = Self.withDiscoveredChanges(pairs)
    var comparisons = Self.parallel(opposed.count) { index in
      defer { step() }
      return Comparison(
        own: data.pairs[opposed[index].own], other: data.pairs[opposed[index].other], of: data,
        bootstrap: bootstrap)
    }
    for (index, stands) in DiurnalTest.discoveries(comparisons.map { $0.ofDays?.pValue ?? 1 }).enumerated() {
      comparisons[index].isDiscovery = stands
    }
    self.comparisons = comparisons
    exclusions = data.exclusions
    self.data = Facts(
      name: data.name, slotLength: data.slotLength, begin: data.date(of: data.slots.lowerBound),
      end: data.date(of: data.slots.upperBound), emulated: data.emulated, timeout: data.timeout,
      sources: data.sources,
      targets: data.targets, sent: data.sent, bursts: data.bursts, usd: data.usd, clockAge: data.clockAge)
  }

  /// Each pair without a change counts as a test that found nothing.
  private static func withDiscoveredChanges(_ pairs: [PairSummary]) -> [PairSummary] {
    let places = pairs.indices.flatMap { pair in pairs[pair].changes.indices.map { (pair: pair, change: $0) }
    }
    let quiet = pairs.count { $0.changes.isEmpty }
    let stands = DiurnalTest.discoveries(
      places.map { pairs[$0.pair].changes[$0.change].pValue } + Array(repeating: 1, count: quiet))
    var result = pairs
    for (place, isDiscovery) in zip(places, stands) {
      result[place.pair].changes[place.change].isDiscovery = isDiscovery
    }
    return result
  }

  /// Indexes of pairs: a source's own region, and another one.
  private static func opposed(_ data: StudyData) -> [(own: Int, other: Int)] {
    data.pairs.indices.flatMap { own -> [(own: Int, other: Int)] in
      let pair = data.pairs[own]
      guard data.sources[pair.source].name == data.targets[pair.target].region.name else { return [] }
      return data.pairs.indices.filter {
        data.pairs[$0].source == pair.source
          && data.targets[data.pairs[$0].target].region.name != data.sources[pair.source].name
      }.map { (own, $0) }
    }
  }

  private static func parallel<T: Sendable>(_ count: Int, _ work: @Sendable (Int) -> T) -> [T] {
    let results = Mutex<[T?]>(Array(repeating: nil, count: count))
    DispatchQueue.concurrentPerform(iterations: count) { index in
      let result = work(index)
      results.withLock { $0[index] = result }
    }
    return results.withLock { $0.compactMap { $0 } }
  }

  public func pair(source: Int, target: Int) -> PairSummary? {
    pairs.first { $0.source == source && $0.target == target }
  }
}
