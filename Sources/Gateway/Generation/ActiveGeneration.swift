import ModelBackend
import NodeRuntime
import SpeculationCore
import Synchronization

/// One choice to generate.
package struct PlannedChoice: Sendable {
  var index: Int
  var request: GenerationRequest
  var stops: [[UInt8]]
  /// The first of its prompt, whose tokens count once.
  var countsPrompt: Bool
  /// Text that goes before the answer.
  var echo = ""
  /// How the answer is written; nil: all of it is content.
  var format: (any AnswerFormat)?
  var shownTokens: [TokenID] = []
  /// Whether the answer ends with its first call of a tool.
  var callsOnce = false
}

/// What happens to the choices of a request.
enum ChoiceEvent: Sendable {
  case piece(choice: Int, AnswerPiece)
  case finished(choice: Int, FinishedChoice)
  case failed(APIError)
  /// Time has passed.
  case tick
}

struct FinishedChoice: Sendable {
  /// "stop", "tool_calls", "length", or "dead_end" where nothing that the grammar allows could follow.
  var reason: String
  var figures: AnswerFigures
}

/// The running generation of all choices of one request. Its end, by whatever way, cancels what still runs.
final class ActiveGeneration: Sendable {
  /// Ends when all choices have, or with the first that fails, or early when cancelled.
  let events: AsyncStream<ChoiceEvent>
  private let pump: Task<Void, Never>
  private let ending = Mutex<APIError?>(nil)
  private let registry: GenerationRegistry
  private let id: Int

  /// - Parameter tick: how often to say that time has passed; nil never
  init(
    _ choices: [PlannedChoice], on node: ControllerNode, tokenizer: any Tokenizer, endTokens: [TokenID],
    tick: Duration?, registry: GenerationRegistry
  ) {
    let (events, feed) = AsyncStream<ChoiceEvent>.makeStream()
    self.events = events
    self.registry = registry
    pump = Task {
      await withTaskGroup(of: Bool.self) { group in
        for choice in choices {
          group.addTask {
            await Self.run(choice, on: node, tokenizer: tokenizer, endTokens: endTokens, feed: feed)
          }
        }
        if let tick {
          group.addTask {
            while (try? await Task.sleep(for: tick)) != nil { feed.yield(.tick) }
            return true
          }
        }
        for _ in choices {
          if await group.next() == false { break }
        }
        group.cancelAll()
      }
      feed.finish()
    }
    id = registry.register()
    registry.setEnd(id) { [weak self] reason in self?.end(reason) }
  }

  deinit {
    pump.cancel()
    registry.remove(id)
  }

  /// For `ClientConnection.whenGone`: does not keep the generation alive.
  var cancellation: @Sendable () -> Void { { [pump] in pump.cancel() } }

  /// The server cannot wait for it.
  private func end(_ reason: APIError) {
    ending.withLock { $0 = reason }
    pump.cancel()
  }

  /// Why `events` ended before all choices had, where the client is still there.
  var interruption: APIError {
    ending.withLock { $0 }
      ?? APIError(
        .internalServerError, "the generation was cancelled", type: "server_error", code: "cancelled")
  }

  /// - Returns: whether the choice came to its end
  private static func run(
    _ choice: PlannedChoice, on node: ControllerNode, tokenizer: any Tokenizer, endTokens: [TokenID],
    feed: AsyncStream<ChoiceEvent>.Continuation
  ) async -> Bool {
    let began = ContinuousClock.now
    var firstToken: ContinuousClock.Instant?
    var lastToken = began
    var figures = AnswerFigures()
    if choice.countsPrompt { figures.promptTokens = choice.request.prompt.count }
    // Followed where its end has to be judged.
    var answer: [TokenID] = []
    var text = ChoiceText(
      tokenizer: tokenizer, endTokens: endTokens, shownTokens: choice.shownTokens, stops: choice.stops,
      charactersBefore: choice.echo.unicodeScalars.count)
    var formatted: FormattedText?
    if !choice.echo.isEmpty { feed.yield(.piece(choice: choice.index, AnswerPiece(text: choice.echo))) }
    do {
      formatted = try choice.format.map { try FormattedText($0, callsOnce: choice.callsOnce) }
      for try await event in await node.generate(choice.request) {
        switch event {
        case .note: break
        case .tokens(let tokens, let logprobs, let progress):
          lastToken = .now
          if firstToken == nil { firstToken = lastToken }
          figures.steps += 1
          if choice.countsPrompt { figures.cachedPromptTokens = progress.cachedPromptTokens }
          var piece = AnswerPiece()
          for (index, token) in tokens.enumerated() where !text.isStopped {
            figures.count(token)
            if choice.request.grammar != nil { answer.append(token.token) }
            let wanted = choice.request.logprobs != nil && logprobs.indices.contains(index)
            let more = text.append(token.token, logprobs: wanted ? logprobs[index] : nil)
            piece.text += more.text
            piece.tokens += more.tokens
          }
          if let parts = try formatted?.append(piece.text) { piece.takeApart(parts) }
          if !piece.isEmpty { feed.yield(.piece(choice: choice.index, piece)) }
          if text.isStopped || formatted?.isOver == true {
            let rest = try formatted?.finish(isComplete: true) ?? []
            if !rest.isEmpty { feed.yield(.piece(choice: choice.index, AnswerPiece(parts: rest))) }
            figures.take(progress.statistics)
            figures.timeToFirstToken = firstToken.map { began.duration(to: $0) }
            figures.decodeTime = firstToken.map { $0.duration(to: lastToken) } ?? .zero
            let reason = formatted?.hasCalls == true ? "tool_calls" : "stop"
            feed.yield(.finished(choice: choice.index, FinishedChoice(reason: reason, figures: figures)))
            // Leaving the loop cancels the rest.
            return true
          }
        case .finished(let summary):
          if case .failed(let why) = summary.reason {
            feed.yield(.failed(APIError(GenerationError(.engineFailed, why))))
          }
          guard var reason = finishReason(summary.reason) else { return false }
          if summary.reason == .endOfText, let grammar = choice.request.grammar, grammar.holdsFromTheStart,
            !grammar.rules.accepts(
              answer.lazy.filter { !endTokens.contains($0) }.flatMap(tokenizer.bytes(of:)))
          {
            reason = "dead_end"
          }
          var rest = text.finish()
          if let more = try formatted?.append(rest.text) {
            rest.takeApart(try more + (formatted?.finish(isComplete: summary.reason == .endOfText) ?? []))
          }
          if reason == "stop", formatted?.hasCalls == true { reason = "tool_calls" }
          if !rest.isEmpty { feed.yield(.piece(choice: choice.index, rest)) }
          figures.take(summary)
          feed.yield(.finished(choice: choice.index, FinishedChoice(reason: reason, figures: figures)))
          return true
        }
      }
    } catch {
      if !Task.isCancelled { feed.yield(.failed(APIError(error))) }
    }
    return false
  }

  /// OpenAI's word; nil where there is no answer to finish.
  private static func finishReason(_ reason: SessionMachine.FinishReason) -> String? {
    switch reason {
    case .endOfText: "stop"
    case .length, .contextFull: "length"
    case .cancelled, .failed: nil
    }
  }
}

/// All generations under way.
final class GenerationRegistry: Sendable {
  private struct State {
    var next = 0
    var running: [Int: @Sendable (APIError) -> Void] = [:]
    var waiters: [CheckedContinuation<Void, Never>] = []
  }

  private let state = Mutex(State())

  var count: Int { state.withLock { $0.running.count } }

  fileprivate func register() -> Int {
    state.withLock { state in
      state.next += 1
      state.running[state.next] = { _ in }
      return state.next
    }
  }

  fileprivate func setEnd(_ id: Int, _ end: @escaping @Sendable (APIError) -> Void) {
    state.withLock { state in
      if state.running[id] != nil { state.running[id] = end }
    }
  }

  fileprivate func remove(_ id: Int) {
    let waiters = state.withLock { state -> [CheckedContinuation<Void, Never>] in
      state.running[id] = nil
      if !state.running.isEmpty { return [] }
      defer { state.waiters = [] }
      return state.waiters
    }
    for waiter in waiters { waiter.resume() }
  }

  /// Ends all, each with this error.
  func endAll(_ reason: APIError) {
    for end in state.withLock({ Array($0.running.values) }) { end(reason) }
  }

  /// Returns once nothing is under way.
  func waitUntilEmpty() async {
    await withCheckedContinuation { continuation in
      let isEmpty = state.withLock { state -> Bool in
        if state.running.isEmpty { return true }
        state.waiters.append(continuation)
        return false
      }
      if isEmpty { continuation.resume() }
    }
  }
}
