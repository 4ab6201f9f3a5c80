import Synchronization

/// What waits to be sent to one peer: bounded, ordered, filled from any thread, emptied by one writer.
///
/// Adding never blocks and never suspends. While the transport accepts no more (the peer reads too slowly, or
/// the network does), the writer is suspended in its write and items gather here, up to the limits.
final class Outbox<Item: Sendable>: Sendable {
  enum Outcome: Hashable {
    case accepted
    /// A limit would be broken. The peer is too slow and has to be given up.
    case overflow
    /// The attachment is over. What was to be sent has lost its meaning.
    case finished
  }

  private struct State {
    var items: [Item] = []
    var bytes = 0
    var isFinished = false
  }

  /// One element, at least, follows every change from empty to not empty.
  private let wakeups: AsyncStream<Void>

  private let wake: AsyncStream<Void>.Continuation
  private let state = Mutex(State())
  private let maximumItems: Int
  private let maximumBytes: Int
  private let cost: @Sendable (Item) -> Int

  /// - Parameter cost: an upper bound of an item's encoded bytes
  init(maximumItems: Int, maximumBytes: Int, cost: @escaping @Sendable (Item) -> Int) {
    self.maximumItems = maximumItems
    self.maximumBytes = maximumBytes
    self.cost = cost
    (wakeups, wake) = AsyncStream.makeStream(of: Void.self, bufferingPolicy: .bufferingNewest(1))
  }

  /// Adds all of `items` or none.
  func add(_ items: some Collection<Item>) -> Outcome {
    let bytes = items.reduce(0) { $0 + cost($1) }
    let (outcome, wasEmpty) = state.withLock { state -> (Outcome, Bool) in
      if state.isFinished { return (.finished, false) }
      if state.items.count + items.count > maximumItems || state.bytes + bytes > maximumBytes {
        return (.overflow, false)
      }
      let wasEmpty = state.items.isEmpty
      state.items.append(contentsOf: items)
      state.bytes += bytes
      return (.accepted, wasEmpty && !items.isEmpty)
    }
    if wasEmpty { wake.yield() }
    return outcome
  }

  /// Hands on what waits, oldest first, as soon as there is something, until `finish`.
  ///
  /// - Parameters:
  ///   - budget: bytes of one batch, unless a single item is longer
  ///   - send: suspends while the transport accepts no more
  func forEachBatch(budget: Int = 256 << 10, _ send: ([Item]) async throws -> Void) async rethrows {
    for await _ in wakeups {
      while true {
        let items = take(budget: budget)
        if items.isEmpty { break }
        try await send(items)
      }
    }
  }

  /// Takes the oldest items, at least one if there is any, and no more than `budget` bytes otherwise.
  private func take(budget: Int) -> [Item] {
    state.withLock { state in
      var bytes = 0
      var count = 0
      for item in state.items {
        let itemBytes = cost(item)
        if count > 0 && bytes + itemBytes > budget { break }
        bytes += itemBytes
        count += 1
      }
      state.bytes -= bytes
      if count == state.items.count {
        defer { state.items.removeAll(keepingCapacity: count <= 64) }
        return state.items
      }
      let taken = Array(state.items[..<count])
      state.items.removeFirst(count)
      return taken
    }
  }

  /// Takes out what lost its meaning while it waited.
  func removeAll(where isObsolete: (Item) -> Bool) {
    state.withLock { state in
      state.items.removeAll(where: isObsolete)
      state.bytes = state.items.reduce(0) { $0 + cost($1) }
    }
  }

  /// Nothing can be added any more. What is there can still be taken; `wakeups` ends.
  func finish() {
    state.withLock { $0.isFinished = true }
    wake.finish()
  }

  var isFinished: Bool { state.withLock { $0.isFinished } }

  /// Messages that wait.
  var count: Int { state.withLock { $0.items.count } }
}
