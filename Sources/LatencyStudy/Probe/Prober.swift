import Foundation
import NIOConcurrencyHelpers
import NIOCore
import NIOHTTP1
import NIOPosix
import NIOSSL

/// Sends probes: each on a connection of its own, with every phase stamped.
public final class Prober: Sendable {
  /// One probe to send.
  public struct Order: Sendable {
    public var key: ProbeKey
    /// Nanoseconds since 1970, campaign time.
    public var scheduled: Int64
    public var target: Target
    public var endpoint: Endpoint
    public var localAddress: String?
    public var prompt: Campaign.Prompt
    public var timeout: Duration
    /// Whether a second request follows on the same connection.
    public var warm: Bool
    public var credential: Credential

    public init(
      key: ProbeKey, scheduled: Int64, target: Target, endpoint: Endpoint, localAddress: String?,
      prompt: Campaign.Prompt,
      timeout: Duration, warm: Bool, credential: Credential
    ) {
      self.key = key
      self.scheduled = scheduled
      self.target = target
      self.endpoint = endpoint
      self.localAddress = localAddress
      self.prompt = prompt
      self.timeout = timeout
      self.warm = warm
      self.credential = credential
    }
  }

  /// What one order brought: a probe, or two.
  public struct Answer: Sendable {
    public var records: [ProbeRecord]
    /// How long the server asked to be left alone, seconds.
    public var retryAfter: Double?
  }

  private let group: any EventLoopGroup
  private let lookup: NameLookup
  private let clock: CampaignClock
  private let version: String
  private let secureContexts: SecureContexts

  /// - Parameters:
  ///   - group: event loops that do little else: what waits in them is measured too
  ///   - threads: for name lookups; must have been started
  public init(group: any EventLoopGroup, threads: NIOThreadPool, clock: CampaignClock, version: String) {
    self.group = group
    lookup = NameLookup(threads: threads)
    self.clock = clock
    self.version = version
    secureContexts = SecureContexts()
    AnswerReader.warmUp()
  }

  /// - Throws: `CancellationError`, and what makes a request impossible whatever the network does (a file of
  ///   certificates that cannot be read)
  public func probe(_ order: Order) async throws -> Answer {
    let context =
      order.endpoint.isSecure ? try secureContexts.context(order.target.certificateAuthority) : nil
    let request = try request(order)
    let loop = group.next()
    let attempt = Attempt(loop: loop)
    return try await withTaskCancellationHandler {
      defer { attempt.close() }
      let first = try await attempt.run(
        order, request, record: record(order, ordinal: 0), context: context, lookup: lookup)
      try Task.checkCancellation()
      var answer = Answer(records: [priced(first.record, order)], retryAfter: first.retryAfter)
      guard order.warm, first.record.outcome == .ok else { return answer }
      if first.isReusable {
        let again = try await attempt.again(
          try self.request(order), record: record(order, ordinal: 1), api: order.target.api,
          timeout: order.timeout)
        try Task.checkCancellation()
        answer.records.append(priced(again.record, order))
        answer.retryAfter = again.retryAfter
      } else {
        var missed = record(order, ordinal: 1)
        (missed.outcome, missed.detail) = (.missed, ProbeHandler.closed)
        answer.records.append(missed)
      }
      return answer
    } onCancel: {
      attempt.close()
    }
  }

  private func request(_ order: Order) throws -> ProbeRequest {
    try ProbeRequest(
      target: order.target, endpoint: order.endpoint, prompt: order.prompt,
      nonce: order.prompt.nonce ? String(UInt64.random(in: .min ... .max), radix: 36) : nil,
      credential: order.credential, date: Date(), version: version)
  }

  private func record(_ order: Order, ordinal: Int) -> ProbeRecord {
    var key = order.key
    key.ordinal = ordinal
    return ProbeRecord(key: key, scheduled: order.scheduled, started: clock.now(), outcome: .ok)
  }

  /// What the server counted; where it counted nothing but sent a text, what was asked for.
  private func priced(_ record: ProbeRecord, _ order: Order) -> ProbeRecord {
    var record = record
    guard let status = record.status, (200..<300).contains(status) else { return record }
    record.usd = order.target.price.cost(
      inputTokens: record.inputTokens ?? order.prompt.text.utf8.count / 4,
      outputTokens: record.outputTokens ?? order.prompt.maxTokens)
    return record
  }
}

/// TLS settings, one for each file of certificates.
private final class SecureContexts: Sendable {
  private let made = NIOLockedValueBox<[String?: NIOSSLContext]>([:])

  func context(_ authority: String?) throws -> NIOSSLContext {
    try made.withLockedValue { made in
      if let context = made[authority] { return context }
      var configuration = TLSConfiguration.makeClientConfiguration()
      if let authority { configuration.trustRoots = .file(authority) }
      let context = try NIOSSLContext(configuration: configuration)
      made[authority] = context
      return context
    }
  }
}
