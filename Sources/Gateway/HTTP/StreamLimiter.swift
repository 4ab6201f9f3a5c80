import Synchronization

/// How many choices each key has under way.
final class StreamLimiter: Sendable {
  /// Gives its share back with its end.
  final class Slot: Sendable {
    private let limiter: StreamLimiter
    private let key: String
    private let count: Int

    fileprivate init(_ limiter: StreamLimiter, key: String, count: Int) {
      self.limiter = limiter
      self.key = key
      self.count = count
    }

    deinit { limiter.release(key, count) }
  }

  private let used = Mutex<[String: Int]>([:])

  /// - Throws: `APIError` with status 429 when the key has too many under way, 400 when it never could have so many.
  func take(_ count: Int, key: KeyIdentity?, limit: Int) throws(APIError) -> Slot? {
    // Without keys there is nobody to count for; the node's queue is the limit.
    guard let key else { return nil }
    let limit = key.maxStreams ?? limit
    if count > limit {
      throw .invalid(
        "the request asks for \(count) choices; this key may have \(limit) under way", param: "n")
    }
    let isGranted = used.withLock { used -> Bool in
      let now = used[key.name, default: 0]
      if now + count > limit { return false }
      used[key.name] = now + count
      return true
    }
    guard isGranted else {
      var error = APIError(
        .tooManyRequests, "this key has \(limit) streams under way, which is its limit; wait for one to end",
        type: "rate_limit_error", code: "too_many_streams")
      error.retryAfter = 1
      throw error
    }
    return Slot(self, key: key.name, count: count)
  }

  private func release(_ key: String, _ count: Int) {
    used.withLock { used in
      let rest = used[key, default: 0] - count
      used[key] = rest > 0 ? rest : nil
    }
  }
}
