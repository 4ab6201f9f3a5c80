import HTTPTypes
import Hummingbird
import NIOCore
import NIOHTTP1
import NIOHTTPTypes
import NIOHTTPTypesHTTP1

/// Watches over one connection: bounds the time of each phase of a request, answers what is no HTTP with a proper
/// error, and notices when the client goes away.
///
/// Stands between the HTTP decoder and Hummingbird. Not thread-safe: it lives on its connection's event loop.
final class ConnectionGuard: ChannelDuplexHandler, RemovableChannelHandler {
  typealias InboundIn = HTTPRequestPart
  typealias InboundOut = HTTPRequestPart
  typealias OutboundIn = HTTPResponsePart
  typealias OutboundOut = HTTPResponsePart

  private enum Reading {
    /// Nothing of the next request has come.
    case nothing
    case head
    case body
  }

  private let connection: ClientConnection
  private let limits: GatewayLimits
  private let idle: IdleConnections
  /// Its place among the idle ones while nothing is asked or answered.
  private var idleToken: UInt64?
  private var context: ChannelHandlerContext?
  private var reading = Reading.nothing
  /// Requests whose answers are not all written.
  private var unanswered = 0
  private var isAnswering = false
  private var closesAfterAnswer = false
  /// The client expects the end of the connection after the answer of the request whose head comes next, or came.
  private var isLastRequest = false
  /// The last answer is written; whatever still comes in is dropped until the client closes its side.
  private var isClosing = false
  private var readDeadline: Scheduled<Void>?
  private var writeDeadline: Scheduled<Void>?
  private var lingerDeadline: Scheduled<Void>?

  init(connection: ClientConnection, limits: GatewayLimits, idle: IdleConnections) {
    self.connection = connection
    self.limits = limits
    self.idle = idle
  }

  func handlerAdded(context: ChannelHandlerContext) {
    self.context = context
    // A connection that never sends a request is held as briefly as one that sends it slowly.
    setReadDeadline(limits.headerTimeout, context)
    idleToken = idle.insert(context.channel)
  }

  func handlerRemoved(context: ChannelHandlerContext) {
    readDeadline?.cancel()
    writeDeadline?.cancel()
    lingerDeadline?.cancel()
    isBusy()
    self.context = nil
  }

  func channelInactive(context: ChannelHandlerContext) {
    connection.gone()
    context.fireChannelInactive()
  }

  // MARK: Inbound

  /// Bytes have come, before anything is known of them.
  func bytesArrived() {
    guard !isClosing, reading == .nothing, let context else { return }
    reading = .head
    setReadDeadline(limits.headerTimeout, context)
  }

  /// Whatever comes after the request whose head comes next is not read.
  func nextRequestIsTheLast() { isLastRequest = true }

  private func isBusy() {
    idleToken.map(idle.remove)
    idleToken = nil
  }

  func channelRead(context: ChannelHandlerContext, data: NIOAny) {
    if isClosing { return }
    switch unwrapInboundIn(data) {
    case .head(let head):
      unanswered += 1
      isBusy()
      reading = .body
      setReadDeadline(limits.bodyTimeout, context)
      if head.headerFields[.expect]?.lowercased() == "100-continue", !isAnswering, !isLastRequest {
        context.writeAndFlush(wrapOutboundOut(.head(HTTPResponse(status: .continue))), promise: nil)
      }
    case .body: break
    case .end:
      reading = .nothing
      readDeadline?.cancel()
      readDeadline = nil
    }
    context.fireChannelRead(data)
  }

  func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
    if case ChannelEvent.inputClosed = event {
      // Also a client that only closes its sending side counts as gone: the two cannot be told apart, and a
      // generation for nobody costs all others.
      connection.gone()
      if isClosing {
        context.close(promise: nil)
        return
      }
    }
    context.fireUserInboundEventTriggered(event)
  }

  func errorCaught(context: ChannelHandlerContext, error: any Error) {
    if isClosing { return }
    switch error {
    case let error as HTTPParserError:
      if case .headerOverflow = error {
        refuse(
          APIError(
            HTTPResponse.Status(code: 431, reasonPhrase: "Request Header Fields Too Large"),
            "the header has more than \(limits.headerBytes) bytes or \(limits.headerFields) fields",
            code: "header_too_large"), context)
      } else {
        refuse(.invalid("the request is not valid HTTP: \(error)", code: "invalid_http"), context)
      }
    case is HTTP1TypeConversionError, is InvalidHead:
      refuse(.invalid("the request is not valid HTTP: \(error)", code: "invalid_http"), context)
    default:
      connection.gone()
      context.close(promise: nil)
    }
  }

  // MARK: Outbound

  func write(context: ChannelHandlerContext, data: NIOAny, promise: EventLoopPromise<Void>?) {
    if isClosing {
      promise?.fail(ChannelError.ioOnClosedChannel)
      return
    }
    switch unwrapOutboundIn(data) {
    case .head(let head):
      if head.status.kind != .informational {
        isAnswering = true
        closesAfterAnswer = head.headerFields[.connection] == "close"
      }
      context.write(data, promise: promise)
    case .body:
      context.write(data, promise: promise)
    case .end:
      isAnswering = false
      unanswered -= 1
      if closesAfterAnswer || (isLastRequest && unanswered == 0) {
        context.writeAndFlush(data, promise: promise)
        finish(context)
      } else {
        if unanswered == 0, idleToken == nil { idleToken = idle.insert(context.channel) }
        context.write(data, promise: promise)
      }
    }
  }

  func channelWritabilityChanged(context: ChannelHandlerContext) {
    writeDeadline?.cancel()
    writeDeadline = nil
    if !context.channel.isWritable {
      let bound = NIOLoopBound((self, context), eventLoop: context.eventLoop)
      writeDeadline = context.eventLoop.scheduleTask(in: TimeAmount(limits.writeTimeout)) {
        let (this, context) = bound.value
        this.connection.gone()
        context.close(promise: nil)
      }
    }
    context.fireChannelWritabilityChanged()
  }

  // MARK: Ends

  private func setReadDeadline(_ time: Duration, _ context: ChannelHandlerContext) {
    readDeadline?.cancel()
    let bound = NIOLoopBound((self, context), eventLoop: context.eventLoop)
    readDeadline = context.eventLoop.scheduleTask(in: TimeAmount(time)) {
      let (this, context) = bound.value
      this.readTimedOut(time, context)
    }
  }

  private func readTimedOut(_ time: Duration, _ context: ChannelHandlerContext) {
    readDeadline = nil
    if isClosing { return }
    // A client that sends half of its next request while it still reads an answer keeps that answer.
    if isAnswering || (reading == .head && unanswered > 0) {
      setReadDeadline(time, context)
      return
    }
    switch reading {
    case .nothing:
      connection.gone()
      context.close(promise: nil)
    case .head:
      refuse(
        APIError(.requestTimeout, "the header did not come within \(time)", code: "header_timeout"), context)
    case .body:
      refuse(APIError(.requestTimeout, "the body did not come within \(time)", code: "body_timeout"), context)
    }
  }

  /// Answers with an error of the connection itself, and closes.
  private func refuse(_ error: APIError, _ context: ChannelHandlerContext) {
    guard !isAnswering else {
      connection.gone()
      context.close(promise: nil)
      return
    }
    var error = error
    error.closesConnection = true
    let body = ByteBuffer(bytes: error.body)
    var headers = error.headers
    headers[.contentLength] = String(body.readableBytes)
    context.write(
      wrapOutboundOut(.head(HTTPResponse(status: error.status, headerFields: headers))), promise: nil)
    context.write(wrapOutboundOut(.body(body)), promise: nil)
    context.writeAndFlush(wrapOutboundOut(.end(nil)), promise: nil)
    finish(context)
    connection.gone()
  }

  /// Closes this side and waits a little for the client to close its own: closing at once, with input unread, would
  /// reset the connection and could destroy the answer before the client reads it.
  private func finish(_ context: ChannelHandlerContext) {
    isClosing = true
    readDeadline?.cancel()
    readDeadline = nil
    context.close(mode: .output, promise: nil)
    let bound = NIOLoopBound(context, eventLoop: context.eventLoop)
    lingerDeadline = context.eventLoop.scheduleTask(in: .seconds(2)) { bound.value.close(promise: nil) }
  }
}

/// Tells the guard that bytes have come, before the decoder makes anything of them.
final class ByteWatch: ChannelInboundHandler, RemovableChannelHandler {
  typealias InboundIn = ByteBuffer
  typealias InboundOut = ByteBuffer

  private let guardian: ConnectionGuard

  init(_ guardian: ConnectionGuard) { self.guardian = guardian }

  func channelRead(context: ChannelHandlerContext, data: NIOAny) {
    guardian.bytesArrived()
    context.fireChannelRead(data)
  }
}
