import HTTPTypes
import Hummingbird
import Logging
import ModelBackend
import NIOCore

/// One request's answer while it is generated, and how it is sent: whole or as a stream of events.
final class AnswerInProgress: Sendable {
  private let run: ActiveGeneration
  private let shape: ResponseShape
  /// Held as long as this is.
  private let slot: StreamLimiter.Slot?
  private let connection: ClientConnection
  private let record: RequestRecord
  private let metrics: GatewayMetrics
  /// For completions, where they may be logged.
  private let logger: Logger?

  init(
    run: ActiveGeneration, shape: ResponseShape, slot: StreamLimiter.Slot?,
    connection: ClientConnection, record: RequestRecord, metrics: GatewayMetrics, logger: Logger?
  ) {
    self.run = run
    self.shape = shape
    self.slot = slot
    self.connection = connection
    self.record = record
    self.metrics = metrics
    self.logger = logger
  }

  /// What is known once all choices have ended.
  private struct Outcome {
    var figures: AnswerFigures?
    var reasons: [String] = []

    mutating func take(_ finished: FinishedChoice) {
      reasons.append(finished.reason)
      if figures == nil { figures = finished.figures } else { figures!.add(finished.figures) }
    }
  }

  private func complete(_ outcome: Outcome) -> AnswerFigures {
    let figures = outcome.figures ?? AnswerFigures()
    for reason in outcome.reasons { metrics.finished(reason) }
    record.generated(figures, finishReason: outcome.reasons.last ?? "stop")
    return figures
  }

  /// Why there is no more, though choices are open.
  private func interruption(_ outcome: Outcome) -> any Error {
    let open = shape.choices - outcome.reasons.count
    for reason in outcome.reasons { metrics.finished(reason) }
    if connection.isGone {
      for _ in 0..<open { metrics.finished("abort") }
      return ClientGone()
    }
    for _ in 0..<open { metrics.finished("error") }
    return run.interruption
  }

  private func failure(_ error: APIError, _ outcome: Outcome) -> any Error {
    for reason in outcome.reasons { metrics.finished(reason) }
    for _ in 0..<shape.choices - outcome.reasons.count { metrics.finished("error") }
    return connection.isGone ? ClientGone() : error
  }

  // MARK: Whole

  /// - Throws: `APIError`, or `ClientGone`.
  func whole() async throws -> Response {
    let watch = connection.whenGone(run.cancellation)
    defer { connection.forget(watch) }
    var answers = [ResponseShape.Answer](repeating: .init(), count: shape.choices)
    var outcome = Outcome()
    for await event in run.events {
      switch event {
      case .tick: break
      case .piece(let choice, let piece):
        answers[choice].append(piece)
      case .finished(let choice, let finished):
        answers[choice].finishReason = finished.reason
        outcome.take(finished)
      case .failed(let error):
        throw failure(error, outcome)
      }
    }
    guard outcome.reasons.count == shape.choices else { throw interruption(outcome) }
    let figures = complete(outcome)
    logger?.info(
      "completion", metadata: ["request": "\(record.id)", "texts": .array(answers.map { "\($0.text)" })])
    return Response(
      status: .ok, headers: [.contentType: "application/json"],
      body: ResponseBody(byteBuffer: ByteBuffer(bytes: shape.whole(answers, figures: figures))))
  }

  // MARK: Streamed

  /// A comment, and no empty line after it, which some clients take for an event.
  private static let keepAlive = Array(": keep-alive\n".utf8)

  /// Answers as soon as something has happened, so that a refusal still has its own status.
  ///
  /// - Throws: `APIError`, or `ClientGone`.
  func streamed(includesUsage: Bool, keepAlive: Duration) async throws -> Response {
    let watch = connection.whenGone(run.cancellation)
    var first: ChoiceEvent?
    for await event in run.events {
      first = event
      break
    }
    guard let first else {
      connection.forget(watch)
      throw interruption(Outcome())
    }
    if case .failed(let error) = first {
      connection.forget(watch)
      throw failure(error, Outcome())
    }
    let headers: HTTPFields = [
      .contentType: "text/event-stream; charset=utf-8", .cacheControl: "no-cache",
      // nginx would collect the stream otherwise.
      HTTPField.Name("x-accel-buffering")!: "no",
    ]
    return Response(
      status: .ok, headers: headers,
      body: ResponseBody { writer in
        defer { self.connection.forget(watch) }
        do {
          try await self.write(
            first, to: &writer, includesUsage: includesUsage, keepAlive: keepAlive)
          self.record.finish(status: 200)
        } catch {
          // Reading has to end first where the client is gone; the status was sent long ago.
          if self.connection.isGone || error is ClientGone { self.record.clientWentAway() }
          self.record.finish(status: 200)
          throw error
        }
      })
  }

  private func write(
    _ first: ChoiceEvent, to writer: inout any ResponseBodyWriter, includesUsage: Bool, keepAlive: Duration
  ) async throws {
    var outcome = Outcome()
    var isFirst = [Bool](repeating: true, count: shape.choices)
    var lastWrite = ContinuousClock.now
    var text = ""
    var problem: APIError?

    /// - Returns: bytes to send for the event
    func bytes(for event: ChoiceEvent) -> [UInt8] {
      switch event {
      case .tick:
        return lastWrite.duration(to: .now) >= keepAlive * 0.9 ? Self.keepAlive : []
      case .piece(let choice, let piece):
        if logger != nil { text += piece.content.map(\.text).joined() }
        return start(choice) + shape.contentChunks(choice: choice, piece, withUsage: includesUsage)
      case .finished(let choice, let finished):
        outcome.take(finished)
        let isLast = outcome.reasons.count == shape.choices
        return start(choice)
          + shape.finishChunk(
            choice: choice, reason: finished.reason, figures: isLast ? outcome.figures : nil,
            withUsage: includesUsage)
      case .failed(let error):
        problem = error
        return []
      }
    }

    func start(_ choice: Int) -> [UInt8] {
      guard isFirst[choice] else { return [] }
      isFirst[choice] = false
      return shape.endpoint == .chat ? shape.roleChunk(choice: choice, withUsage: includesUsage) : []
    }

    func send(_ bytes: [UInt8]) async throws {
      if bytes.isEmpty { return }
      try await writer.write(ByteBuffer(bytes: bytes))
      lastWrite = .now
    }

    do {
      try await send(bytes(for: first))
      for await event in run.events {
        try await send(bytes(for: event))
        if problem != nil { break }
      }
    } catch {
      // The client no longer takes anything.
      connection.gone()
      throw interruption(outcome)
    }
    try await send(ending(outcome, problem, text: text, includesUsage: includesUsage))
    try await writer.finish(nil)
  }

  /// The last bytes of a stream: what went wrong, or the figures and the end mark.
  ///
  /// - Throws: where the client is not to be told
  private func ending(
    _ outcome: Outcome, _ problem: APIError?, text: String, includesUsage: Bool
  ) throws -> [UInt8] {
    if problem != nil || outcome.reasons.count < shape.choices {
      let why = problem.map { failure($0, outcome) } ?? interruption(outcome)
      guard let error = why as? APIError else { throw why }
      return ResponseShape.errorEvent(error)
    }
    let figures = complete(outcome)
    logger?.info("completion", metadata: ["request": "\(record.id)", "text": "\(text)"])
    return (includesUsage ? shape.usageChunk(figures) : []) + Array("data: [DONE]\n\n".utf8)
  }
}
