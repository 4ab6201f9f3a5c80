import NIOCore
import Synchronization

/// Connections that wait for a request, which can go where the process has no descriptors for new ones.
final class IdleConnections: Sendable {
  private struct State {
    var next: UInt64 = 0
    var channels: [UInt64: any Channel] = [:]
  }

  private let state = Mutex(State())

  /// - Returns: what `remove` takes
  func insert(_ channel: any Channel) -> UInt64 {
    state.withLock { state in
      state.next += 1
      state.channels[state.next] = channel
      return state.next
    }
  }

  func remove(_ token: UInt64) {
    _ = state.withLock { $0.channels.removeValue(forKey: token) }
  }

  /// Closes those that have waited longest: a quarter, so that what comes in meanwhile finds room too.
  func makeRoom() {
    let oldest = state.withLock { state in
      let tokens = state.channels.keys.sorted().prefix((state.channels.count + 3) / 4)
      return tokens.compactMap { state.channels.removeValue(forKey: $0) }
    }
    for channel in oldest { channel.close(promise: nil) }
  }
}
