/// Which probe of a source comes next. Pure: time is a parameter, and may jump either way, as clocks do that are set.
///
/// A probe is sent once. What was missed stays missed once its time has passed; where a clock had run ahead and was set
/// back, its time is still to come, and it is sent after all.
package struct ProbeAgenda: Sendable {
  package struct Entry: Sendable, Hashable {
    package var target: String
    package var slot: Int
    /// Nanoseconds since 1970, campaign time.
    package var time: Int64
  }

  package enum Next: Sendable, Equatable {
    /// Nothing before this time.
    case wait(until: Int64)
    /// Now; this entry does not come again.
    case send(Entry)
    /// It is too late for these.
    case missed([Entry])
    case complete
  }

  /// Entries that are told as missed at once.
  private static let maxMissed = 1000

  private let schedule: Schedule
  private let source: String
  private let targets: [String]
  private let slots: Range<Int>
  private var sent: Set<StudyStore.ProbeSlot>
  private var missed: Set<StudyStore.ProbeSlot>
  /// The slot whose entries are `rest`, the next one last.
  private var slot: Int
  private var rest: [Entry]?
  private var last = Int64.min

  package init(
    _ schedule: Schedule, source: String, targets: [String], slots: Range<Int>, progress: StudyStore.Progress
  ) {
    self.schedule = schedule
    self.source = source
    self.targets = targets
    self.slots = slots
    sent = progress.stored.subtracting(progress.missed)
    missed = progress.missed
    slot = slots.lowerBound
  }

  package mutating func next(at now: Int64) -> Next {
    if now < last {
      slot = max(slots.lowerBound, min(slot, schedule.slot(at: now)))
      rest = nil
    }
    last = now
    var late: [Entry] = []
    while slot < slots.upperBound, late.count < Self.maxMissed {
      var entries = rest ?? entries(of: slot)
      guard let entry = entries.popLast() else {
        slot += 1
        rest = nil
        continue
      }
      let key = StudyStore.ProbeSlot(target: entry.target, slot: entry.slot)
      if now > entry.time + schedule.slotLength / 10 {
        rest = entries
        if missed.insert(key).inserted { late.append(entry) }
        continue
      }
      if !late.isEmpty || now < entry.time {
        rest = entries + [entry]
        return late.isEmpty ? .wait(until: entry.time) : .missed(late)
      }
      rest = entries
      missed.remove(key)
      sent.insert(key)
      return .send(entry)
    }
    return late.isEmpty ? .complete : .missed(late)
  }

  private func entries(of slot: Int) -> [Entry] {
    targets.filter { !sent.contains(.init(target: $0, slot: slot)) }
      .map {
        Entry(target: $0, slot: slot, time: schedule.time(of: slot, source: source, target: $0))
      }
      .sorted { $0.time > $1.time }
  }
}
