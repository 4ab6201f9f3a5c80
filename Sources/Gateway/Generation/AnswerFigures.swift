import NodeRuntime
import SpeculationCore
import StrictJSON

/// Figures of one choice, or of all choices of a request together.
package struct AnswerFigures: Sendable {
  package var promptTokens = 0
  /// Those of them that the engine had in its cache.
  package var cachedPromptTokens = 0
  package var completionTokens = 0
  /// Target passes that committed something.
  package var steps = 0
  /// Committed tokens by who guessed them first.
  package var fromWorker = 0
  package var fromLocal = 0
  package var fromLookup = 0
  package var fromTarget = 0
  package var node = NodeFigures()
  /// From the request to its admission; nil where it is not known.
  package var timeInQueue: Duration?
  /// From the request to the first token.
  package var timeToFirstToken: Duration?
  /// From the first token to the last.
  package var decodeTime: Duration = .zero

  package struct NodeFigures: Sendable {
    package var verifiedNodes = 0
    package var localExpansions = 0
    package var workerExpansions = 0
    package var lateExpansions = 0
    package var bubbles = 0
  }

  package init() {}

  mutating func count(_ token: SessionMachine.CommittedToken) {
    completionTokens += 1
    switch token.origin {
    case .remote: fromWorker += 1
    case .local: fromLocal += 1
    case .lookup: fromLookup += 1
    case .target: fromTarget += 1
    }
  }

  mutating func take(_ statistics: SessionStatistics) {
    node = NodeFigures(
      verifiedNodes: statistics.verifiedNodes, localExpansions: statistics.localExpansions,
      workerExpansions: statistics.workerExpansions, lateExpansions: statistics.lateExpansions,
      bubbles: statistics.bubbles)
  }

  mutating func take(_ summary: SessionSummary) {
    take(summary.statistics)
    cachedPromptTokens = summary.cachedPromptTokens
    steps = summary.statistics.steps
    timeInQueue = summary.timeInQueue
    timeToFirstToken = summary.timeToFirstToken
    decodeTime = summary.decodeTime
  }

  /// Adds another choice of the same request.
  mutating func add(_ other: AnswerFigures) {
    completionTokens += other.completionTokens
    steps += other.steps
    fromWorker += other.fromWorker
    fromLocal += other.fromLocal
    fromLookup += other.fromLookup
    fromTarget += other.fromTarget
    promptTokens += other.promptTokens
    cachedPromptTokens += other.cachedPromptTokens
    node.verifiedNodes += other.node.verifiedNodes
    node.localExpansions += other.node.localExpansions
    node.workerExpansions += other.node.workerExpansions
    node.lateExpansions += other.node.lateExpansions
    node.bubbles += other.node.bubbles
    if let theirs = other.timeToFirstToken { timeToFirstToken = min(timeToFirstToken ?? theirs, theirs) }
    if let theirs = other.timeInQueue { timeInQueue = max(timeInQueue ?? theirs, theirs) }
    decodeTime = max(decodeTime, other.decodeTime)
  }

  /// Milliseconds from one token to the next of one choice; nil below two tokens.
  func millisecondsPerToken(choices: Int) -> Double? {
    let gaps = completionTokens - choices
    return gaps > 0 ? decodeTime.inMilliseconds * Double(choices) / Double(gaps) : nil
  }

  // MARK: In responses

  func writeUsage(to json: inout JSONWriter) {
    json.object { json in
      json.member("prompt_tokens", promptTokens)
      json.member("completion_tokens", completionTokens)
      json.member("total_tokens", promptTokens + completionTokens)
      json.key("prompt_tokens_details")
      json.object { $0.member("cached_tokens", cachedPromptTokens) }
    }
  }

  /// llama-server's names.
  func writeTimings(to json: inout JSONWriter, choices: Int) {
    let prompt = timeToFirstToken.map { ($0 - (timeInQueue ?? .zero)).inMilliseconds }
    let perToken = millisecondsPerToken(choices: choices)
    json.object { json in
      json.member("cache_n", cachedPromptTokens)
      json.member("prompt_n", promptTokens - cachedPromptTokens)
      json.member("prompt_ms", prompt)
      json.member("predicted_n", completionTokens)
      json.member("predicted_ms", decodeTime.inMilliseconds)
      json.member("predicted_per_token_ms", perToken)
      json.member("predicted_per_second", perToken.map { $0 > 0 ? 1000 / $0 : .infinity })
      json.member("draft_n", node.verifiedNodes)
      json.member("draft_n_accepted", fromWorker + fromLocal + fromLookup)
    }
  }

  func writeSpeculation(to json: inout JSONWriter, choices: Int, seed: UInt64) {
    json.object { json in
      json.member("steps", steps)
      json.member("tokens_per_step", steps > 0 ? Double(completionTokens) / Double(steps) : nil)
      json.member("from_worker", fromWorker)
      json.member("from_local", fromLocal)
      json.member("from_lookup", fromLookup)
      json.member("from_target", fromTarget)
      json.member("local_draft_passes", node.localExpansions)
      json.member("worker_expansions", node.workerExpansions)
      json.member("late_expansions", node.lateExpansions)
      json.member("bubbles", node.bubbles)
      json.member("ttft_ms", timeToFirstToken?.inMilliseconds)
      json.member("ms_per_token", millisecondsPerToken(choices: choices))
      json.member("queue_ms", timeInQueue?.inMilliseconds)
      json.member("seed", seed)
      // Names of an earlier version.
      json.member("from_home", fromLocal)
      json.member("home_draft_passes", node.localExpansions)
    }
  }
}
