import LatencyStudy
import Testing

/// Clocks that are set while a source probes; the only clock here is a number.
@Suite struct ProbeAgendaTests {
  /// Slots of ten seconds from slot 1000 on; where a second target is, its probes come at other times.
  private struct Day {
    static let slots = 1000..<1360
    var agenda: ProbeAgenda
    var sent: [ProbeAgenda.Entry] = []
    var missed: [ProbeAgenda.Entry] = []
    var isComplete = false

    init(_ targets: [String] = ["a", "b"], _ progress: StudyStore.Progress = .init()) {
      agenda = ProbeAgenda(
        Schedule(every: .seconds(10), fingerprint: "f"), source: "s", targets: targets, slots: Self.slots,
        progress: progress)
    }

    /// Does all that is due by `end`, with a clock that shows what `clock` makes of the time.
    mutating func run(_ times: ClosedRange<Double>, clock: (Double) -> Double = { $0 }) {
      var time = times.lowerBound
      while time <= times.upperBound {
        switch agenda.next(at: Int64(clock(time) * 1e9)) {
        case .wait(let until): time += min(1, max(0.001, Double(until) * 1e-9 - clock(time)))
        case .send(let entry): sent.append(entry)
        case .missed(let entries): missed += entries
        case .complete:
          isComplete = true
          return
        }
      }
    }

    var keys: Set<ProbeAgenda.Entry> { Set(sent) }
  }

  private static let begin = Double(Day.slots.lowerBound) * 10
  private static let end = Double(Day.slots.upperBound) * 10

  @Test func everyProbeIsSentOnceAndInTime() {
    var day = Day()
    day.run(Self.begin...Self.end)
    #expect(day.isComplete && day.missed.isEmpty)
    #expect(day.sent.count == 720 && day.keys.count == 720)
    #expect(day.sent.map(\.time) == day.sent.map(\.time).sorted())
  }

  /// The clock was an hour behind, and somebody sets it: what is past is missed, nothing else.
  @Test func aStepForwardMissesWhatItSkips() {
    var day = Day()
    day.run(Self.begin...Self.end) { $0 < Self.begin + 600 ? $0 : $0 + 1200 }
    #expect(day.isComplete)
    #expect(day.sent.count + day.missed.count == 720 && day.keys.isDisjoint(with: day.missed))
    #expect((236...242).contains(day.missed.count), "\(day.missed.count)")
  }

  /// The clock ran ahead and is set back: the time that comes again is not probed again, and none is left out.
  @Test func aStepBackSendsNothingTwice() {
    var day = Day()
    day.run(Self.begin...Self.end + 1200) { $0 < Self.begin + 1800 ? $0 : $0 - 1200 }
    #expect(day.isComplete && day.missed.isEmpty)
    #expect(day.sent.count == 720 && day.keys.count == 720)
  }

  /// For a minute the clock shows next month. What that minute wrote off is sent after all.
  @Test func anExcursionOfTheClockCostsOnlyItsOwnTime() {
    var day = Day()
    day.run(Self.begin...Self.begin + 1000)
    let before = day.sent.count
    day.run(Self.begin + 1000...Self.begin + 1060) { $0 + 30 * 86_400 }
    #expect(day.isComplete && day.missed.count == 720 - before)
    // As a run that goes on does: it knows what is stored.
    var progress = StudyStore.Progress()
    progress.missed = Set(day.missed.map { .init(target: $0.target, slot: $0.slot) })
    progress.stored = progress.missed.union(day.sent.map { .init(target: $0.target, slot: $0.slot) })
    var resumed = Day(["a", "b"], progress)
    resumed.run(Self.begin + 1060...Self.end)
    for again in [resumed] {
      #expect(again.isComplete && again.missed.isEmpty)
      #expect(again.keys.isDisjoint(with: day.keys))
      #expect((718 - before - 14...720 - before).contains(again.sent.count), "\(again.sent.count)")
    }
    // And as one that never ended.
    day.isComplete = false
    day.run(Self.begin + 1060...Self.end)
    #expect(day.keys.count == day.sent.count && day.keys == resumed.keys.union(day.sent.prefix(before)))
  }

  @Test func whatIsStoredIsNotDueAndWhatIsPastIsMissedOnce() {
    var progress = StudyStore.Progress()
    progress.stored = [.init(target: "a", slot: 1000), .init(target: "b", slot: 1001)]
    progress.missed = [.init(target: "b", slot: 1001)]
    var day = Day(["a", "b"], progress)
    day.run(Self.begin + 100...Self.end)
    #expect(day.missed.count == 18)
    #expect(day.sent.count == 700)
    #expect(
      !day.missed.contains { $0.slot == 1000 && $0.target == "a" || $0.slot == 1001 && $0.target == "b" })
  }

  @Test func stepsOfTheClockAreTold() {
    var steps = ClockSteps()
    #expect(steps.step(time: 1000, reference: 5) == nil)
    // An hour of sleep, then half a second of drift.
    #expect(steps.step(time: 4600, reference: 3605) == nil)
    #expect(steps.step(time: 4700.5, reference: 3705) == nil)
    #expect(steps.step(time: 8301.5, reference: 3706) == 3600)
    #expect(steps.step(time: 8302.5, reference: 3707) == nil)
    #expect(steps.step(time: 8203.5, reference: 3708) == -100)
  }
}
