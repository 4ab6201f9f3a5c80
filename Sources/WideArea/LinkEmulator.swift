import Failures
import NIOCore
import NIOPosix
import NetworkProblems
import Sockets
import Synchronization

#if canImport(Glibc)
  import Glibc
#elseif canImport(Musl)
  import Musl
#elseif canImport(Darwin)
  import Darwin
#endif

/// A TCP proxy that imposes a `LinkModel` on real traffic.
///
/// It accepts connections, dials the other end for each, and hands bytes on at the time that the model says.
/// The ends see what they would see over a wide-area link:
/// - *Establishment.* The accepting kernel completes the handshake at once, but bytes are read only after the
///   time a handshake takes: the far end is dialled when the SYN would arrive, the near end is heard one
///   round trip after it connected, the far end when the third part of the handshake would arrive.
/// - *Endings.* Half-close and reset travel like data. When the far end refuses, the near end is reset after
///   the round trip.
/// - *Windows.* A direction of a connection holds at most `bufferLimit` bytes (and up to 1 MiB: what one turn
///   of the event loop reads, and what the socket still has when the sender ends); then it stops reading, as a full TCP window would. That limits a connection
///   to `bufferLimit` per one-way delay.
///
/// One event loop thread does everything, at raised priority when the system permits, since it shares the
/// machine with models that keep every core busy. Its own lateness is measured: `LinkSnapshot.error`.
public final class LinkEmulator: Sendable {
  /// Where the emulator listens and dials, and what it imposes.
  public struct Configuration: Sendable {
    public var listenHost: String
    /// 0 lets the system choose.
    public var listenPort: Int
    public var connectHost: String
    public var connectPort: Int
    public var model: LinkModel
    /// Bytes that one direction of one connection may hold before it stops reading.
    public var bufferLimit: Int
    /// Whether to ask for a better scheduling priority for the emulator's thread.
    public var raisesPriority: Bool

    public static let defaultBufferLimit = 8 << 20

    public init(
      listenHost: String = "127.0.0.1", listenPort: Int = 0, connectHost: String = "127.0.0.1",
      connectPort: Int, model: LinkModel, bufferLimit: Int = Configuration.defaultBufferLimit,
      raisesPriority: Bool = true
    ) {
      self.listenHost = listenHost
      self.listenPort = listenPort
      self.connectHost = connectHost
      self.connectPort = connectPort
      self.model = model
      self.bufferLimit = bufferLimit
      self.raisesPriority = raisesPriority
    }

    /// The first thing wrong, as a sentence that names the field; nil when valid.
    public var problem: String? {
      if !(0...65_535).contains(listenPort) {
        return "the port to listen on must be between 0 and 65535, not \(listenPort)"
      }
      if !(1...65_535).contains(connectPort) {
        return "the port to connect to must be between 1 and 65535, not \(connectPort)"
      }
      if !(4096...(1 << 30)).contains(bufferLimit) {
        return "the buffer limit must be between 4 KiB and 1 GiB, not \(bufferLimit) bytes"
      }
      return model.problem
    }
  }

  public let configuration: Configuration
  /// The port it listens on, also when 0 was asked for.
  public let port: Int
  /// What the system granted the emulator's thread.
  public let priority: ThreadPriority
  private let group: MultiThreadedEventLoopGroup
  private let core: NIOLoopBound<LinkCore>
  private let listener: any Channel
  private let stopping = Atomic(false)
  /// What was carried in all, once the emulator has stopped.
  private let final = Mutex<LinkSnapshot?>(nil)

  private init(
    configuration: Configuration, port: Int, priority: ThreadPriority, group: MultiThreadedEventLoopGroup,
    core: NIOLoopBound<LinkCore>, listener: any Channel
  ) {
    self.configuration = configuration
    self.port = port
    self.priority = priority
    self.group = group
    self.core = core
    self.listener = listener
  }

  /// Starts listening. The link's time zero, from which its outages are counted, is now.
  ///
  /// - Parameter onEvent: called on the emulator's thread, so it must return quickly.
  /// - Throws: `LinkError`.
  public static func start(
    _ configuration: Configuration, onEvent: @escaping @Sendable (LinkEvent) -> Void = { _ in }
  ) async throws -> LinkEmulator {
    if let problem = configuration.problem { throw LinkError(.invalidModel, problem) }
    let group = MultiThreadedEventLoopGroup(numberOfThreads: 1)
    do {
      let loop = group.next()
      let (core, priority) = try await loop.submit {
        let priority = configuration.raisesPriority ? ThreadPriority.raiseCurrentThread() : .ordinary
        let core = LinkCore(configuration: configuration, loop: loop, onEvent: onEvent)
        return (NIOLoopBound(core, eventLoop: loop), priority)
      }.get()
      let listener = try await ServerBootstrap(group: group)
        .serverChannelOption(.socketOption(.so_reuseaddr), value: 1)
        .serverChannelOption(.backlog, value: 256)
        .serverChannelOption(.socketOption(.so_rcvbuf), value: LinkPipe.receiveBuffer)
        .serverChannelInitializer { channel in
          channel.eventLoop.makeCompletedFuture {
            let pause = AcceptPause { event in event.notice.map { onEvent(.accepting($0)) } }
            try channel.pipeline.syncOperations.addHandler(pause)
          }
        }
        .childChannelOption(.tcpOption(.tcp_nodelay), value: 1)
        .childChannelOption(.autoRead, value: false)
        .childChannelOption(.maxMessagesPerRead, value: LinkPipe.readsPerTurn)
        .childChannelOption(.recvAllocator, value: LinkPipe.readAllocator)
        .childChannelOption(.allowRemoteHalfClosure, value: true)
        .childChannelInitializer { channel in
          channel.eventLoop.makeCompletedFuture { try core.value.accept(channel) }
        }
        .bind(host: configuration.listenHost, port: configuration.listenPort).get()
      let emulator = LinkEmulator(
        configuration: configuration, port: listener.localAddress?.port ?? configuration.listenPort,
        priority: priority, group: group, core: core, listener: listener)
      try await loop.submit { core.value.linkIsUp() }.get()
      return emulator
    } catch {
      try? await group.shutdownGracefully()
      throw Self.listenError(error, configuration)
    }
  }

  /// Carries traffic until the surrounding task is cancelled, then closes everything.
  public func run() async {
    let (forever, _) = AsyncStream<Never>.makeStream()
    for await _ in forever {}
    await stop()
  }

  /// Closes the listener and every connection; what is under way is dropped. Further calls do nothing.
  public func stop() async {
    guard stopping.exchange(true, ordering: .relaxed) == false else { return }
    listener.close(promise: nil)
    let last = try? await listener.eventLoop.submit {
      self.core.value.stop()
      return self.core.value.snapshot()
    }.get()
    final.withLock { $0 = last ?? LinkSnapshot() }
    try? await group.shutdownGracefully()
  }

  /// What was carried so far; after `stop()`, what was carried in all.
  public func snapshot() async -> LinkSnapshot {
    if let final = final.withLock({ $0 }) { return final }
    let live = try? await listener.eventLoop.submit { self.core.value.snapshot() }.get()
    return live ?? final.withLock { $0 } ?? LinkSnapshot()
  }

  private static func listenError(_ error: any Error, _ configuration: Configuration) -> LinkError {
    if let error = error as? LinkError { return error }
    let address = addressText(host: configuration.listenHost, port: configuration.listenPort)
    guard let error = error as? IOError else {
      return LinkError(.cannotListen, "cannot listen on \(address): \(NetworkProblem.words(error))")
    }
    switch error.errnoCode {
    case EADDRINUSE:
      return LinkError(
        .portInUse, "cannot listen on \(address): the port is in use",
        hint: "choose another one, or 0 to let the system choose")
    case EADDRNOTAVAIL:
      return LinkError(.cannotListen, "cannot listen on \(address): this machine has no such address")
    case EACCES:
      return LinkError(
        .cannotListen, "cannot listen on \(address): not permitted",
        hint: "ports below 1024 need privileges; choose a higher one")
    default:
      return LinkError(.cannotListen, "cannot listen on \(address): \(NetworkProblem.words(error))")
    }
  }
}
