import Foundation
import Simulator
import SpeculationCore
import Testing

struct ArrivalTests {
  private static func times(_ process: ArrivalProcess, seed: UInt64 = 1, count: Int) -> [Int64] {
    var times = ArrivalTimes(process, seed: seed)!
    return (0..<count).compactMap { _ in times.next() }
  }

  @Test func constantTimesDoNotDrift() {
    var times = ArrivalTimes(.constant(rate: 3), seed: 1)!
    var last: Int64 = 0
    for index in 0...300_000 {
      last = times.next()!
      if index < 4 { #expect(last == [0, 333_333_333, 666_666_667, 1_000_000_000][index]) }
    }
    #expect(last == 100_000 * 1_000_000_000, "300,000 thirds of a second are 100,000 seconds")
  }

  @Test func virtualTimeEnds() {
    // Ten years are 315,360,000 s.
    #expect(Self.times(.constant(rate: 1e-4), count: 100_000).count == 31_536)
    let drawn = Self.times(.poisson(rate: 1e-4), count: 100_000)
    #expect(abs(drawn.count - 31_536) < 900 && drawn.allSatisfy { $0 < ArrivalTimes.end })
  }

  static let processes: [ArrivalProcess] = [
    .constant(rate: 7), .poisson(rate: 250), .poisson(rate: 1e6),
    .diurnal(DailyRate(mean: 20, shape: .sine(peak: 2), period: .seconds(60))),
    .diurnal(DailyRate(mean: 20, shape: .parts([1, 0, 3]), period: .seconds(60), start: .seconds(10))),
  ]

  @Test(arguments: processes) func equalSeedsGiveEqualTimesThatNeverFall(process: ArrivalProcess) {
    let times = Self.times(process, seed: 5, count: 20_000)
    #expect(times.count == 20_000 && times == Self.times(process, seed: 5, count: 20_000))
    #expect(zip(times, times.dropFirst()).allSatisfy { $0 <= $1 } && times[0] >= 0)
    if case .constant = process { return }
    #expect(times != Self.times(process, seed: 6, count: 20_000))
  }

  /// Exponential gaps: mean and deviation are 1/rate, and a gap longer than t has the probability exp(-rate t).
  @Test func poissonGapsAreExponential() {
    let times = Self.times(.poisson(rate: 4), count: 200_000)
    let gaps = zip([0] + times, times).map { Double($1 - $0) / 1e9 }
    let mean = gaps.reduce(0, +) / Double(gaps.count)
    let variance = gaps.reduce(0) { $0 + ($1 - mean) * ($1 - mean) } / Double(gaps.count)
    #expect(abs(mean * 4 - 1) < 0.01 && abs(variance.squareRoot() * 4 - 1) < 0.015)
    for limit in [0.1, 0.25, 0.5, 1] {
      let share = Double(gaps.count { $0 > limit }) / Double(gaps.count)
      #expect(abs(share - exp(-4 * limit)) < 0.004, "longer than \(limit)")
    }
  }

  /// Shares of the arrivals by part of the day, over many days.
  private static func shares(_ rate: DailyRate, parts: Int, count: Int) -> [Double] {
    let period = rate.period.wholeNanoseconds
    var bins = [Int](repeating: 0, count: parts)
    for time in times(.diurnal(rate), count: count) { bins[Int(time % period) * parts / Int(period)] += 1 }
    return bins.map { Double($0) / Double(count) }
  }

  @Test func aDayFollowsItsSine() {
    let rate = DailyRate(mean: 100, shape: .sine(peak: 1.8), period: .seconds(100))
    for (part, share) in Self.shares(rate, parts: 8, count: 400_000).enumerated() {
      let (from, to) = (Double(part) / 8, Double(part + 1) / 8)
      // The integral of 1 + 0.8 sin(2πx).
      let expected = to - from + 0.8 * (cos(2 * .pi * from) - cos(2 * .pi * to)) / (2 * .pi)
      #expect(abs(share - expected) < 0.004, "part \(part)")
    }
    #expect(abs(rate.rate(at: 25) - 180) < 1e-9 && abs(rate.rate(at: 75) - 20) < 1e-9)
    let later = DailyRate(mean: 100, shape: .sine(peak: 1.8), period: .seconds(100), start: .seconds(25))
    #expect(abs(later.rate(at: 0) - 180) < 1e-9)
  }

  @Test func aDayFollowsItsHours() {
    let rate = DailyRate(mean: 10, shape: .parts([1, 0, 4, 3]), period: .seconds(40))
    let shares = Self.shares(rate, parts: 4, count: 200_000)
    #expect(shares[1] == 0)
    for (share, expected) in zip(shares, [0.125, 0, 0.5, 0.375]) { #expect(abs(share - expected) < 0.005) }
    // The factors' mean counts as 1, so that the mean rate is what it is called.
    let times = Self.times(.diurnal(rate), count: 200_000)
    #expect(abs(Double(times.count) / (Double(times.last!) / 1e9) - 10) < 0.1)
  }

  @Test func aClosedLoopAsksWhenItIsAnswered() throws {
    let workload = Workload(
      arrivals: .closedLoop(users: 2, thinkTime: .milliseconds(5)), requests: 4, prompt: .fixed(7))
    let arrivals = try RequestArrivals(workload, seed: 1)
    #expect(try arrivals.next() == RequestArrival(time: 0, prompt: 7))
    #expect(try arrivals.next() == RequestArrival(time: 0, prompt: 7))
    #expect(try arrivals.next() == nil, "both users wait for their answers")
    #expect(arrivals.next(afterAnswerAt: 1_000)?.time == 5_001_000)
    #expect(arrivals.next(afterAnswerAt: 2_000)?.time == 5_002_000)
    #expect(arrivals.next(afterAnswerAt: 3_000) == nil, "four requests are all")
    let open = try RequestArrivals(Workload(arrivals: .poisson(rate: 1), requests: 3), seed: 1)
    #expect(open.next(afterAnswerAt: 0) == nil, "an open process does not care for answers")
    #expect(try (0..<5).map { _ in try open.next() }.compactMap(\.self).count == 3)
  }

  @Test func lengthsMoveNoArrival() throws {
    func all(_ prompt: TokenLength?, seed: UInt64 = 3) throws -> [RequestArrival] {
      let workload = Workload(
        arrivals: .poisson(rate: 5), requests: 500, prompt: prompt, answer: .uniform(1...4))
      let arrivals = try RequestArrivals(workload, seed: seed)
      var all: [RequestArrival] = []
      while let next = try arrivals.next() { all.append(next) }
      return all
    }
    let fixed = try all(.fixed(3))
    let drawn = try all(.lognormal(median: 300, sigma: 1, limits: 1...2000))
    #expect(fixed.count == 500 && fixed.map(\.time) == drawn.map(\.time))
    #expect(try drawn == all(.lognormal(median: 300, sigma: 1, limits: 1...2000)))
    #expect(try fixed.map(\.time) != all(.fixed(3), seed: 4).map(\.time))
    #expect(Set(fixed.compactMap(\.answer)) == [1, 2, 3, 4] && fixed.allSatisfy { $0.prompt == 3 })
    #expect(try all(nil).allSatisfy { $0.prompt == nil })
    let lengths = drawn.compactMap(\.prompt).sorted()
    #expect(lengths.allSatisfy { (1...2000).contains($0) } && (250...360).contains(lengths[250]))
    #expect(lengths.last == 2000, "500 of a deviation of e cut some off")
  }
}
