import NIOCore

/// Ends the handshake with a TLS client that offers protocols (ALPN) of which the server speaks none, as RFC 7301 wants
/// it; SwiftNIO's TLS would go on without any. So what is meant for another server cannot be sent to this one.
///
/// Stands between the socket and the TLS handler. A client that offers nothing goes on.
public final class ApplicationProtocolCheck: ChannelInboundHandler, RemovableChannelHandler {
  public typealias InboundIn = ByteBuffer
  public typealias InboundOut = ByteBuffer
  public typealias OutboundOut = ByteBuffer

  private enum State {
    case waiting(ByteBuffer)
    case passed
    case refused
  }

  /// A fatal alert, no_application_protocol.
  private static let alert: [UInt8] = [21, 3, 3, 0, 2, 2, 120]
  /// What is longer is the TLS library's to judge.
  private static let maxBytes = 64 << 10

  private let protocols: Set<[UInt8]>
  private let onRefusal: (String) -> Void
  private var state = State.waiting(ByteBuffer())

  /// - Parameters:
  ///   - protocols: that the server speaks, by their ALPN names
  ///   - onRefusal: hears what was offered instead
  public init(_ protocols: [String], onRefusal: @escaping (String) -> Void = { _ in }) {
    self.protocols = Set(protocols.map { Array($0.utf8) })
    self.onRefusal = onRefusal
  }

  public func channelRead(context: ChannelHandlerContext, data: NIOAny) {
    switch state {
    case .passed: context.fireChannelRead(data)
    case .refused: break
    case .waiting(var bytes):
      bytes.writeImmutableBuffer(unwrapInboundIn(data))
      switch ClientHello.offers(in: bytes) {
      case .incomplete where bytes.readableBytes < Self.maxBytes:
        state = .waiting(bytes)
      case .protocols(let offered) where !offered.isEmpty && protocols.isDisjoint(with: offered):
        state = .refused
        onRefusal(offered.map { String(decoding: $0, as: UTF8.self) }.joined(separator: ", "))
        context.writeAndFlush(wrapOutboundOut(ByteBuffer(bytes: Self.alert)), promise: nil)
        context.close(promise: nil)
      default:
        state = .passed
        context.fireChannelRead(wrapInboundOut(bytes))
      }
    }
  }
}

/// The first message of a TLS client (RFC 8446, 4.1.2).
enum ClientHello {
  enum Offers {
    case incomplete
    /// Names of ALPN, none where the client has no such extension, or where these bytes are something else.
    case protocols([[UInt8]])
  }

  static func offers(in bytes: ByteBuffer) -> Offers {
    var records = bytes
    var message = ByteBuffer()
    while true {
      if let length = message.getInteger(at: message.readerIndex, as: UInt32.self) {
        guard length >> 24 == 1 else { return .protocols([]) }
        if message.readableBytes >= 4 + Int(length & 0xFF_FFFF) { break }
      }
      guard let type = records.readInteger(as: UInt8.self) else { return .incomplete }
      guard type == 22 else { return .protocols([]) }
      guard records.readInteger(as: UInt16.self) != nil,
        let fragment = records.readLengthPrefixedSlice(as: UInt16.self)
      else { return .incomplete }
      if fragment.readableBytes == 0 { return .protocols([]) }
      message.writeImmutableBuffer(fragment)
    }
    return .protocols(protocols(of: &message) ?? [])
  }

  private static func protocols(of message: inout ByteBuffer) -> [[UInt8]]? {
    // Its type and length, then a version, random bytes, session, ciphers and compression.
    guard message.readBytes(length: 4 + 2 + 32) != nil,
      message.readLengthPrefixedSlice(as: UInt8.self) != nil,
      message.readLengthPrefixedSlice(as: UInt16.self) != nil,
      message.readLengthPrefixedSlice(as: UInt8.self) != nil,
      var extensions = message.readLengthPrefixedSlice(as: UInt16.self)
    else { return nil }
    while let type = extensions.readInteger(as: UInt16.self),
      var content = extensions.readLengthPrefixedSlice(as: UInt16.self)
    {
      guard type == 16, var list = content.readLengthPrefixedSlice(as: UInt16.self) else { continue }
      var names: [[UInt8]] = []
      while let name = list.readLengthPrefixedSlice(as: UInt8.self) {
        names.append(Array(name.readableBytesView))
      }
      return names
    }
    return nil
  }
}
