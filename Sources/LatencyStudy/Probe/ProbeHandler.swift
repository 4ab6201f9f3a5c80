import NIOCore
import NIOHTTP1
import NIOSSL
import NIOTLS
import NetworkProblems

/// Monotonic time, ns.
func monotonicNow() -> Int64 { Int64(NIODeadline.now().uptimeNanoseconds) }

/// When the bytes that are being handled came from the kernel: before they are decrypted and parsed, which is our time
/// and not the network's. On the event loop only.
final class ArrivalClock: ChannelInboundHandler {
  typealias InboundIn = ByteBuffer
  typealias InboundOut = ByteBuffer

  private(set) var lastRead: Int64 = 0

  func channelRead(context: ChannelHandlerContext, data: NIOAny) {
    lastRead = monotonicNow()
    context.fireChannelRead(data)
  }
}

/// Sends a request on a connection that is ready, and follows the answer. On the event loop only.
final class ProbeHandler: ChannelInboundHandler {
  typealias InboundIn = HTTPClientResponsePart
  typealias OutboundOut = HTTPClientRequestPart

  private let arrivals: ArrivalClock
  private var tracker: AnswerTracker
  private var request: ProbeRequest
  private let isSecure: Bool
  private var finished: EventLoopPromise<Finished>?
  private var sent = false
  /// How long an answer that is whole may keep its connection to itself: some servers leave it open.
  private static let patience = TimeAmount.seconds(1)
  /// Ends such an answer.
  private var alarm: Scheduled<Void>?
  /// Why a second request has no answer, where its connection ends without a word: a server may close a connection that
  /// rests, and a client that finds it closed opens another and asks again. That says nothing of the server's speed.
  static let closed = "the server closed the connection after the first answer"

  /// A probe that ended, and whether its connection can carry another.
  struct Finished: Sendable {
    var record: ProbeRecord
    var retryAfter: Double?
    var isReusable: Bool
  }

  private var keepsAlive = true

  init(
    _ request: ProbeRequest, tracker: AnswerTracker, arrivals: ArrivalClock, isSecure: Bool,
    finished: EventLoopPromise<Finished>
  ) {
    self.request = request
    self.tracker = tracker
    self.arrivals = arrivals
    self.isSecure = isSecure
    self.finished = finished
  }

  // MARK: Connecting

  func channelActive(context: ChannelHandlerContext) {
    tracker.stamp(.connect, at: monotonicNow())
    tracker.connected(
      peer: context.remoteAddress.map { "\($0.ipAddress ?? ""):\($0.port ?? 0)" }, tlsVersion: nil)
    readKernelTimes(context.channel)
    if !isSecure { send(context) }
    context.fireChannelActive()
  }

  func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
    if case TLSUserEvent.handshakeCompleted = event {
      tracker.stamp(.tls, at: arrivals.lastRead)
      tracker.connected(
        peer: tracker.record.peer,
        tlsVersion: try? context.pipeline.syncOperations.nioSSL_tlsVersion().map { "\($0)" })
      send(context)
    }
    context.fireUserInboundEventTriggered(event)
  }

  private func readKernelTimes(_ channel: any Channel) {
    let this = NIOLoopBound(self, eventLoop: channel.eventLoop)
    TCPInfo.read(channel).whenSuccess {
      this.value.tracker.kernelTimes(roundTrip: $0.roundTrip, smallest: $0.smallest)
    }
  }

  private func send(_ context: ChannelHandlerContext) {
    guard !sent else { return }
    sent = true
    let head = HTTPRequestHead(
      version: .http1_1, method: .POST, uri: request.path,
      headers: HTTPHeaders(request.headers.map { ($0.name, $0.value) }))
    context.write(wrapOutboundOut(.head(head)), promise: nil)
    context.write(wrapOutboundOut(.body(.byteBuffer(ByteBuffer(bytes: request.body)))), promise: nil)
    let written = context.eventLoop.makePromise(of: Void.self)
    let this = NIOLoopBound(self, eventLoop: context.eventLoop)
    written.futureResult.whenSuccess { this.value.tracker.stamp(.written, at: monotonicNow()) }
    context.writeAndFlush(wrapOutboundOut(.end(nil)), promise: written)
  }

  /// Sends another request on the same connection. Its phases begin with writing.
  func again(
    _ request: ProbeRequest, tracker: AnswerTracker, channel: any Channel,
    finished: EventLoopPromise<Finished>
  ) {
    guard let context = try? channel.pipeline.syncOperations.context(handler: self), channel.isActive else {
      var tracker = tracker
      tracker.fail(.missed, Self.closed)
      tracker.end(at: monotonicNow())
      finished.succeed(Finished(record: tracker.record, retryAfter: nil, isReusable: false))
      return
    }
    self.request = request
    var tracker = tracker
    tracker.connected(peer: self.tracker.record.peer, tlsVersion: self.tracker.record.tlsVersion)
    self.tracker = tracker
    self.finished = finished
    keepsAlive = true
    sent = false
    readKernelTimes(channel)
    send(context)
  }

  // MARK: The answer

  func channelRead(context: ChannelHandlerContext, data: NIOAny) {
    guard finished != nil else { return }
    switch unwrapInboundIn(data) {
    case .head(let head):
      keepsAlive = head.isKeepAlive
      tracker.head(head, at: arrivals.lastRead)
    case .body(let buffer):
      if tracker.body(buffer.readableBytesView, at: arrivals.lastRead) {
        end(context.channel, reusable: false)
      } else if tracker.endMark != nil, alarm == nil {
        let this = NIOLoopBound((handler: self, channel: context.channel), eventLoop: context.eventLoop)
        alarm = context.eventLoop.scheduleTask(in: Self.patience) {
          this.value.handler.end(this.value.channel, reusable: false)
        }
      }
    case .end: end(context.channel, reusable: keepsAlive, at: arrivals.lastRead)
    }
  }

  func errorCaught(context: ChannelHandlerContext, error: any Error) {
    switch error {
    // The connection ended within the body, which is the connection's fault.
    case HTTPParserError.invalidEOFState: failForEnd()
    case is HTTPParserError: tracker.fail(.malformed, "no HTTP: \(error)")
    case _ where isStale: tracker.fail(.missed, Self.closed)
    case is NIOSSLError, is BoringSSLError, is NIOSSLExtraError:
      tracker.fail(sent ? .reset : .tls, NetworkProblem.words(error))
    default: tracker.fail(.reset, NetworkProblem.words(error))
    }
    end(context.channel, reusable: false)
  }

  func channelInactive(context: ChannelHandlerContext) {
    if finished != nil {
      failForEnd()
      end(context.channel, reusable: false)
    }
    context.fireChannelInactive()
  }

  /// What it means that the connection ends now.
  private func failForEnd() {
    if isStale {
      tracker.fail(.missed, Self.closed)
    } else if isSecure, !sent {
      tracker.fail(.tls, "the connection ended within the TLS handshake")
    } else if tracker.isSuccess, tracker.phases[.firstEvent] != nil {
      tracker.fail(.truncated, "the connection ended within the answer")
    } else {
      tracker.fail(.reset, "the connection ended before the answer")
    }
  }

  /// Whether this is a second request without a byte of an answer.
  private var isStale: Bool { tracker.record.key.ordinal > 0 && tracker.phases[.headers] == nil }

  /// Ends the probe from outside: too late, or not wanted any more.
  func abandon(_ outcome: ProbeOutcome, _ detail: String, channel: any Channel) {
    tracker.fail(outcome, detail)
    end(channel, reusable: false)
  }

  private func end(_ channel: any Channel, reusable: Bool, at time: Int64 = monotonicNow()) {
    guard let promise = finished else { return }
    finished = nil
    alarm?.cancel()
    alarm = nil
    // Where nothing but its end mark ended the answer, that was its end.
    let time = (reusable ? nil : tracker.endMark) ?? time
    let this = NIOLoopBound(self, eventLoop: channel.eventLoop)
    // The kernel's figures are asked for before the connection goes.
    let info =
      channel.isActive ? TCPInfo.read(channel) : channel.eventLoop.makeSucceededFuture(TCPInfo())
    info.whenSuccess { info in
      let this = this.value
      this.tracker.kernelTimes(roundTrip: info.roundTrip, smallest: info.smallest)
      this.tracker.end(at: time)
      promise.succeed(
        Finished(record: this.tracker.record, retryAfter: this.tracker.retryAfter, isReusable: reusable))
      if !reusable { channel.close(promise: nil) }
    }
  }
}
