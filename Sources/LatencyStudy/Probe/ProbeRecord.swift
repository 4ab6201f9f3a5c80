/// What names a probe: a slot has one of each pair, and a second where the connection is used again.
public struct ProbeKey: Sendable, Hashable {
  public var source: String
  public var target: String
  public var slot: Int
  /// 0 on a fresh connection, 1 on the same one again.
  public var ordinal: Int

  public init(source: String, target: String, slot: Int, ordinal: Int = 0) {
    self.source = source
    self.target = target
    self.slot = slot
    self.ordinal = ordinal
  }
}

/// A piece of an answer as it came from the network.
public struct Chunk: Sendable, Hashable {
  /// Nanoseconds since the probe's start.
  public var time: Int64
  /// Of content, UTF-8.
  public var bytes: Int

  public init(time: Int64, bytes: Int) {
    self.time = time
    self.bytes = bytes
  }
}

/// All that is kept of one probe.
public struct ProbeRecord: Sendable, Hashable {
  public var key: ProbeKey
  /// Nanoseconds since 1970 in campaign time: when it should have started, and when it did.
  public var scheduled: Int64
  public var started: Int64
  public var outcome: ProbeOutcome
  /// For people: what went wrong, or why it was missed.
  public var detail: String?
  public var phases: Phases?
  /// From start to end, ns, measured apart from the phases, which sum to it.
  public var total: Int64?
  public var chunks: [Chunk] = []
  public var status: Int?
  /// "1.2.3.4:443"
  public var peer: String?
  /// "TLSv1.3"
  public var tlsVersion: String?
  /// Of the kernel, after the handshake and over the whole connection; microseconds.
  public var tcpRTT: Int?
  public var tcpMinRTT: Int?
  /// What the server says of itself.
  public var requestID: String?
  public var finishReason: String?
  public var inputTokens: Int?
  public var outputTokens: Int?
  /// Milliseconds that the server claims to have taken to its first byte.
  public var serverFirstByte: Double?
  public var usd: Double = 0

  public init(key: ProbeKey, scheduled: Int64, started: Int64, outcome: ProbeOutcome, detail: String? = nil) {
    self.key = key
    self.scheduled = scheduled
    self.started = started
    self.outcome = outcome
    self.detail = detail
  }

  /// Time per output token after the first: (last content - first content) / (tokens - 1), ns; nil where a buffer
  /// decided when they came.
  public var timePerToken: Double? {
    phases.flatMap { Self.timePerToken(span: $0[.lastContent], tokens: outputTokens, chunks: chunks.count) }
  }

  /// - Parameter span: between the first text and the last, ns
  static func timePerToken(span: Int64?, tokens: Int?, chunks: Int) -> Double? {
    guard let span, let tokens, tokens > 1, chunks > 1, !isBurst(tokens: tokens, chunks: chunks) else {
      return nil
    }
    return Double(span) / Double(tokens - 1)
  }

  private static func isBurst(tokens: Int, chunks: Int) -> Bool { tokens >= 4 && chunks * 2 < tokens }

  /// Whether most of the text came in one piece: behind a buffer, times between tokens mean nothing.
  public var isBurst: Bool {
    outputTokens.map { Self.isBurst(tokens: $0, chunks: chunks.count) } ?? false
  }
}
