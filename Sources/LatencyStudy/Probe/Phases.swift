/// The parts of a probe, in the order in which they end.
public enum Phase: Int, Sendable, CaseIterable {
  /// The host's name became an address.
  case dns
  /// The TCP handshake.
  case connect
  case tls
  /// The request was handed to the kernel.
  case written
  /// The head of the answer arrived.
  case headers
  /// The first event of the stream, whatever it says.
  case firstEvent
  /// The first text that is not empty. Reasoning counts, an event with a role only does not.
  case firstContent
  case lastContent
  /// The stream's end, or whatever ended the probe.
  case end
}

/// How long each part of a probe took. The parts sum to the total exactly: each begins where the one before it ended.
public struct Phases: Sendable, Hashable {
  /// Nanoseconds for each phase; nil for one that did not happen (no TLS, a connection that was there already).
  public private(set) var durations: [Int64?] = Array(repeating: nil, count: Phase.allCases.count)
  /// Monotonic time of the start and of the last stamp, ns.
  public let start: Int64
  private var last: Int64
  /// The phase that ended last.
  private var reached: Phase?

  public init(start: Int64) {
    self.start = start
    last = start
  }

  public subscript(_ phase: Phase) -> Int64? { durations[phase.rawValue] }

  /// Says that a phase ended.
  ///
  /// Servers may answer before a request is written; then the later phase has the time, and a stamp that comes after
  /// its successors is ignored. `lastContent` moves with each chunk.
  public mutating func stamp(_ phase: Phase, at time: Int64) {
    if phase == .lastContent, reached == .lastContent {
      let moved = max(0, time - last)
      durations[phase.rawValue]! += moved
      last += moved
      return
    }
    if let reached, phase.rawValue <= reached.rawValue { return }
    let now = max(time, last)
    durations[phase.rawValue] = now - last
    last = now
    reached = phase
  }

  /// From the start to the last stamp, ns.
  public var total: Int64 { last - start }

  /// From the start to the end of a phase, ns; nil if it did not happen.
  public func elapsed(to phase: Phase) -> Int64? {
    guard durations[phase.rawValue] != nil else { return nil }
    return durations[...phase.rawValue].reduce(0) { $0 + ($1 ?? 0) }
  }

  /// Time to first token from the first packet on: name lookup, handshakes, request, answer. ns.
  public var coldTTFT: Int64? { elapsed(to: .firstContent) }

  /// Time to first token from the moment at which the request was written. ns.
  public var requestTTFT: Int64? {
    guard let content = elapsed(to: .firstContent) else { return nil }
    let written = Phase.allCases[...Phase.written.rawValue].reduce(Int64(0)) { $0 + (self[$1] ?? 0) }
    return content - written
  }
}

extension Phases {
  /// What was stored.
  public init(durations: [Int64?]) {
    precondition(durations.count == Phase.allCases.count)
    self.init(start: 0)
    self.durations = durations
    last = durations.reduce(0) { $0 + ($1 ?? 0) }
    reached = Phase.allCases.last { durations[$0.rawValue] != nil }
  }
}
