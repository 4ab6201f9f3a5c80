import NIOCore
import NIOHTTP1

/// Follows one answer from its head to its end: stamps phases, keeps chunks, and says how it ended. Knows no channel, so
/// that an answer can be played to it.
struct AnswerTracker: Sendable {
  /// Chunks that are kept of one answer; more of them move only its end.
  static let maxChunks = 65_536
  /// Bytes that are kept of what is no stream.
  private static let maxBodyBytes = 64 << 10

  private(set) var record: ProbeRecord
  private(set) var phases: Phases
  /// How long the server asked to be left alone, seconds.
  private(set) var retryAfter: Double?
  private var reader: AnswerReader
  /// An error's body, or what came before the first event of a stream.
  private var plain: [UInt8] = []
  private var contentType: String?
  /// Of a body that nobody asked to be compressed.
  private var encoding: String?
  /// When the mark came after which a stream has nothing more to say; whatever happens later is not the answer's.
  private(set) var endMark: Int64?
  private var failure: (outcome: ProbeOutcome, detail: String)?

  init(_ record: ProbeRecord, api: Target.API, phases: Phases) {
    self.record = record
    self.phases = phases
    reader = AnswerReader(api)
  }

  /// Whether the status is one of success.
  var isSuccess: Bool { record.status.map { (200..<300).contains($0) } ?? false }

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
    contentType = head.headers.first(name: "content-type")
    encoding = head.headers.first(name: "content-encoding").flatMap {
      $0.lowercased() == "identity" ? nil : String($0.prefix(100))
    }
    let name = head.headers.first(name: "x-amzn-errortype").map { String($0.prefix { $0 != ":" }) }
    switch head.status.code {
    case 200..<300:
      if let encoding { fail(.malformed, "the answer is compressed (\(encoding)), which nobody asked for") }
    case 401, 403: fail(.credentials, name ?? head.status.reasonPhrase)
    case 429: fail(.throttled, name ?? head.status.reasonPhrase)
    case 503 where retryAfter != nil: fail(.throttled, name ?? head.status.reasonPhrase)
    default: fail(.status, name ?? head.status.reasonPhrase)
    }
  }

  /// - Returns: whether the answer is beyond use, so that there is nothing to wait for
  mutating func body(_ bytes: some Collection<UInt8>, at time: Int64) -> Bool {
    if phases[.firstEvent] == nil { plain += bytes.prefix(Self.maxBodyBytes - plain.count) }
    if !isSuccess || UnstreamedAnswer.isNamed(by: contentType) { return isSuccess && failure != nil }
    do {
      for event in try reader.append(bytes) { take(event, at: time) }
    } catch {
      let isPacked = phases[.firstEvent] == nil && plain.starts(with: [0x1F, 0x8B])
      fail(.malformed, isPacked ? "the answer is compressed (gzip), and does not say so" : error.description)
    }
    return failure != nil
  }

  private mutating func take(_ event: AnswerEvent, at time: Int64) {
    stamp(.firstEvent, at: time)
    switch event {
    // What was counted may be told after the end; nothing else belongs to the answer.
    case .content where endMark != nil, .finished where endMark != nil, .failure where endMark != nil: break
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
    case .endMark: endMark = endMark ?? time
    case .failure(let text): fail(.exception, text)
    case .other: break
    }
  }

  /// The first reason stays, and what is whole does not fail any more.
  mutating func fail(_ outcome: ProbeOutcome, _ detail: String) {
    guard failure == nil, endMark == nil else { return }
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
    if failure == nil, isSuccess { failure = flaw() }
    record.outcome = failure?.outcome ?? .ok
    guard let failure else { return }
    let message = isSuccess || plain.isEmpty || encoding != nil ? nil : String(decoding: plain, as: UTF8.self)
    let status = record.status.map { $0 == 200 ? "" : "status \($0) " } ?? ""
    let text = "\(status)\(failure.detail)" + (message.map { ": \($0)" } ?? "")
    record.detail = String(text.map { $0.isNewline ? " " : $0 }.prefix(500))
  }

  /// What is wrong with an answer that ended in order.
  private func flaw() -> (outcome: ProbeOutcome, detail: String)? {
    if phases[.firstEvent] == nil,
      let failure = UnstreamedAnswer.failure(plain, contentType: contentType)
    {
      return failure
    }
    if endMark == nil {
      do { try reader.finish() } catch { return (.malformed, error.description) }
    }
    if record.chunks.isEmpty { return (.empty, "status \(record.status ?? 200), and no text") }
    if endMark == nil, record.finishReason == nil {
      return (.truncated, "the stream ended without its end mark")
    }
    return nil
  }
}
