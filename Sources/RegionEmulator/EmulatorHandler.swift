import Foundation
import NIOCore
import NIOHTTP1

/// Answers the requests of one connection, one after the other. On the event loop only.
final class EmulatorHandler: ChannelInboundHandler {
  typealias InboundIn = HTTPServerRequestPart
  typealias OutboundOut = HTTPServerResponsePart

  private static let maxBody = 1 << 20

  private let state: SkyState
  private let log: RequestLog
  private var head: HTTPRequestHead?
  private var body: [UInt8] = []
  private var isTooLarge = false
  /// Of the answer that is being written; nil between answers.
  private var running: Running?

  private struct Running {
    var entries: ArraySlice<AnswerScript.Entry>
    var entry: RequestLog.Entry
    var started: NIODeadline
    var keepsAlive: Bool
  }

  init(_ state: SkyState, log: RequestLog) {
    self.state = state
    self.log = log
  }

  func channelRead(context: ChannelHandlerContext, data: NIOAny) {
    switch unwrapInboundIn(data) {
    case .head(let head):
      self.head = head
      body = []
      isTooLarge = false
    case .body(let buffer):
      if body.count + buffer.readableBytes > Self.maxBody {
        isTooLarge = true
      } else {
        body += buffer.readableBytesView
      }
    case .end:
      let received = SkyState.monotonicNow()
      guard let head else { return }
      self.head = nil
      if isTooLarge {
        return refuse(
          context, head,
          .init(status: 413, type: "invalid_request_error", message: "the body is larger than 1 MiB"))
      }
      do {
        try answer(
          context, head, try EmulatedRequest(method: head.method.rawValue, path: head.uri, body: body),
          received)
      } catch { refuse(context, head, error) }
    }
  }

  private func answer(
    _ context: ChannelHandlerContext, _ head: HTTPRequestHead, _ request: EmulatedRequest, _ received: Int64
  ) throws(EmulatedRequest.Refusal) {
    if request.kind == .clock {
      let sky = state.sky
      return respond(
        context, head, 200,
        Array("{\"acceleration\":\(sky.acceleration),\"name\":\"\(sky.name)\",\"time\":\(state.time)}".utf8))
    }
    guard let roundTrip = state.sky.roundTrip(request.source, request.region),
      let site = state.site(request.region)
    else {
      throw .init(
        status: 404, type: "not_found_error",
        message:
          "no source \"\(request.source.prefix(100))\" or no region \"\(request.region.prefix(100))\" in this sky"
      )
    }
    let headers = head.headers.map { (name: $0.name.lowercased(), value: $0.value) }
    let path = String(head.uri.prefix { $0 != "?" })
    if let refusal = state.keys.refusal(
      request, method: head.method.rawValue, path: path, headers: headers, body: body)
    {
      throw refusal
    }
    guard case .completion(let api) = request.kind else {
      return respond(
        context, head, 200, Array(#"{"object":"list","data":[{"id":"emulated","object":"model"}]}"#.utf8))
    }
    let (number, visit, fault) = state.arrive(request, site: site, at: received)
    let id = "\(state.sky.name)-\(number)"
    let refusal: EmulatedRequest.Refusal? =
      switch fault {
      case .throttle:
        .init(status: 429, type: "ThrottlingException", message: "Too many requests, please wait.")
      case .error: .init(status: 500, type: "InternalServerException", message: "An emulated failure.")
      case .unavailable: .init(status: 503, type: "ServiceUnavailableException", message: "Not available.")
      case .forbidden:
        .init(status: 403, type: "AccessDeniedException", message: "You may not use this model.")
      default: nil
      }
    let outside = state.isDelayedOutside ? 0 : roundTrip
    var entry = RequestLog.Entry(
      id: id, source: request.source, region: request.region, api: api.rawValue, tokens: request.tokens,
      received: received, wait: visit.wait, service: visit.prefill, roundTrip: roundTrip, ahead: visit.ahead,
      fault: fault?.rawValue)
    if let refusal {
      entry.ended = SkyState.monotonicNow()
      log.write(entry)
      return refuse(context, head, refusal, id: id, after: outside)
    }
    let script = AnswerScript(request, api, visit: visit, start: visit.wait + outside, fault: fault)
    running = Running(
      entries: script.entries[...], entry: entry, started: .uptimeNanoseconds(UInt64(received)),
      keepsAlive: head.isKeepAlive)
    var fields = HTTPHeaders([
      ("content-type", api.isBedrock ? "application/vnd.amazon.eventstream" : "text/event-stream"),
      ("transfer-encoding", "chunked"), ("x-request-id", id), ("x-amzn-requestid", id),
    ])
    if !head.isKeepAlive { fields.add(name: "connection", value: "close") }
    // It goes out with the first piece.
    context.write(
      wrapOutboundOut(.head(HTTPResponseHead(version: .http1_1, status: .ok, headers: fields))), promise: nil)
    step(context)
  }

  // MARK: Writing as the script says

  private func step(_ context: ChannelHandlerContext) {
    while let running, let next = running.entries.first {
      let due = running.started + .nanoseconds(Int64(next.time * 1e9))
      if due > .now() {
        let this = NIOLoopBound((self, context), eventLoop: context.eventLoop)
        context.eventLoop.scheduleTask(deadline: due) { this.value.0.step(this.value.1) }
        return
      }
      self.running?.entries.removeFirst()
      perform(next, context)
    }
  }

  private func perform(_ entry: AnswerScript.Entry, _ context: ChannelHandlerContext) {
    guard context.channel.isActive else { return finish(context) }
    switch entry.step {
    case .bytes(let bytes):
      let buffer = context.channel.allocator.buffer(bytes: bytes)
      if entry.isFirstContent { running?.entry.firstContent = SkyState.monotonicNow() }
      context.writeAndFlush(wrapOutboundOut(.body(.byteBuffer(buffer))), promise: nil)
    case .end:
      let keepsAlive = running?.keepsAlive ?? false
      finish(context)
      context.writeAndFlush(wrapOutboundOut(.end(nil)), promise: nil)
      if !keepsAlive { context.close(promise: nil) }
    case .reset:
      finish(context)
      if let provider = context.channel as? any SocketOptionProvider {
        provider.setSoLinger(linger(l_onoff: 1, l_linger: 0)).assumeIsolated().whenComplete { _ in
          context.close(promise: nil)
        }
      } else {
        context.close(promise: nil)
      }
    case .stall: finish(context)
    }
  }

  private func finish(_ context: ChannelHandlerContext) {
    guard var entry = running?.entry else { return }
    entry.ended = SkyState.monotonicNow()
    log.write(entry)
    running = nil
  }

  func channelInactive(context: ChannelHandlerContext) {
    finish(context)
    context.fireChannelInactive()
  }

  /// A connection that says nothing, and waits for nothing.
  func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
    if event is IdleStateHandler.IdleStateEvent, running == nil { context.close(promise: nil) }
    context.fireUserInboundEventTriggered(event)
  }

  func errorCaught(context: ChannelHandlerContext, error: any Error) { context.close(promise: nil) }

  // MARK: Short answers

  private func refuse(
    _ context: ChannelHandlerContext, _ head: HTTPRequestHead, _ refusal: EmulatedRequest.Refusal,
    id: String = "",
    after delay: Double = 0
  ) {
    var headers = [("x-amzn-errortype", refusal.type), ("x-request-id", id), ("x-amzn-requestid", id)]
    if refusal.status == 429 { headers.append(("retry-after", "1")) }
    let answer = { (this: EmulatorHandler, context: ChannelHandlerContext) in
      this.respond(context, head, refusal.status, EmulatedRequest.body(refusal), headers)
    }
    guard delay > 0 else { return answer(self, context) }
    let bound = NIOLoopBound((self, context, answer), eventLoop: context.eventLoop)
    context.eventLoop.scheduleTask(in: .nanoseconds(Int64(delay * 1e9))) {
      let (this, context, answer) = bound.value
      answer(this, context)
    }
  }

  private func respond(
    _ context: ChannelHandlerContext, _ head: HTTPRequestHead, _ status: Int, _ body: [UInt8],
    _ more: [(String, String)] = []
  ) {
    guard context.channel.isActive else { return }
    var headers = HTTPHeaders([("content-type", "application/json"), ("content-length", "\(body.count)")])
    for (name, value) in more where !value.isEmpty { headers.add(name: name, value: value) }
    if !head.isKeepAlive { headers.add(name: "connection", value: "close") }
    context.write(
      wrapOutboundOut(
        .head(
          HTTPResponseHead(
            version: .http1_1, status: HTTPResponseStatus(statusCode: status), headers: headers))),
      promise: nil)
    context.write(
      wrapOutboundOut(.body(.byteBuffer(context.channel.allocator.buffer(bytes: body)))), promise: nil)
    context.writeAndFlush(wrapOutboundOut(.end(nil)), promise: nil)
    if !head.isKeepAlive { context.close(promise: nil) }
  }
}
