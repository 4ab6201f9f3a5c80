import Failures
import Foundation
import NIOCore
import NIOHTTP1
import NIOPosix
import NetworkProblems
import Sockets

/// Servers of model APIs whose truth is known: OpenAI's and Bedrock's streams behind queues that have days and faults.
///
/// Answers come as late as the queue and the pair's round trip say. Without a network that delays (`DelayedNetwork`),
/// each answer is delayed by the whole round trip, so times to first token are right and handshakes are those of this
/// machine.
public final class RegionEmulator: Sendable {
  /// Counts since the start.
  public struct Statistics: Sendable, Equatable {
    /// For tokens, from those who may ask.
    public var requests: Int
    /// Answers with a status other than 200, emulated ones among them.
    public var refusals: Int
    /// Requests that met one.
    public var faults: Int
    /// Open now, and not let in.
    public var connections: Int
    public var connectionsRefused: Int
    /// Lines of the log that the disk did not take.
    public var logLinesLost: Int
  }

  public let port: Int
  private let channel: any Channel
  private let group: MultiThreadedEventLoopGroup
  private let state: EmulationState
  private let log: RequestLog

  /// Connections that wait for a first request longer than this, or idle, are closed.
  private static let idle = TimeAmount.seconds(120)

  /// - Parameters:
  ///   - port: 0 takes a free one
  ///   - log: a file that gets a JSON line for each request
  ///   - isDelayedOutside: whether a `DelayedNetwork` stands between
  ///   - maxConnections: at one time; more are closed at once
  ///   - notice: hears, in words, when connections cannot be accepted, and when they can be again
  /// - Throws: `EmulatorError`
  public static func start(
    _ emulated: EmulatedRegions, host: String, port: Int, log path: String?, isDelayedOutside: Bool = false,
    maxConnections: Int = 10_000, notice: @escaping @Sendable (String) -> Void = { _ in }
  ) async throws -> RegionEmulator {
    let log = try RequestLog(path)
    let state = EmulationState(emulated, isDelayedOutside: isDelayedOutside)
    let group = MultiThreadedEventLoopGroup(numberOfThreads: 1)
    do {
      let channel = try await ServerBootstrap(group: group)
        .serverChannelOption(.backlog, value: 4096)
        .serverChannelOption(.socketOption(.so_reuseaddr), value: 1)
        .serverChannelInitializer { channel in
          channel.eventLoop.makeCompletedFuture {
            let pause = AcceptPause { event in event.notice.map(notice) }
            try channel.pipeline.syncOperations.addHandler(pause)
          }
        }
        .childChannelOption(.tcpOption(.tcp_nodelay), value: 1)
        .childChannelInitializer { channel in
          guard state.connected(limit: maxConnections) else { return channel.close() }
          channel.closeFuture.whenComplete { _ in state.disconnected() }
          return channel.eventLoop.makeCompletedFuture {
            let pipeline = channel.pipeline.syncOperations
            try pipeline.configureHTTPServerPipeline(withPipeliningAssistance: true, withErrorHandling: true)
            try pipeline.addHandler(IdleStateHandler(allTimeout: idle))
            try pipeline.addHandler(EmulatorHandler(state, log: log))
          }
        }
        .bind(host: host, port: port).get()
      return RegionEmulator(channel, group, state, log)
    } catch {
      try? await group.shutdownGracefully()
      await log.close()
      throw EmulatorError(
        "cannot listen on \(addressText(host: host, port: port)): \(NetworkProblem.words(error))")
    }
  }

  private init(
    _ channel: any Channel, _ group: MultiThreadedEventLoopGroup, _ state: EmulationState, _ log: RequestLog
  ) {
    self.channel = channel
    self.group = group
    self.state = state
    self.log = log
    port = channel.localAddress?.port ?? 0
  }

  /// Requests for tokens so far.
  public var requests: Int { statistics.requests }

  public var statistics: Statistics {
    var statistics = state.statistics
    statistics.logLinesLost = log.lost
    return statistics
  }

  /// Ends all connections; returns when the log is complete.
  public func stop() async {
    try? await channel.close()
    try? await group.shutdownGracefully()
    await log.close()
  }
}
