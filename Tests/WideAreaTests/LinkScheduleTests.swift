import Testing
import WideArea

/// Properties of delivery times over many seeds. Every failure prints its seed.
@Suite struct LinkScheduleTests {
  private static let millisecond: Int64 = 1_000_000

  /// A link with everything on, drawn from the seed.
  private func randomModel(_ random: inout LinkRandom) -> LinkModel {
    func direction() -> LinkDirection {
      let jitter: JitterDistribution =
        switch random.next() % 5 {
        case 0: .none
        case 1: .uniform(maximum: 20 * random.unit())
        case 2: .normal(mean: 5 * random.unit(), deviation: 5 * random.unit())
        case 3: .lognormal(median: 3 * random.unit(), sigma: 1.5 * random.unit())
        default: .pareto(scale: 2 * random.unit(), shape: 1.1 + 3 * random.unit())
        }
      return LinkDirection(
        delayMilliseconds: random.next() % 4 == 0 ? 0 : 150 * random.unit(), jitter: jitter,
        rateBitsPerSecond: random.next() % 2 == 0 ? nil : 1e5 * (1 + 1e4 * random.unit()),
        loss: random.next() % 2 == 0 ? 0 : 0.2 * random.unit())
    }
    var outages: [Outage] = []
    if random.next() % 2 == 0 {
      outages.append(
        Outage(startMilliseconds: 1000 * random.unit(), durationMilliseconds: 10 + 300 * random.unit()))
    }
    if random.next() % 3 == 0 {
      outages.append(
        Outage(
          startMilliseconds: 500 * random.unit(), durationMilliseconds: 10 + 100 * random.unit(),
          everyMilliseconds: 500 + 1000 * random.unit()))
    }
    return LinkModel(up: direction(), down: direction(), outages: outages, seed: random.next())
  }

  @Test func ordered_neverEarly_neverInAnOutage_rateRespected() {
    for seed in UInt64(0)..<3000 {
      var random = LinkRandom(seed: seed)
      let model = randomModel(&random)
      #expect(model.problem == nil, "seed \(seed)")
      let side: LinkSide = random.next() % 2 == 0 ? .up : .down
      var schedule = LinkSchedule(model, side, connection: seed % 3)
      var now: Int64 = 0
      var previous = Int64.min
      for _ in 0..<60 {
        now += random.next() % 3 == 0 ? 0 : Int64(random.unit() * 60e6)
        let bytes = Int(random.next() % 6000)
        let time = schedule.deliveryTime(of: bytes, at: now)
        let transmission = model[side].rateBitsPerSecond.map { Int64(Double(bytes) * 8e9 / $0) } ?? 0
        guard time >= previous, time >= now + model[side].delayNanoseconds + transmission,
          previous == .min || time - previous >= transmission,
          !model.outages.contains(where: { $0.end(overlapping: time, time) != nil })
        else {
          Issue.record(
            "seed \(seed): \(bytes) bytes at \(now) delivered at \(time) after \(previous), \(model)")
          return
        }
        previous = time
      }
    }
  }

  @Test func partsOfASendAddUpAndComeInOrder() {
    for seed in UInt64(0)..<500 {
      var random = LinkRandom(seed: seed)
      let model = randomModel(&random)
      var parts = LinkSchedule(model, .up)
      var whole = parts
      var bottleneck = LinkBottleneck()
      for step in 0..<20 {
        let bytes = Int(random.next() % 20_000)
        let now = Int64(step) * 7 * Self.millisecond
        var sum = 0
        var last = Int64.min
        parts.send(bytes, at: now, through: &bottleneck) { count, time in
          #expect(time >= last, "seed \(seed)")
          sum += count
          last = time
        }
        #expect(sum == bytes, "seed \(seed)")
        #expect(last == whole.deliveryTime(of: bytes, at: now), "seed \(seed)")
      }
    }
  }

  @Test func sameSeedSameTimes_otherConnectionOtherTimes() {
    let link = LinkDirection(delayMilliseconds: 10, jitter: .uniform(maximum: 5))
    let model = LinkModel(up: link, down: link, seed: 7)
    func times(_ side: LinkSide, _ connection: UInt64) -> [Int64] {
      var schedule = LinkSchedule(model, side, connection: connection)
      return (0..<50).map { schedule.deliveryTime(of: 100, at: Int64($0) * 50 * Self.millisecond) }
    }
    #expect(times(.up, 1) == times(.up, 1))
    #expect(times(.up, 1) != times(.up, 2))
    #expect(times(.up, 1) != times(.down, 1))
  }

  /// Mean of the delay beyond the base one, of messages so far apart that none waits for another.
  private func meanJitter(_ jitter: JitterDistribution, seed: UInt64) -> Double {
    let direction = LinkDirection(delayMilliseconds: 20, jitter: jitter)
    var schedule = LinkSchedule(LinkModel(up: direction, down: direction, seed: seed), .up)
    let count = 20_000
    var sum = 0.0
    for index in 0..<count {
      let now = Int64(index) * 20_000 * Self.millisecond
      sum += Double(schedule.deliveryTime(of: 200, at: now) - now) / 1e6 - 20
    }
    return sum / Double(count)
  }

  @Test(arguments: [
    (JitterDistribution.uniform(maximum: 10), 5.0, 0.1),
    // Mean of a normal truncated at 0, mean 3, deviation 2: 3 + 2 x phi(-1.5) / (1 - Phi(-1.5)).
    (.normal(mean: 3, deviation: 2), 3.2776, 0.06),
    // median x exp(sigma^2 / 2)
    (.lognormal(median: 2, sigma: 0.5), 2.2663, 0.05),
    // scale / (shape - 1)
    (.pareto(scale: 4, shape: 3), 2.0, 0.15),
    (.none, 0.0, 1e-9),
  ])
  func jitterHasItsMean(_ jitter: JitterDistribution, mean: Double, tolerance: Double) {
    for seed in UInt64(1)...5 {
      let measured = meanJitter(jitter, seed: seed)
      #expect(abs(measured - mean) <= tolerance, "seed \(seed): \(jitter) has mean \(measured)")
    }
  }

  @Test func segmentsOfOneInstantShareTheJitter() {
    let link = LinkDirection(delayMilliseconds: 10, jitter: .uniform(maximum: 50))
    var schedule = LinkSchedule(LinkModel(up: link, down: link, seed: 3), .up)
    let first = schedule.deliveryTime(of: 100, at: 0)
    for _ in 0..<20 { #expect(schedule.deliveryTime(of: 100, at: 0) == first) }
  }

  /// Half of each measured round trip, at its time, in a circle; on top of the link's own delay.
  @Test func measuredRoundTripsAreReplayed() {
    var model = LinkModel(roundTripMilliseconds: 10)
    model.roundTrips = RoundTripSeries(intervalMilliseconds: 100, milliseconds: [20, 60, 20])
    #expect(model.problem == nil && model.roundTripNanoseconds == 30 * Self.millisecond)
    var schedule = LinkSchedule(model, .up)
    let arrivals = [0, 150, 250, 350, 460].map { schedule.deliveryTime(of: 10, at: $0 * Self.millisecond) }
    #expect(arrivals == [15, 185, 265, 365, 495].map { $0 * Self.millisecond })
    model.roundTrips?.milliseconds = []
    #expect(model.problem != nil)
  }

  @Test func aRateIsReachedButNotExceeded() {
    let link = LinkDirection(delayMilliseconds: 10, rateBitsPerSecond: 8e6)
    var schedule = LinkSchedule(LinkModel(up: link, down: link), .up)
    // 1 MB at 1 MB/s.
    #expect(schedule.deliveryTime(of: 1_000_000, at: 0) == 1010 * Self.millisecond)
    // Idle time is not saved up.
    #expect(schedule.deliveryTime(of: 1000, at: 5000 * Self.millisecond) == 5011 * Self.millisecond)
  }

  @Test func connectionsShareABottleneck() {
    let link = LinkDirection(delayMilliseconds: 10, rateBitsPerSecond: 8e6)
    let model = LinkModel(up: link, down: link)
    var bottleneck = LinkBottleneck()
    var first = LinkSchedule(model, .up, connection: 0)
    var second = LinkSchedule(model, .up, connection: 1)
    var last: Int64 = 0
    first.send(1000, at: 0, through: &bottleneck) { last = $1 }
    #expect(last == 11 * Self.millisecond)
    second.send(1000, at: 0, through: &bottleneck) { last = $1 }
    #expect(last == 12 * Self.millisecond)
  }

  @Test func aLostSegmentStallsWhatIsBehindIt() {
    // RTT 40 ms; a message each 5 ms, so a loss is repaired one RTT later, or by the timer when repeated.
    let link = LinkDirection(delayMilliseconds: 20, loss: 0.02)
    var total = 0
    for seed in UInt64(0)..<200 {
      var schedule = LinkSchedule(LinkModel(up: link, down: link, seed: seed), .up)
      let times = (0..<400).map { schedule.deliveryTime(of: 100, at: Int64($0) * 5 * Self.millisecond) }
      var stalls = 0
      for (index, time) in times.enumerated() where index > 0 {
        let late = time - Int64(index) * 5 * Self.millisecond - 20 * Self.millisecond
        guard late > 0 else { continue }
        // Late messages are those at the time of a repaired one, exactly.
        if time != times[index - 1] {
          stalls += 1
          #expect(
            late == 40 * Self.millisecond || late >= 240 * Self.millisecond, "seed \(seed), message \(index)")
        }
      }
      // 8 losses are expected; some fall into the stall of another.
      #expect(stalls <= 25, "seed \(seed)")
      total += stalls
    }
    #expect(total > 200 * 4)
  }

  @Test func aLoneLostSegmentWaitsForTheTimer() {
    let link = LinkDirection(delayMilliseconds: 20, loss: 0.3)
    var schedule = LinkSchedule(LinkModel(up: link, down: link, seed: 1), .up)
    var seen: Set<Int64> = []
    for index in 0..<2000 {
      let now = Int64(index) * 200_000 * Self.millisecond
      seen.insert((schedule.deliveryTime(of: 100, at: now) - now) / Self.millisecond)
    }
    // 20 ms, then the timer of 240 ms, doubled: 260, 740, 1700...
    #expect(seen.isSuperset(of: [20, 260, 740, 1700]))
    #expect(seen.isSubset(of: Set((0..<10).map { 20 + 240 * ((1 << $0) - 1) })))
  }

  @Test func anOutageHoldsDataUntilARetransmissionGetsThrough() {
    let link = LinkDirection(delayMilliseconds: 50)
    let outage = Outage(startMilliseconds: 1000, durationMilliseconds: 2000)
    var schedule = LinkSchedule(LinkModel(up: link, down: link, outages: [outage]), .up)
    #expect(schedule.deliveryTime(of: 10, at: 900 * Self.millisecond) == 950 * Self.millisecond)
    // On its way when it begins: lost. Attempts after 300, 900, 2100 ms; the last arrives after the outage.
    #expect(schedule.deliveryTime(of: 10, at: 960 * Self.millisecond) == 3110 * Self.millisecond)
    // What follows waits behind it.
    #expect(schedule.deliveryTime(of: 10, at: 3005 * Self.millisecond) == 3110 * Self.millisecond)
    #expect(schedule.deliveryTime(of: 10, at: 3100 * Self.millisecond) == 3150 * Self.millisecond)
  }

  @Test func outageOccurrences() {
    let outage = Outage(startMilliseconds: 100, durationMilliseconds: 10, everyMilliseconds: 50)
    let ms = Self.millisecond
    for (time, end) in [(0, nil), (99, nil), (100, 110), (109, 110), (110, nil), (149, nil), (155, 160)] {
      #expect(
        outage.end(overlapping: Int64(time) * ms, Int64(time) * ms) == end.map { Int64($0) * ms }, "\(time)")
    }
    #expect(outage.end(overlapping: 0, 100 * ms) == 110 * ms)
    #expect(outage.end(overlapping: 120 * ms, 500 * ms) == 160 * ms)
    #expect(outage.nextStart(after: -1) == 100 * ms)
    #expect(outage.nextStart(after: 100 * ms) == 150 * ms)
    #expect(Outage(startMilliseconds: 1, durationMilliseconds: 1).nextStart(after: ms) == nil)
  }
}
