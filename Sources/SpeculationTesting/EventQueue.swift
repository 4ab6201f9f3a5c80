import SpeculationCore

/// Events by time; of equal times, the one scheduled first.
struct EventQueue<Event> {
  private struct Entry {
    var time: Timestamp
    var serial: Int
    var event: Event
  }

  /// A binary heap: no entry precedes its parent.
  private var entries: [Entry] = []
  private var nextSerial = 0

  mutating func schedule(_ event: Event, at time: Timestamp) {
    entries.append(Entry(time: time, serial: nextSerial, event: event))
    nextSerial += 1
    var child = entries.count - 1
    while child > 0, precedes(child, (child - 1) / 2) {
      entries.swapAt(child, (child - 1) / 2)
      child = (child - 1) / 2
    }
  }

  mutating func next() -> (time: Timestamp, event: Event)? {
    guard let first = entries.first else { return nil }
    entries.swapAt(0, entries.count - 1)
    entries.removeLast()
    var parent = 0
    while 2 * parent + 1 < entries.count {
      var least = 2 * parent + 1
      if least + 1 < entries.count, precedes(least + 1, least) { least += 1 }
      guard precedes(least, parent) else { break }
      entries.swapAt(least, parent)
      parent = least
    }
    return (first.time, first.event)
  }

  private func precedes(_ a: Int, _ b: Int) -> Bool {
    let (x, y) = (entries[a], entries[b])
    return x.time != y.time ? x.time < y.time : x.serial < y.serial
  }
}
