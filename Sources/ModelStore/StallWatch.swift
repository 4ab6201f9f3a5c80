import Synchronization

/// Gives work up of which nothing has arrived for too long: pip waits for ever where a server sends a byte now and then
/// that leads nowhere, or none while it keeps the connection.
final class StallWatch: Sendable {
  private let limit: Duration
  private let last = Mutex((bytes: Int64(0), time: ContinuousClock.now))

  init(limit: Duration) { self.limit = limit }

  /// So many bytes are there now.
  func saw(_ bytes: Int64) {
    last.withLock { last in
      // A trickle is no progress.
      if bytes >= last.bytes + Self.least { last = (bytes, .now) }
    }
  }

  /// Bytes within the limit that count as progress.
  private static let least: Int64 = 1 << 12

  /// Runs `body`, cancelled and replaced by an error when nothing arrives.
  func guarding<Result: Sendable>(
    _ body: @escaping @Sendable () async throws -> Result,
    orThrow stalled: @escaping @Sendable () -> any Error
  ) async throws -> Result {
    last.withLock { $0.time = .now }
    return try await withThrowingTaskGroup(of: Result.self) { tasks in
      tasks.addTask(operation: body)
      tasks.addTask { [self] in
        while true {
          let age = last.withLock { .now - $0.time }
          if age >= limit { throw stalled() }
          try await Task.sleep(for: limit - age)
        }
      }
      defer { tasks.cancelAll() }
      return try await tasks.next()!
    }
  }
}
