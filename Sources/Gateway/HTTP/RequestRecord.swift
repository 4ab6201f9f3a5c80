import Logging
import ModelBackend
import NodeRuntime
import SpeculationCore
import Synchronization

/// What one request was, for the access log and the metrics: written once, when the answer is complete.
final class RequestRecord: Sendable {
  private struct State {
    var status = 0
    var key: String?
    var user: String?
    var promptTokens: Int?
    var completionTokens: Int?
    var finishReason: String?
    var timeToFirstToken: Duration?
    var ignoredFields: String?
    var isStreamed = false
    var isGone = false
    var isLogged = false
  }

  let id: String
  let method: String
  /// The route, not the path: its values are few.
  let route: String
  let began = ContinuousClock.now
  private let log: Logger
  private let metrics: GatewayMetrics
  private let state = Mutex(State())

  init(id: String, method: String, route: String, log: Logger, metrics: GatewayMetrics) {
    self.id = id
    self.method = method
    self.route = route
    self.log = log
    self.metrics = metrics
  }

  func authenticated(as key: String) { state.withLock { $0.key = key } }

  func generates(streamed: Bool, user: String?) {
    state.withLock {
      $0.isStreamed = streamed
      $0.user = user
    }
  }

  func generated(_ figures: AnswerFigures, finishReason: String) {
    state.withLock {
      $0.promptTokens = figures.promptTokens
      $0.completionTokens = figures.completionTokens
      $0.finishReason = finishReason
      $0.timeToFirstToken = figures.timeToFirstToken
    }
  }

  func ignored(fields: String) { state.withLock { $0.ignoredFields = fields } }

  func clientWentAway() { state.withLock { $0.isGone = true } }

  /// The answer is complete, or never will be. The first call counts.
  func finish(status: Int) {
    let state = state.withLock { state -> State? in
      if state.isLogged { return nil }
      state.isLogged = true
      state.status = status
      return state
    }
    guard let state else { return }
    let duration = began.duration(to: .now)
    metrics.answered(route: route, method: method, status: status, duration: duration)
    var metadata: Logger.Metadata = [
      "request": "\(id)", "method": "\(method)", "route": "\(route)", "status": "\(status)",
      "ms": "\(Self.milliseconds(duration))",
    ]
    if let key = state.key { metadata["key"] = "\(key)" }
    if let user = state.user { metadata["user"] = "\(user)" }
    if let tokens = state.promptTokens { metadata["prompt_tokens"] = "\(tokens)" }
    if let tokens = state.completionTokens { metadata["completion_tokens"] = "\(tokens)" }
    if let fields = state.ignoredFields { metadata["ignored_fields"] = "\(fields)" }
    if let reason = state.finishReason { metadata["finish"] = "\(reason)" }
    if let time = state.timeToFirstToken { metadata["ttft_ms"] = "\(Self.milliseconds(time))" }
    if state.isStreamed { metadata["stream"] = "true" }
    if state.isGone { metadata["client"] = "gone" }
    // Probes ask every few seconds.
    let isProbe = route.hasPrefix("/health") || route == "/metrics"
    log.log(level: isProbe && status < 500 ? .debug : .info, "request", metadata: metadata)
  }

  /// With one decimal.
  private static func milliseconds(_ duration: Duration) -> Double {
    (duration.inMilliseconds * 10).rounded() / 10
  }
}
