/// How a probe ended.
public enum ProbeOutcome: String, Sendable, CaseIterable, Codable {
  case ok
  /// Not sent: nobody ran, or the target had asked for a pause or was stopped. Of a second request: the server had closed
  /// the connection.
  case missed
  /// Not sent: the target still owed answers to as many probes as may be under way. Left out, slow times would be sampled
  /// less than others (coordinated omission).
  case saturated
  case dns, connect, tls
  /// The connection broke.
  case reset
  /// Nothing for as long as a probe may take.
  case timeout
  /// Status 401 or 403, or a credential that is not valid any more.
  case credentials
  /// Status 429, or 503 with a Retry-After: too many requests.
  case throttled
  /// Any other status but 200.
  case status
  /// Bytes that are no answer of this API: damaged frames, no JSON, no HTTP.
  case malformed
  /// An error within the stream, after status 200.
  case exception
  /// The stream ended in order, without a text.
  case empty
  /// The stream ended before its end mark.
  case truncated

  /// Whether the time to first token would have been longer than anything that was seen: a user who waited got
  /// nothing. Such probes count as infinitely slow (right-censored).
  public var isCensored: Bool {
    switch self {
    case .ok, .missed, .credentials: false
    case .saturated, .dns, .connect, .tls, .reset, .timeout, .throttled, .status, .malformed, .exception,
      .empty,
      .truncated:
      true
    }
  }

  /// Whether a request went out, or tried to.
  public var wasSent: Bool { self != .missed && self != .saturated }
}
