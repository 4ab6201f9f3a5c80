import Synchronization

/// A value that becomes known once and may be waited for by many.
final class OneShot<Value: Sendable>: Sendable {
  private enum State {
    case waiting([UInt64: CheckedContinuation<Value, any Error>])
    case resolved(Result<Value, any Error>)
  }

  private let state = Mutex(State.waiting([:]))
  private let nextID = Atomic<UInt64>(0)

  init() {}

  /// The first call counts, later ones do nothing.
  func resolve(_ result: Result<Value, any Error>) {
    let waiting = state.withLock { state -> [CheckedContinuation<Value, any Error>] in
      guard case .waiting(let waiting) = state else { return [] }
      state = .resolved(result)
      return Array(waiting.values)
    }
    for continuation in waiting { continuation.resume(with: result) }
  }

  /// The value, when it is known by now.
  var known: Value? {
    state.withLock { state -> Value? in
      guard case .resolved(let result) = state else { return nil }
      return try? result.get()
    }
  }

  /// - Throws: what it was resolved with, or ``CancellationError``
  var value: Value {
    get async throws {
      let id = nextID.add(1, ordering: .relaxed).newValue
      return try await withTaskCancellationHandler {
        try await withCheckedThrowingContinuation { continuation in
          let result = state.withLock { state -> Result<Value, any Error>? in
            switch state {
            case .resolved(let result): return result
            case .waiting(var waiting):
              if Task.isCancelled { return .failure(CancellationError()) }
              waiting[id] = continuation
              state = .waiting(waiting)
              return nil
            }
          }
          if let result { continuation.resume(with: result) }
        }
      } onCancel: {
        let continuation = state.withLock { state -> CheckedContinuation<Value, any Error>? in
          guard case .waiting(var waiting) = state else { return nil }
          let continuation = waiting.removeValue(forKey: id)
          state = .waiting(waiting)
          return continuation
        }
        continuation?.resume(throwing: CancellationError())
      }
    }
  }
}
