import NIOCore
import NIOHTTP1

/// A request's head that is not valid.
struct InvalidHead: Error, CustomStringConvertible {
  var description: String
}

/// Keeps the rules about a request's version and host, which the types further on no longer have.
///
/// A client of HTTP/1.0 knows no chunks: the end of its answer is the end of the connection.
/// Stands between the HTTP decoder and the codec to those types. Not thread-safe: it lives on its connection's event
/// loop.
final class HeadRules: ChannelDuplexHandler, RemovableChannelHandler {
  typealias InboundIn = HTTPServerRequestPart
  typealias InboundOut = HTTPServerRequestPart
  typealias OutboundIn = HTTPServerResponsePart
  typealias OutboundOut = HTTPServerResponsePart

  private let guardian: ConnectionGuard
  /// Of requests whose answers are not all written: those that are older than HTTP/1.1, and their versions.
  private var olderVersions: [HTTPVersion?] = []

  init(_ guardian: ConnectionGuard) { self.guardian = guardian }

  func channelRead(context: ChannelHandlerContext, data: NIOAny) {
    if case .head(let head) = unwrapInboundIn(data) {
      if let problem = Self.problem(with: head) {
        context.fireErrorCaught(InvalidHead(description: problem))
        return
      }
      let older = Self.isOlder(head.version) ? head.version : nil
      olderVersions.append(older)
      if older != nil { guardian.nextRequestIsTheLast() }
    }
    context.fireChannelRead(data)
  }

  private static func isOlder(_ version: HTTPVersion) -> Bool {
    (version.major, version.minor) < (1, 1)
  }

  private static func problem(with head: HTTPRequestHead) -> String? {
    let hosts = head.headers["host"].count
    if hosts > 1 { return "there are \(hosts) Host headers, of which a proxy may have seen another one" }
    if hosts == 0, !isOlder(head.version) { return "there is no Host header" }
    return nil
  }

  func write(context: ChannelHandlerContext, data: NIOAny, promise: EventLoopPromise<Void>?) {
    var part = unwrapOutboundIn(data)
    switch part {
    case .head(var head):
      if case .some(.some(let version)) = olderVersions.first {
        head.version = version
        head.headers.replaceOrAdd(name: "connection", value: "close")
        part = .head(head)
      }
    case .end: if !olderVersions.isEmpty { olderVersions.removeFirst() }
    case .body: break
    }
    context.write(wrapOutboundOut(part), promise: promise)
  }
}
