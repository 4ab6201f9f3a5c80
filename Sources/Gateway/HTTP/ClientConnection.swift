import Synchronization

/// One client's connection, as its requests see it.
package final class ClientConnection: Sendable {
  /// The connection whose request runs in this task.
  @TaskLocal static var current: ClientConnection?

  private struct State {
    var isGone = false
    var next = 0
    var actions: [Int: @Sendable () -> Void] = [:]
  }

  private let state = Mutex(State())

  package init() {}

  /// The client closed its side or the network failed: nobody reads an answer any more.
  var isGone: Bool { state.withLock { $0.isGone } }

  /// - Throws: `ClientGone`
  func checkPresence() throws(ClientGone) {
    if isGone { throw ClientGone() }
  }

  /// Runs `action` once the client is gone, at once when it is already.
  /// - Returns: what `forget` takes; nil when the action ran
  func whenGone(_ action: @escaping @Sendable () -> Void) -> Int? {
    let token = state.withLock { state -> Int? in
      if state.isGone { return nil }
      state.next += 1
      state.actions[state.next] = action
      return state.next
    }
    if token == nil { action() }
    return token
  }

  func forget(_ token: Int?) {
    guard let token else { return }
    _ = state.withLock { $0.actions.removeValue(forKey: token) }
  }

  package func gone() {
    let actions = state.withLock { state -> [@Sendable () -> Void] in
      state.isGone = true
      defer { state.actions = [:] }
      return Array(state.actions.values)
    }
    for action in actions { action() }
  }
}
