import Foundation
import LatencyStudy
import NIOCore
import NIOHTTP1

/// Answers the requests of one connection, one after the other. On the event loop only.
final class EmulatorHandler: ChannelInboundHandler {
  typealias InboundIn = HTTPServerRequestPart
  typealias OutboundOut = HTTPServerResponsePart

  private static let maxBody = 1 << 20

  private let state: EmulationState
  private let log: RequestLog
  private var head: HTTPRequestHead?
  private var body: [UInt8] = []
  private var isTooLarge = false
  /// Of the answer that is being written; nil between answers.
  private var running: Running?
  /// Whether the last answer stopped and will never end: nothing but the client ends this connection.
  private var isStalled = false

  /// A request that is being looked at.
  private struct Call {
    var head: HTTPRequestHead
    /// Without a query.
    var path: String
    var isBedrock: Bool
    var entry: RequestLog.Entry
    /// Seconds to hold a short answer back.
    var delay = 0.0
  }

  private struct Running {
    var entries: ArraySlice<AnswerScript.Entry>
    var entry: RequestLog.Entry
    var started: NIODeadline
    var keepsAlive: Bool
  }

  init(_ state: EmulationState, log: RequestLog) {
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
      let received = EmulationState.monotonicNow()
      guard let head else { return }
      self.head = nil
      let path = String(head.uri.prefix { $0 != "?" })
      var call = Call(
        head: head, path: path, isBedrock: EmulatedRequest.isBedrock(path: path),
        entry: RequestLog.Entry(id: state.nextID(), source: "", region: "", api: "", received: received))
      do throws(EmulatedRequest.Refusal) {
        if isTooLarge { throw .init(status: 413, message: "the body is larger than 1 MiB") }
        try answer(context, &call)
      } catch { refuse(context, call, error) }
    }
  }

  private func answer(
    _ context: ChannelHandlerContext, _ call: inout Call
  ) throws(EmulatedRequest.Refusal) {
    let request = try EmulatedRequest(method: call.head.method.rawValue, path: call.head.uri, body: body)
    if request.kind == .clock {
      let emulated = state.emulated
      return respond(
        context, call, 200,
        Array(
          "{\"acceleration\":\(emulated.acceleration),\"name\":\"\(emulated.name)\",\"time\":\(state.time)}"
            .utf8))
    }
    guard let roundTrip = state.emulated.roundTrip(request.source, request.region),
      let site = state.site(request.region)
    else {
      throw .init(
        status: 404,
        message:
          "no source \"\(request.source.prefix(100))\" or no region \"\(request.region.prefix(100))\" among the emulated regions"
      )
    }
    call.entry.source = request.source
    call.entry.region = request.region
    call.entry.roundTrip = roundTrip
    call.delay = state.isDelayedOutside ? 0 : roundTrip
    let headers = call.head.headers.map { (name: $0.name.lowercased(), value: $0.value) }
    if let refusal = state.keys.refusal(
      request, method: call.head.method.rawValue, path: call.path, headers: headers, body: body)
    {
      throw refusal
    }
    guard case .completion(let api) = request.kind else {
      return respond(
        context, call, 200, Array(#"{"object":"list","data":[{"id":"emulated","object":"model"}]}"#.utf8))
    }
    let arrival = state.arrive(request, site: site, roundTrip: roundTrip, at: call.entry.received)
    call.delay = arrival.delay
    call.entry.api = api.rawValue
    call.entry.tokens = request.tokens
    call.entry.fault = arrival.fault?.rawValue
    if let refusal = arrival.fault?.refusal { throw refusal }
    guard let visit = arrival.visit else {
      throw .init(status: 503, message: "\(site.queue) requests wait already; try again later")
    }
    call.entry.wait = visit.wait
    call.entry.service = visit.prefill
    call.entry.ahead = visit.ahead
    stream(
      context, call, api,
      AnswerScript(request, api, visit: visit, start: visit.wait + call.delay, fault: arrival.fault))
  }

  private func stream(
    _ context: ChannelHandlerContext, _ call: Call, _ api: Target.API, _ script: AnswerScript
  ) {
    running = Running(
      entries: script.entries[...], entry: call.entry,
      started: .uptimeNanoseconds(UInt64(call.entry.received)), keepsAlive: call.head.isKeepAlive)
    var fields = HTTPHeaders([
      ("content-type", api.isBedrock ? "application/vnd.amazon.eventstream" : "text/event-stream"),
      ("transfer-encoding", "chunked"), ("x-request-id", call.entry.id),
      ("x-amzn-requestid", call.entry.id),
    ])
    if !call.head.isKeepAlive { fields.add(name: "connection", value: "close") }
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
      if entry.isFirstContent { running?.entry.firstContent = EmulationState.monotonicNow() }
      running?.entry.written += entry.tokens
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
    case .stall:
      isStalled = true
      finish(context)
    }
  }

  private func finish(_ context: ChannelHandlerContext) {
    guard var entry = running?.entry else { return }
    entry.ended = EmulationState.monotonicNow()
    log.write(entry)
    running = nil
  }

  func channelInactive(context: ChannelHandlerContext) {
    finish(context)
    context.fireChannelInactive()
  }

  /// A connection that says nothing, and waits for nothing.
  func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
    if event is IdleStateHandler.IdleStateEvent, running == nil, !isStalled { context.close(promise: nil) }
    context.fireUserInboundEventTriggered(event)
  }

  func errorCaught(context: ChannelHandlerContext, error: any Error) { context.close(promise: nil) }

  // MARK: Short answers

  /// Logged when it goes out, which is after the round trip.
  private func refuse(_ context: ChannelHandlerContext, _ call: Call, _ refusal: EmulatedRequest.Refusal) {
    state.noteRefusal()
    let bound = NIOLoopBound((self, context), eventLoop: context.eventLoop)
    let answer = NIOLoopBound(call, eventLoop: context.eventLoop)
    let due =
      NIODeadline.uptimeNanoseconds(UInt64(call.entry.received)) + .nanoseconds(Int64(call.delay * 1e9))
    context.eventLoop.scheduleTask(deadline: due) {
      let (this, context) = bound.value
      var call = answer.value
      this.respond(
        context, call, refusal.status, refusal.body(isBedrock: call.isBedrock),
        refusal.headers(isBedrock: call.isBedrock))
      call.entry.status = refusal.status
      call.entry.ended = EmulationState.monotonicNow()
      this.log.write(call.entry)
    }
  }

  private func respond(
    _ context: ChannelHandlerContext, _ call: Call, _ status: Int, _ body: [UInt8],
    _ more: [(String, String)] = []
  ) {
    guard context.channel.isActive else { return }
    var headers = HTTPHeaders(
      [
        ("content-type", "application/json"), ("content-length", "\(body.count)"),
        ("x-request-id", call.entry.id), ("x-amzn-requestid", call.entry.id),
      ] + more)
    if !call.head.isKeepAlive { headers.add(name: "connection", value: "close") }
    context.write(
      wrapOutboundOut(
        .head(
          HTTPResponseHead(
            version: .http1_1, status: HTTPResponseStatus(statusCode: status), headers: headers))),
      promise: nil)
    context.write(
      wrapOutboundOut(.body(.byteBuffer(context.channel.allocator.buffer(bytes: body)))), promise: nil)
    context.writeAndFlush(wrapOutboundOut(.end(nil)), promise: nil)
    if !call.head.isKeepAlive { context.close(promise: nil) }
  }
}
