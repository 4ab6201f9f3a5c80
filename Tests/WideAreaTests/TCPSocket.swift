import Foundation

#if canImport(Glibc)
  import Glibc
  private let streamType = Int32(SOCK_STREAM.rawValue)
#elseif canImport(Musl)
  import Musl
  private let streamType = SOCK_STREAM
#elseif canImport(Darwin)
  import Darwin
  private let streamType = SOCK_STREAM
#endif

// The methods below have the names of these calls.
private let systemConnect = connect as @Sendable (Int32, UnsafePointer<sockaddr>, socklen_t) -> Int32
private let systemListen = listen as @Sendable (Int32, Int32) -> Int32
#if canImport(Darwin)
  private let noSignal: Int32 = 0
#else
  private let noSignal = Int32(MSG_NOSIGNAL)
#endif

struct SocketError: Error, CustomStringConvertible {
  var call: String
  var code: Int32
  var description: String { "\(call): \(String(cString: strerror(code)))" }
}

/// A blocking TCP socket on 127.0.0.1, for the two ends of a link. Calls fail after 10 s without progress.
final class TCPSocket: Sendable {
  let descriptor: Int32

  private init(adopting descriptor: Int32) {
    self.descriptor = descriptor
    var one: Int32 = 1
    setsockopt(descriptor, Int32(IPPROTO_TCP), TCP_NODELAY, &one, socklen_t(MemoryLayout.size(ofValue: one)))
    var limit = timeval(tv_sec: 10, tv_usec: 0)
    for option in [SO_RCVTIMEO, SO_SNDTIMEO] {
      setsockopt(descriptor, SOL_SOCKET, option, &limit, socklen_t(MemoryLayout.size(ofValue: limit)))
    }
  }

  deinit { close(descriptor) }

  private static func withAddress<T>(
    _ port: Int, _ body: (UnsafePointer<sockaddr>, socklen_t) -> T
  ) -> T {
    var address = sockaddr_in()
    address.sin_family = sa_family_t(AF_INET)
    address.sin_port = in_port_t(port).bigEndian
    address.sin_addr.s_addr = UInt32(0x7F00_0001).bigEndian
    return withUnsafePointer(to: &address) {
      $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
        body($0, socklen_t(MemoryLayout<sockaddr_in>.size))
      }
    }
  }

  static func connect(to port: Int) throws -> TCPSocket {
    let made = TCPSocket(adopting: socket(AF_INET, streamType, 0))
    let result = withAddress(port) { systemConnect(made.descriptor, $0, $1) }
    if result != 0 { throw SocketError(call: "connect", code: errno) }
    return made
  }

  static func listen() throws -> TCPSocket {
    let made = TCPSocket(adopting: socket(AF_INET, streamType, 0))
    let bound = withAddress(0) { bind(made.descriptor, $0, $1) }
    let listening = systemListen(made.descriptor, 64)
    if bound != 0 || listening != 0 { throw SocketError(call: "listen", code: errno) }
    return made
  }

  /// Takes a port without listening on it, so that connections to it are refused for as long as this lives.
  static func unheard() throws -> TCPSocket {
    let made = TCPSocket(adopting: socket(AF_INET, streamType, 0))
    let bound = withAddress(0) { bind(made.descriptor, $0, $1) }
    if bound != 0 { throw SocketError(call: "bind", code: errno) }
    return made
  }

  var port: Int {
    var address = sockaddr_in()
    var size = socklen_t(MemoryLayout<sockaddr_in>.size)
    withUnsafeMutablePointer(to: &address) {
      $0.withMemoryRebound(to: sockaddr.self, capacity: 1) { _ = getsockname(descriptor, $0, &size) }
    }
    return Int(in_port_t(bigEndian: address.sin_port))
  }

  func accepted() throws -> TCPSocket {
    let new = accept(descriptor, nil, nil)
    if new < 0 { throw SocketError(call: "accept", code: errno) }
    return TCPSocket(adopting: new)
  }

  func write(_ bytes: [UInt8]) throws {
    var offset = 0
    while offset < bytes.count {
      let count = bytes.withUnsafeBytes {
        send(descriptor, $0.baseAddress! + offset, bytes.count - offset, noSignal)
      }
      if count < 0 { throw SocketError(call: "send", code: errno) }
      offset += count
    }
  }

  /// What is there, at most `limit` bytes; empty at the end of the stream.
  func readSome(_ limit: Int = 65_536) throws -> [UInt8] {
    var bytes = [UInt8](repeating: 0, count: limit)
    let count = recv(descriptor, &bytes, limit, 0)
    if count < 0 { throw SocketError(call: "recv", code: errno) }
    return Array(bytes.prefix(count))
  }

  func read(exactly count: Int) throws -> [UInt8] {
    var bytes: [UInt8] = []
    while bytes.count < count {
      let more = try readSome(count - bytes.count)
      if more.isEmpty { throw SocketError(call: "recv", code: ECONNABORTED) }
      bytes += more
    }
    return bytes
  }

  func readToEnd() throws -> [UInt8] {
    var bytes: [UInt8] = []
    while true {
      let more = try readSome()
      if more.isEmpty { return bytes }
      bytes += more
    }
  }

  func endWriting() { shutdown(descriptor, Int32(SHUT_WR)) }

  /// Closes with a reset when the last reference goes.
  func resetOnClose() {
    var option = linger(l_onoff: 1, l_linger: 0)
    setsockopt(descriptor, SOL_SOCKET, SO_LINGER, &option, socklen_t(MemoryLayout.size(ofValue: option)))
  }
}

/// Runs blocking code on a thread of its own, not on one of the few that run tasks.
func onThread<T: Sendable>(_ body: @escaping @Sendable () throws -> T) async throws -> T {
  try await withCheckedThrowingContinuation { continuation in
    Thread.detachNewThread { continuation.resume(with: Result { try body() }) }
  }
}

/// Milliseconds on the monotonic clock.
func milliseconds() -> Double { Double(DispatchTime.now().uptimeNanoseconds) / 1e6 }
