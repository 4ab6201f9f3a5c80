/// What one engine is to do, one thing after the other, in the order in which it was decided.
final class EngineQueue: Sendable {
  typealias Job = @Sendable () async -> Void

  private let jobs: AsyncStream<Job>.Continuation

  init() {
    let (stream, jobs) = AsyncStream.makeStream(of: Job.self)
    self.jobs = jobs
    Task(priority: .high) { for await job in stream { await job() } }
  }

  deinit { jobs.finish() }

  func enqueue(_ job: @escaping Job) { jobs.yield(job) }
}
