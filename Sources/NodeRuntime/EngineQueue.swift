import Collections
import Synchronization

/// What one engine is asked, one thing after the other, in the order in which it was decided.
///
/// A question whose turn it is starts on the caller's thread, and its answer goes straight to the owner: between two
/// passes no thread has to wake up only to hand something on.
final class EngineQueue: Sendable {
  private typealias Job = @Sendable () async -> Void

  private struct State {
    var isBusy = false
    var waiting: Deque<Job> = []
  }

  private let state = Mutex(State())

  /// - Parameters:
  ///   - owner: the actor that asks; answers arrive there in the order of the questions
  ///   - ask: awaits the engine
  ///   - answered: what to do with the answer
  func enqueue<Owner: Actor, Answer: Sendable>(
    for owner: Owner, _ ask: @escaping @Sendable () async -> Answer,
    answered: @escaping @Sendable (isolated Owner, Answer) -> Void
  ) {
    let job: Job = { await self.deliver(await ask(), to: owner, answered) }
    let isFirst = state.withLock { state in
      if state.isBusy { state.waiting.append(job) }
      defer { state.isBusy = true }
      return !state.isBusy
    }
    if isFirst { start(job) }
  }

  /// Already on the owner when the next question is asked, so that no answer can overtake this one.
  private func deliver<Owner: Actor, Answer: Sendable>(
    _ answer: Answer, to owner: isolated Owner, _ answered: @Sendable (isolated Owner, Answer) -> Void
  ) {
    let next = state.withLock { state in
      let next = state.waiting.popFirst()
      state.isBusy = next != nil
      return next
    }
    if let next { start(next) }
    answered(owner, answer)
  }

  private func start(_ job: @escaping Job) {
    if #available(macOS 26, *) {
      Task.immediate(priority: .high, operation: job)
    } else {
      Task(priority: .high, operation: job)
    }
  }
}
