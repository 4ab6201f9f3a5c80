/// What a server's users saw, over many requests, in memory that does not grow with them.
///
/// Definitions, times in nanoseconds:
/// - *queueing*: from the arrival to the first time that the request runs. A request that is preempted waits again;
///   that shows in its gaps.
/// - *TTFT*: from the arrival to the first token, the queue included.
/// - *ITL*: one gap for each token after the first. A step that commits several tokens delivers them together: the
///   first has the time since the step before, the others 0. `vllm bench serve` counts a gap for each chunk that it
///   receives instead: that is `stepGap`.
/// - *TPOT*: a request's time from first to last token over its tokens but one, as `vllm bench serve` has it (what
///   genai-perf and guidellm call inter-token latency).
/// - *end to end*: from the arrival to the last token.
///
/// A request counts as it ends. What arrived before the warm-up was over is served and not counted.
public struct ServingFigures: Hashable, Sendable {
  public let goodput: GoodputLimit?
  /// Of the run, not counted; nanoseconds.
  public let warmUp: Int64

  public private(set) var queueing = LogHistogram()
  public private(set) var timeToFirstToken = LogHistogram()
  public private(set) var interTokenLatency = LogHistogram()
  public private(set) var stepGap = LogHistogram()
  public private(set) var timePerOutputToken = LogHistogram()
  public private(set) var endToEnd = LogHistogram()

  public private(set) var answered = 0
  public private(set) var refused = 0
  public private(set) var cancelled = 0
  public private(set) var failed = 0
  /// Times that a request had to give up its place.
  public private(set) var preemptions = 0
  /// Answered requests that kept to the goodput limit; all of them without one.
  public private(set) var good = 0
  /// Of answered and cancelled requests.
  public private(set) var tokens = 0
  public private(set) var goodTokens = 0

  /// First arrival and last end that count.
  private var begin: Int64?
  private var end: Int64 = 0

  public init(goodput: GoodputLimit? = nil, warmUp: Duration = .zero) {
    self.goodput = goodput
    let (seconds, attoseconds) = warmUp.components
    self.warmUp = seconds * 1_000_000_000 + attoseconds / 1_000_000_000
  }

  /// A request is over.
  public mutating func finish(_ record: RequestRecord, _ outcome: RequestOutcome, at time: Int64) {
    guard record.arrival >= warmUp else { return }
    begin = min(begin ?? record.arrival, record.arrival)
    end = max(end, time)
    preemptions += record.preemptions
    switch outcome {
    case .answered: answered += 1
    case .refused: refused += 1
    case .cancelled: cancelled += 1
    case .failed: failed += 1
    }
    tokens += record.tokens
    if let admitted = record.admitted { queueing.add(admitted - record.arrival) }
    if let first = record.timeToFirstToken { timeToFirstToken.add(first) }
    for gap in record.stepGaps {
      interTokenLatency.add(gap)
      stepGap.add(gap)
    }
    interTokenLatency.add(0, times: record.zeroGaps)
    if let perToken = record.timePerOutputToken { timePerOutputToken.add(perToken) }
    guard outcome == .answered else { return }
    if let last = record.last { endToEnd.add(last - record.arrival) }
    if goodput?.holds(record) ?? true {
      good += 1
      goodTokens += record.tokens
    }
  }

  // MARK: Over the run

  /// From the first arrival that counts to the last end.
  public var span: Int64 { begin.map { max(0, end - $0) } ?? 0 }

  private func perSecond(_ count: Int) -> Double {
    span == 0 ? 0 : Double(count) / (Double(span) / 1e9)
  }

  /// Output tokens a second.
  public var throughput: Double { perSecond(tokens) }
  public var requestThroughput: Double { perSecond(answered) }
  /// Requests a second that kept to the limit.
  public var goodputRate: Double { perSecond(good) }
  public var goodThroughput: Double { perSecond(goodTokens) }

  /// Good requests over those that wanted an answer to the end: what users cancel is no fault of the server's.
  public var goodShare: Double {
    let wanted = answered + refused + failed
    return wanted == 0 ? 0 : Double(good) / Double(wanted)
  }

  /// The share of the span that something computed.
  /// - Parameter busy: nanoseconds
  public func utilisation(busy: Int64) -> Double { span == 0 ? 0 : min(1, Double(busy) / Double(span)) }
}

/// The figures as they are stored: milliseconds, rates a second, shares.
public struct ServingSummary: Codable, Hashable, Sendable {
  /// Nil percentiles: there was nothing to measure.
  public struct Percentiles: Codable, Hashable, Sendable {
    public var mean: Double?
    public var p50: Double?
    public var p95: Double?
    public var p99: Double?

    init(_ histogram: LogHistogram) {
      func milliseconds(_ share: Double) -> Double? { histogram.quantile(share).map { Double($0) / 1e6 } }
      mean = histogram.mean.map { $0 / 1e6 }
      (p50, p95, p99) = (milliseconds(0.5), milliseconds(0.95), milliseconds(0.99))
    }
  }

  public var queueing: Percentiles
  public var timeToFirstToken: Percentiles
  public var interTokenLatency: Percentiles
  public var stepGap: Percentiles
  public var timePerOutputToken: Percentiles
  public var endToEnd: Percentiles
  public var answered: Int
  public var refused: Int
  public var cancelled: Int
  public var failed: Int
  public var preemptions: Int
  public var tokensPerSecond: Double
  public var requestsPerSecond: Double
  public var goodRequestsPerSecond: Double
  public var goodTokensPerSecond: Double
  public var goodShare: Double
  public var utilisation: Double

  /// - Parameter targetBusy: nanoseconds that the target computed
  public init(_ figures: ServingFigures, targetBusy: Int64) {
    queueing = Percentiles(figures.queueing)
    timeToFirstToken = Percentiles(figures.timeToFirstToken)
    interTokenLatency = Percentiles(figures.interTokenLatency)
    stepGap = Percentiles(figures.stepGap)
    timePerOutputToken = Percentiles(figures.timePerOutputToken)
    endToEnd = Percentiles(figures.endToEnd)
    answered = figures.answered
    refused = figures.refused
    cancelled = figures.cancelled
    failed = figures.failed
    preemptions = figures.preemptions
    tokensPerSecond = figures.throughput
    requestsPerSecond = figures.requestThroughput
    goodRequestsPerSecond = figures.goodputRate
    goodTokensPerSecond = figures.goodThroughput
    goodShare = figures.goodShare
    utilisation = figures.utilisation(busy: targetBusy)
  }
}

extension ServingSummary {
  /// As JSON shows it.
  public var object: [String: any Sendable] {
    func values(_ percentiles: Percentiles) -> [String: any Sendable] {
      let all = [
        "mean": percentiles.mean, "p50": percentiles.p50, "p95": percentiles.p95, "p99": percentiles.p99,
      ]
      return all.compactMapValues { $0 }
    }
    return [
      "queueing_ms": values(queueing), "ttft_ms": values(timeToFirstToken),
      "itl_ms": values(interTokenLatency), "step_gap_ms": values(stepGap),
      "tpot_ms": values(timePerOutputToken), "end_to_end_ms": values(endToEnd), "answered": answered,
      "refused": refused, "preemptions": preemptions, "tokens_per_second": tokensPerSecond,
      "requests_per_second": requestsPerSecond, "good_requests_per_second": goodRequestsPerSecond,
      "good_share": goodShare, "utilisation": utilisation,
    ]
  }
}
