import Dispatch
import Synchronization

/// Does what takes time with clients' texts off the threads that serve everybody: reading JSON, tokenizing, compiling
/// grammars.
///
/// Short texts never wait for long ones, which are done one at a time: so they take one core and the memory of one text.
/// What nobody waits for any more is passed over.
package final class TextWork: Sendable {
  /// Bytes from which a text is a long one.
  package static let longBytes = 64 << 10
  /// Long texts that wait at a time; more are refused, since each keeps its bytes.
  package static let maxWaiting = 64

  private let short = DispatchQueue(label: "wanspec.gateway.short-texts", attributes: .concurrent)
  private let long = DispatchQueue(label: "wanspec.gateway.long-texts")
  private let waiting = Mutex(0)

  package init() {}

  /// - Parameters:
  ///   - bytes: of the text
  ///   - connection: whose client waits for it
  /// - Throws: `APIError` with status 429 when too many wait, `ClientGone`, or what `work` throws
  package func run<Result: Sendable>(
    bytes: Int, for connection: ClientConnection, _ work: @escaping @Sendable () throws -> Result
  ) async throws -> Result {
    let isLong = bytes >= Self.longBytes
    if isLong { try enqueue() }
    // A queue is no task.
    let unknown = UnknownFields.current
    return try await withCheckedThrowingContinuation { continuation in
      (isLong ? long : short).async {
        if isLong { self.waiting.withLock { $0 -= 1 } }
        continuation.resume(
          with: Swift.Result {
            try connection.checkPresence()
            return try UnknownFields.$current.withValue(unknown, operation: work)
          })
      }
    }
  }

  private func enqueue() throws(APIError) {
    let hasRoom = waiting.withLock { count in
      if count >= Self.maxWaiting { return false }
      count += 1
      return true
    }
    if hasRoom { return }
    var error = APIError(
      .tooManyRequests, "\(Self.maxWaiting) long texts wait to be read; ask again in a moment",
      type: "rate_limit_error", code: "overloaded")
    error.retryAfter = 1
    throw error
  }
}
