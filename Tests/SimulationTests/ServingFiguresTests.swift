import Foundation
import Simulator
import SpeculationCore
import SplitMix
import Testing

struct ServingFiguresTests {
  private static let ms: Int64 = 1_000_000

  /// Every quantile is within 0.4% of the sample of its rank.
  @Test(arguments: [1, 2, 19, 20, 21, 1000, 50_000]) func quantilesAreNearTheSamples(count: Int) throws {
    var random = SplitMix64(seed: UInt64(count))
    // Over twelve orders of magnitude, with runs of equal samples.
    let samples = (0..<count).map { _ in
      random.chance(0.2) ? 30 * Self.ms : Int64(exp(random.uniform() * 30))
    }
    var histogram = LogHistogram()
    for sample in samples { histogram.add(sample) }
    let sorted = samples.sorted()
    for share in [0, 0.01, 0.5, 0.9, 0.95, 0.99, 0.999, 1] {
      let rank = min(max(Int((share * Double(count) - 1e-9).rounded(.up)), 1), count)
      let (found, exact) = (try #require(histogram.quantile(share)), sorted[rank - 1])
      #expect(abs(Double(found - exact)) <= 0.004 * Double(exact), "\(share): \(found), not \(exact)")
    }
    #expect(histogram.count == count && histogram.minimum == sorted[0] && histogram.maximum == sorted.last)
    let mean = try #require(histogram.mean)
    let exact = samples.reduce(0.0) { $0 + Double($1) } / Double(count)
    #expect(abs(mean - exact) <= 1e-9 * exact + 1)
    var (first, second) = (LogHistogram(), LogHistogram())
    for (index, sample) in samples.reversed().enumerated() {
      if index % 3 == 0 { first.add(sample) } else { second.add(sample) }
    }
    first.merge(second)
    #expect(first == histogram, "neither the order nor parts matter")
  }

  @Test func extremesFit() {
    var histogram = LogHistogram()
    #expect(histogram.quantile(0.5) == nil && histogram.mean == nil)
    histogram.add(.max)
    #expect(histogram.quantile(0.5) == .max)
    histogram.add(-5, times: 2)
    histogram.add(7, times: 0)
    #expect(histogram.quantile(0.5) == 0 && histogram.count == 3 && histogram.minimum == 0)
    // Below 128 nothing is rounded.
    var small = LogHistogram()
    for value in 0...99 as ClosedRange<Int64> { small.add(value) }
    for percent in 1...100 { #expect(small.quantile(Double(percent) / 100) == Int64(percent - 1)) }
  }

  /// ```
  /// ms        0    10        30        40   60   65
  /// arrival   |
  /// admitted       |
  /// tokens                   1         3    1    2
  /// gaps                               10   20   5
  ///                                    0 0       0
  /// ```
  static let example: RequestRecord = {
    var record = RequestRecord(arrival: 0)
    record.admit(at: 10 * ms)
    for (time, tokens) in [(30, 1), (40, 3), (60, 1), (65, 2)] { record.commit(tokens, at: Int64(time) * ms) }
    return record
  }()

  @Test func gapsCountForEachToken() {
    let record = Self.example
    #expect(record.tokens == 7 && record.timeToFirstToken == 30 * Self.ms)
    #expect(record.timePerOutputToken == 35 * Self.ms / 6)
    // 0, 0, 0, 5, 10, 20
    let expected = [0, 0, 0, 5, 10, 20].map { $0 * Self.ms }
    for (index, gap) in expected.enumerated() {
      #expect(record.interTokenLatency((Double(index) + 0.5) / 6) == gap)
    }
    #expect(record.interTokenLatency(0.95) == 20 * Self.ms)
    var figures = ServingFigures()
    figures.finish(record, .answered, at: 65 * Self.ms)
    #expect(figures.interTokenLatency.count == 6 && figures.stepGap.count == 3)
    #expect(figures.interTokenLatency.quantile(0.5) == 0)
    #expect(figures.interTokenLatency.maximum == 20 * Self.ms && figures.stepGap.minimum == 5 * Self.ms)
    #expect(figures.queueing.maximum == 10 * Self.ms && figures.endToEnd.maximum == 65 * Self.ms)
    #expect(abs(figures.throughput - 7 / 0.065) < 1e-9)
    #expect(abs(figures.utilisation(busy: 26 * Self.ms) - 0.4) < 1e-12)
  }

  @Test func oneTokenHasNoGaps() {
    var record = RequestRecord(arrival: 5)
    #expect(record.timeToFirstToken == nil && record.interTokenLatency(0.95) == nil)
    record.commit(0, at: 6)
    #expect(record.tokens == 0)
    record.commit(1, at: 9)
    #expect(record.timeToFirstToken == 4 && record.timePerOutputToken == nil)
    var figures = ServingFigures(goodput: GoodputLimit(interTokenLatency95: .nanoseconds(1)))
    figures.finish(record, .answered, at: 9)
    #expect(
      figures.good == 1 && figures.interTokenLatency.count == 0 && figures.timePerOutputToken.count == 0)
    #expect(figures.queueing.count == 0, "it was never said to run")
  }

  @Test func preemptionKeepsTheFirstAdmission() {
    var record = RequestRecord(arrival: 0)
    record.admit(at: 3)
    record.preempt()
    record.admit(at: 50)
    record.commit(2, at: 60)
    var figures = ServingFigures()
    figures.finish(record, .answered, at: 60)
    #expect(figures.preemptions == 1 && figures.queueing.maximum == 3)
  }

  static let limits: [(GoodputLimit, Bool)] = [
    (GoodputLimit(timeToFirstToken: .milliseconds(30)), true),
    (GoodputLimit(timeToFirstToken: .milliseconds(29)), false),
    (GoodputLimit(interTokenLatency95: .milliseconds(20)), true),
    (GoodputLimit(interTokenLatency95: .milliseconds(19)), false),
    (GoodputLimit(timePerOutputToken: .milliseconds(6)), true),
    (GoodputLimit(timePerOutputToken: .microseconds(5833)), false),
    (GoodputLimit(timeToFirstToken: .milliseconds(30), interTokenLatency95: .milliseconds(19)), false),
    (GoodputLimit(timeToFirstToken: .milliseconds(29), interTokenLatency95: .milliseconds(20)), false),
    (GoodputLimit(), true),
  ]

  @Test(arguments: limits) func everyLimitMustHold(limit: GoodputLimit, expected: Bool) {
    #expect(limit.holds(Self.example) == expected)
  }

  /// Two good answers, a late one, a refusal, a cancellation and a failure in 2 s, and one before the warm-up ends.
  @Test func goodputLeavesOutWhatUsersCancel() throws {
    var figures = ServingFigures(
      goodput: GoodputLimit(timeToFirstToken: .milliseconds(100)), warmUp: .milliseconds(500))
    func record(_ arrival: Int64, first: Int64?, tokens: Int) -> RequestRecord {
      var record = RequestRecord(arrival: arrival * Self.ms)
      if let first { record.commit(tokens, at: (arrival + first) * Self.ms) }
      return record
    }
    figures.finish(record(499, first: 1, tokens: 99), .answered, at: 501 * Self.ms)
    #expect(figures == ServingFigures(goodput: figures.goodput, warmUp: .milliseconds(500)))
    figures.finish(record(500, first: 90, tokens: 10), .answered, at: 600 * Self.ms)
    figures.finish(record(600, first: 101, tokens: 20), .answered, at: 800 * Self.ms)
    figures.finish(record(700, first: nil, tokens: 0), .refused, at: 700 * Self.ms)
    figures.finish(record(800, first: 1, tokens: 5), .cancelled, at: 900 * Self.ms)
    figures.finish(record(900, first: nil, tokens: 0), .failed, at: 950 * Self.ms)
    figures.finish(record(2400, first: 100, tokens: 30), .answered, at: 2500 * Self.ms)
    #expect(figures.answered == 3 && figures.refused == 1 && figures.cancelled == 1 && figures.failed == 1)
    #expect(figures.span == 2000 * Self.ms && figures.good == 2)
    #expect(figures.goodputRate == 1 && figures.requestThroughput == 1.5 && figures.goodShare == 0.4)
    #expect(figures.throughput == 32.5 && figures.goodThroughput == 20)
    #expect(figures.timeToFirstToken.count == 4 && figures.endToEnd.count == 3)
    let summary = ServingSummary(figures, targetBusy: 1000 * Self.ms)
    #expect(summary.utilisation == 0.5 && summary.goodShare == 0.4)
    #expect(abs(try #require(summary.timeToFirstToken.p50) - 90) <= 0.36 && summary.queueing.p95 == nil)
  }

  @Test func anEmptyRunDividesNothingByNothing() throws {
    let summary = ServingSummary(ServingFigures(), targetBusy: 5)
    #expect(summary.tokensPerSecond == 0 && summary.goodShare == 0 && summary.utilisation == 0)
    let coded = try JSONDecoder().decode(ServingSummary.self, from: JSONEncoder().encode(summary))
    #expect(coded == summary && summary.interTokenLatency.p99 == nil)
  }

  @Test func aGoalHoldsForTheWholeRun() {
    func figures(_ gaps: [Int64], refused: Int = 0) -> ServingFigures {
      var figures = ServingFigures()
      for gap in gaps {
        var record = RequestRecord(arrival: 0)
        record.commit(1, at: Self.ms)
        record.commit(1, at: (1 + gap) * Self.ms)
        figures.finish(record, .answered, at: (1 + gap) * Self.ms)
      }
      for _ in 0..<refused { figures.finish(RequestRecord(arrival: 0), .refused, at: 0) }
      return figures
    }
    let goal = CapacityGoal(interTokenLatency95: .milliseconds(50))
    let nineteen = [Int64](repeating: 40, count: 19)
    #expect(goal.holds(figures(nineteen + [90])), "one of twenty may be late")
    #expect(!goal.holds(figures(nineteen.dropLast() + [90, 90])))
    #expect(!goal.holds(figures(nineteen, refused: 1)) && !goal.holds(figures([])))
    #expect(!CapacityGoal(timePerOutputToken95: .milliseconds(39)).holds(figures(nineteen)))
    #expect(!CapacityGoal(timeToFirstToken95: .microseconds(900)).holds(figures(nineteen)))
  }
}
