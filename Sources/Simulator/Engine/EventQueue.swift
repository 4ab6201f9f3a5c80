import Collections
import SpeculationCore

/// Events of virtual time: the earliest first; of equal times, the one scheduled first, so that a run never
/// depends on how the heap happens to be arranged.
public struct EventQueue<Event> {
  private struct Entry: Comparable {
    var time: Timestamp
    var serial: Int
    var event: Event

    static func == (a: Self, b: Self) -> Bool { a.serial == b.serial }
    static func < (a: Self, b: Self) -> Bool {
      a.time != b.time ? a.time < b.time : a.serial < b.serial
    }
  }

  private var heap = Heap<Entry>()
  private var nextSerial = 0

  public init() {}

  public var isEmpty: Bool { heap.isEmpty }
  public var count: Int { heap.count }
  /// When the next event happens; nil when there is none.
  public var nextTime: Timestamp? { heap.min?.time }

  /// O(log n).
  public mutating func schedule(_ event: Event, at time: Timestamp) {
    heap.insert(Entry(time: time, serial: nextSerial, event: event))
    nextSerial += 1
  }

  /// Takes out the next event. O(log n).
  public mutating func next() -> (time: Timestamp, event: Event)? {
    heap.popMin().map { ($0.time, $0.event) }
  }
}
