import NIOCore

/// The kernel's round trips of a connection, microseconds; nil where the system does not tell them.
struct TCPInfo: Sendable {
  var roundTrip: Int?
  var smallest: Int?

  /// On the channel's event loop.
  static func read(_ channel: any Channel) -> EventLoopFuture<TCPInfo> {
    #if os(Linux)
      guard let provider = channel as? any SocketOptionProvider else {
        return channel.eventLoop.makeSucceededFuture(TCPInfo())
      }
      // struct tcp_info of linux/tcp.h, which is longer than glibc's: 8 bytes, then words; tcpi_rtt is at byte 68,
      // tcpi_min_rtt at 148. A kernel that knows less leaves the rest as it is.
      let words: EventLoopFuture<InlineArray<40, UInt32>> = provider.unsafeGetSocketOption(
        level: .tcp, name: NIOBSDSocket.Option(rawValue: 11))
      return words.map { words in
        TCPInfo(roundTrip: plausible(words[17]), smallest: plausible(words[37]))
      }.flatMapError { _ in channel.eventLoop.makeSucceededFuture(TCPInfo()) }
    #else
      return channel.eventLoop.makeSucceededFuture(TCPInfo())
    #endif
  }

  /// 0 and all ones stand for "not measured".
  private static func plausible(_ value: UInt32) -> Int? { value == 0 || value == .max ? nil : Int(value) }
}
