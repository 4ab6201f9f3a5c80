import NIOCore

#if canImport(Glibc)
  import Glibc
#elseif canImport(Musl)
  import Musl
#elseif canImport(Darwin)
  import Darwin
#endif

/// What befalls a listener.
public enum AcceptEvent: Hashable, Sendable {
  /// A connection waits for which the system has no room, usually for want of file descriptors. Said at each attempt;
  /// `isFirst` since connections were last accepted without trouble.
  case failed(reason: String, isFirst: Bool)
  /// None has failed for a while.
  case recovered

  /// For people; nil where it was said before.
  public var notice: String? {
    switch self {
    case .failed(let reason, isFirst: true):
      "cannot accept connections: \(reason); trying again until it can"
        + " (close some, or raise the limit: ulimit -n, LimitNOFILE)"
    case .failed: nil
    case .recovered: "accepts connections again"
    }
  }
}

/// Makes a listener pause when the system has no room for another connection.
///
/// SwiftNIO would ask again at once and for ever: the connection that waits keeps the socket readable, and a processor
/// busy. Stands first in the listener's pipeline.
public final class AcceptPause: ChannelInboundHandler, RemovableChannelHandler {
  public typealias InboundIn = any Channel
  public typealias InboundOut = any Channel

  /// Until the next attempt.
  public static let pause = TimeAmount.milliseconds(200)
  /// Without a failure for so long, the trouble is over.
  public static let calm = TimeAmount.seconds(5)

  private static let shortages: Set<Int32> = [EMFILE, ENFILE, ENOBUFS, ENOMEM]

  private let onEvent: @Sendable (AcceptEvent) -> Void
  private var attempt: Scheduled<Void>?
  private var recovery: Scheduled<Void>?

  /// - Parameter onEvent: called on the listener's event loop, so it must return quickly
  public init(onEvent: @escaping @Sendable (AcceptEvent) -> Void) { self.onEvent = onEvent }

  public func errorCaught(context: ChannelHandlerContext, error: any Error) {
    guard let error = error as? IOError, Self.shortages.contains(error.errnoCode) else {
      return context.fireErrorCaught(error)
    }
    stopReading(context)
    onEvent(.failed(reason: String(cString: strerror(error.errnoCode)), isFirst: recovery == nil))
    recovery?.cancel()
    let bound = NIOLoopBound((self, context), eventLoop: context.eventLoop)
    recovery = context.eventLoop.scheduleTask(in: Self.calm) {
      bound.value.0.recovery = nil
      bound.value.0.onEvent(.recovered)
    }
    guard attempt == nil else { return }
    attempt = context.eventLoop.scheduleTask(in: Self.pause) {
      let (this, context) = bound.value
      this.attempt = nil
      try? context.channel.syncOptions?.setOption(.autoRead, value: true)
    }
  }

  /// Whoever asks for the next connection meanwhile has switched reading on again, whatever the option says.
  private func stopReading(_ context: ChannelHandlerContext) {
    try? context.channel.syncOptions?.setOption(.autoRead, value: true)
    try? context.channel.syncOptions?.setOption(.autoRead, value: false)
  }

  public func handlerRemoved(context: ChannelHandlerContext) {
    attempt?.cancel()
    recovery?.cancel()
  }
}
