import Foundation

/// Intervals for quantiles of measurements that depend on each other: a circular block bootstrap.
///
/// Blocks of consecutive slots, from random places of the series closed to a circle, are put together to series of the
/// same length; the spread of their quantiles is that of the estimate (Kunsch 1989; Politis and Romano 1992). A
/// series holds few independent blocks, so the plain percentiles are too narrow. They are taken as far out as
/// Student's t for that number of blocks lies, instead of the normal distribution.
public struct BlockBootstrap: Sendable, Equatable {
  public var replicates: Int
  public var confidence: Double
  /// In slots; nil: from the dependence that the series shows.
  public var blockLength: Int?

  public init(replicates: Int = 599, confidence: Double = 0.95, blockLength: Int? = nil) {
    precondition(replicates >= 99 && confidence > 0 && confidence < 1, "too few replicates, or no confidence")
    self.replicates = replicates
    self.confidence = confidence
    self.blockLength = blockLength
  }

  /// - Returns: nil for a series without a measurement.
  public func quantile(
    _ p: Double, of series: SlotSeries, using generator: inout some RandomNumberGenerator
  ) -> Estimate? {
    let present = series.present
    guard !present.isEmpty else { return nil }
    let index = RankIndex(present)
    let value = index.sorted[Quantile.index(p, count: present.count)]
    let dependence = Dependence(of: series.values.map { each in each.map { $0 > value ? 1 : 0 } })
    return estimate(p, value, of: series.values, [dependence], using: &generator) { place, sample in
      index.value(at: place, of: &sample)
    }
  }

  /// The quantile of one series less that of another, slots being drawn for both at once, so that what disturbed both
  /// at the same time does not count as a difference. Only slots that both have are used.
  ///
  /// - Returns: nil without a common slot, or where both quantiles are censored.
  public func difference(
    _ p: Double, of first: SlotSeries, less second: SlotSeries,
    using generator: inout some RandomNumberGenerator
  ) -> Estimate? {
    var pairs: [(Double, Double)?] = zip(first.values, second.values).map { a, b in
      if let a, let b { (a, b) } else { nil }
    }
    while let last = pairs.last, last == nil { pairs.removeLast() }
    let present = pairs.compactMap { $0 }
    guard !present.isEmpty else { return nil }
    let a = RankIndex(present.map(\.0))
    let b = RankIndex(present.map(\.1))
    let place = Quantile.index(p, count: present.count)
    let value = a.sorted[place] - b.sorted[place]
    guard !value.isNaN else { return nil }
    let dependences = [
      Dependence(of: pairs.map { pair in pair.map { $0.0 > a.sorted[place] ? 1 : 0 } }),
      Dependence(of: pairs.map { pair in pair.map { $0.1 > b.sorted[place] ? 1 : 0 } }),
    ]
    return estimate(p, value, of: pairs.map { $0.map(\.0) }, dependences, using: &generator) {
      place, sample in
      var same = sample
      return a.value(at: place, of: &same) - b.value(at: place, of: &sample)
    }
  }

  /// The estimate around a value: its interval from replicates of the series' slots.
  ///
  /// - Parameters:
  ///   - dependences: of all that the statistic depends on; the longest counts
  ///   - statistic: of a replicate, from the place of its quantile; NaN where it has none
  private func estimate(
    _ p: Double, _ value: Double, of slots: [Double?], _ dependences: [Dependence],
    using generator: inout some RandomNumberGenerator,
    statistic: (_ place: Int, _ sample: inout RankIndex.Sample) -> Double
  ) -> Estimate {
    let count = slots.count { $0 != nil }
    let blocks = SlotBlocks(slots, length: blockLength ?? dependences.map(\.blockLength).max()!)
    let effective = max(1, Double(count) / dependences.map(\.integratedTime).max()!)
    var estimate = Estimate(
      value: value, interval: nil, count: count, effectiveCount: effective,
      blockLength: blocks.length, hasLongDependence: blocks.count <= 10)
    guard effective >= Double(Quantile.minimumCount(p, confidence: confidence)) else { return estimate }
    var sample = RankIndex.Sample()
    var drawn: [Double] = []
    drawn.reserveCapacity(replicates)
    for _ in 0..<replicates {
      let size = blocks.draw(into: &sample.stretches, using: &generator)
      guard size > 0 else { continue }
      let result = statistic(Quantile.index(p, count: size), &sample)
      if !result.isNaN { drawn.append(result) }
    }
    estimate.interval = interval(of: drawn, blocks: blocks.count)
    return estimate
  }

  private func interval(of drawn: [Double], blocks: Int) -> ClosedRange<Double>? {
    guard drawn.count >= replicates / 2, blocks >= 2 else { return nil }
    let freedom = Double(blocks - 1)
    let reach =
      ReferenceDistribution.studentQuantile(0.5 + confidence / 2, freedom: freedom)
      * (Double(blocks) / freedom).squareRoot()
    let tail = 1 - ReferenceDistribution.normal(reach)
    let sorted = drawn.sorted()
    let low = sorted[max(0, Int((tail * Double(sorted.count + 1)).rounded(.down)) - 1)]
    let high = sorted[min(sorted.count - 1, Int(((1 - tail) * Double(sorted.count + 1)).rounded(.up)) - 1)]
    return low...high
  }
}

/// Blocks of slots of a series closed to a circle, as stretches of the measurements that are there.
struct SlotBlocks {
  let length: Int
  /// Blocks in a series, the last one perhaps in part.
  let count: Int
  private let slots: Int
  /// Measurements before each slot.
  private let before: [Int]

  init(_ values: [Double?], length: Int) {
    slots = values.count
    self.length = max(1, min(length, values.count))
    count = (values.count + self.length - 1) / self.length
    var sum = 0
    var before = [0]
    before.reserveCapacity(values.count + 1)
    for value in values {
      sum += value == nil ? 0 : 1
      before.append(sum)
    }
    self.before = before
  }

  /// - Returns: how many measurements were drawn
  func draw(
    into stretches: inout [(start: Int, end: Int)], using generator: inout some RandomNumberGenerator
  ) -> Int {
    stretches.removeAll(keepingCapacity: true)
    var size = 0
    var left = slots
    func add(_ from: Int, _ to: Int) {
      guard before[to] > before[from] else { return }
      stretches.append((before[from], before[to]))
      size += before[to] - before[from]
    }
    while left > 0 {
      let take = min(length, left)
      // The high half of a product, since the standard library's own is generic over generators and costs 200 ns.
      let start = Int(generator.next().multipliedFullWidth(by: UInt64(slots)).high)
      add(start, min(slots, start + take))
      if start + take > slots { add(0, start + take - slots) }
      left -= take
    }
    return size
  }
}
