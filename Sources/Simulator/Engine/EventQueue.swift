import Collections
import SpeculationCore

/// Events by time; of equal times, the one scheduled first. O(log n) each way.
public struct EventQueue<Event> {
  private struct Entry: Comparable {
    var time: Int64
    var serial: UInt64
    var event: Event

    static func < (a: Self, b: Self) -> Bool { a.time != b.time ? a.time < b.time : a.serial < b.serial }
    static func == (a: Self, b: Self) -> Bool { a.serial == b.serial }
  }

  private var entries = Heap<Entry>()
  private var nextSerial: UInt64 = 0

  public init() {}

  public var count: Int { entries.count }
  public var isEmpty: Bool { entries.isEmpty }

  public mutating func schedule(_ event: Event, at time: Timestamp) {
    entries.insert(Entry(time: time.nanoseconds, serial: nextSerial, event: event))
    nextSerial += 1
  }

  public mutating func next() -> (time: Timestamp, event: Event)? {
    entries.popMin().map { (Timestamp(nanoseconds: $0.time), $0.event) }
  }
}
