import NIOCore
import NIOHTTP1

/// Follows one answer from its head to its end: stamps phases, keeps chunks, and says how it ended. Knows no channel, so
/// that an answer can be played to it.
struct AnswerTracker: Sendable {
  /// Chunks that are kept of one answer; more of them move only its end.
  static let maxChunks = 65_536
  /// Bytes of an error's body that are read.
  private static let maxErrorBytes = 64 << 10

  private(set) var record: ProbeRecord
  private(set) var phases: Phases
  /// How long the server asked to be left alone, seconds.
  private(set) var retryAfter: Double?
  private var reader: AnswerReader
  private var errorBody: [UInt8] = []
  private var sawEnd = false
  private var failure: (outcome: ProbeOutcome, detail: String)?

  init(_ record: ProbeRecord, api: Target.API, phases: Phases) {
    self.record = record
    self.phases = phases
    reader = AnswerReader(api)
  }

  mutating func stamp(_ phase: Phase, at time: Int64) { phases.stamp(phase, at: time) }

  mutating func connected(peer: String?, tlsVersion: String?) {
    record.peer = peer
    record.tlsVersion = tlsVersion
  }

  mutating func kernelTimes(roundTrip: Int?, smallest: Int?) {
    record.tcpRTT = record.tcpRTT ?? roundTrip
    record.tcpMinRTT = smallest ?? record.tcpMinRTT
  }

  mutating func head(_ head: HTTPResponseHead, at time: Int64) {
    stamp(.headers, at: time)
    record.status = Int(head.status.code)
    record.requestID = ["x-request-id", "x-amzn-requestid", "request-id"].lazy
      .compactMap { head.headers.first(name: $0) }.first.map { String($0.prefix(200)) }
    retryAfter = head.headers.first(name: "retry-after").flatMap { RetryAfter.seconds($0) }
    let name = head.headers.first(name: "x-amzn-errortype").map { String($0.prefix { $0 != ":" }) }
    switch head.status.code {
    case 200: break
    case 401, 403: fail(.credentials, name ?? head.status.reasonPhrase)
    case 429: fail(.throttled, name ?? head.status.reasonPhrase)
    case 503 where retryAfter != nil: fail(.throttled, name ?? head.status.reasonPhrase)
    default: fail(.status, name ?? head.status.reasonPhrase)
    }
  }

  /// - Returns: whether the answer is beyond use, so that there is nothing to wait for
  mutating func body(_ bytes: some Collection<UInt8>, at time: Int64) -> Bool {
    if record.status != 200 {
      errorBody += bytes.prefix(Self.maxErrorBytes - errorBody.count)
      return false
    }
    do {
      for event in try reader.append(bytes) { take(event, at: time) }
      return failure != nil
    } catch {
      fail(.malformed, error.description)
      return true
    }
  }

  private mutating func take(_ event: AnswerEvent, at time: Int64) {
    stamp(.firstEvent, at: time)
    switch event {
    case .content(let bytes):
      stamp(.firstContent, at: time)
      stamp(.lastContent, at: time)
      let elapsed = time - phases.start
      if record.chunks.last?.time == elapsed {
        record.chunks[record.chunks.count - 1].bytes += bytes
      } else if record.chunks.count < Self.maxChunks {
        record.chunks.append(Chunk(time: elapsed, bytes: bytes))
      }
    case .finished(let reason): record.finishReason = String(reason.prefix(100))
    case .usage(let input, let output):
      record.inputTokens = input.map { min(max(0, $0), 1 << 31) } ?? record.inputTokens
      record.outputTokens = output.map { min(max(0, $0), 1 << 31) } ?? record.outputTokens
    case .serverFirstByte(let milliseconds): record.serverFirstByte = milliseconds
    case .endMark: sawEnd = true
    case .failure(let text): fail(.exception, text)
    case .other: break
    }
  }

  /// The first reason stays.
  mutating func fail(_ outcome: ProbeOutcome, _ detail: String) {
    guard failure == nil else { return }
    failure = (outcome, detail)
  }

  /// Ends the probe: `record` is complete after this.
  mutating func end(at time: Int64) {
    if let failure, failure.outcome == .missed {
      // Nothing was measured.
      (record.outcome, record.detail) = (.missed, failure.detail)
      return
    }
    stamp(.end, at: time)
    record.phases = phases
    record.total = time - phases.start
    if failure == nil, record.status == 200 {
      do {
        try reader.finish()
        if record.chunks.isEmpty {
          fail(.empty, "status 200, and no text")
        } else if !sawEnd, record.finishReason == nil {
          fail(.truncated, "the stream ended without its end mark")
        }
      } catch {
        fail(.malformed, error.description)
      }
    }
    record.outcome = failure?.outcome ?? .ok
    guard let failure else { return }
    let message = errorBody.isEmpty ? nil : String(decoding: errorBody, as: UTF8.self)
    let status = record.status.map { $0 == 200 ? "" : "status \($0) " } ?? ""
    let text = "\(status)\(failure.detail)" + (message.map { ": \($0)" } ?? "")
    record.detail = String(text.map { $0.isNewline ? " " : $0 }.prefix(500))
  }
}
