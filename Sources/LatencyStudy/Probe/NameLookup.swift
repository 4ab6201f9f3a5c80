import Foundation
import NIOCore
import NIOPosix

/// Names to addresses with the system's resolver, on threads that may block.
struct NameLookup: Sendable {
  struct Failed: Error, CustomStringConvertible {
    let description: String
  }

  /// Addresses of one name that are tried, in the resolver's order.
  private static let maxAddresses = 4
  let threads: NIOThreadPool

  /// - Returns: nil for what is an address already
  static func literal(_ host: String, port: Int) -> SocketAddress? {
    try? SocketAddress(ipAddress: host, port: port)
  }

  func addresses(_ host: String, port: Int, on loop: any EventLoop) -> EventLoopFuture<[SocketAddress]> {
    threads.runIfActive(eventLoop: loop) { try Self.resolve(host, port: port) }
  }

  private static func resolve(_ host: String, port: Int) throws -> [SocketAddress] {
    var hints = addrinfo()
    #if canImport(Darwin)
      hints.ai_socktype = SOCK_STREAM
    #else
      hints.ai_socktype = Int32(SOCK_STREAM.rawValue)
    #endif
    var list: UnsafeMutablePointer<addrinfo>?
    let code = getaddrinfo(host, String(port), &hints, &list)
    guard code == 0 else {
      throw Failed(description: "\(host): \(String(cString: gai_strerror(code)))")
    }
    defer { freeaddrinfo(list) }
    var result: [SocketAddress] = []
    var next = list
    while let entry = next, result.count < maxAddresses {
      defer { next = entry.pointee.ai_next }
      guard let address = entry.pointee.ai_addr else { continue }
      switch entry.pointee.ai_family {
      case AF_INET:
        address.withMemoryRebound(to: sockaddr_in.self, capacity: 1) {
          result.append(SocketAddress($0.pointee, host: host))
        }
      case AF_INET6:
        address.withMemoryRebound(to: sockaddr_in6.self, capacity: 1) {
          result.append(SocketAddress($0.pointee, host: host))
        }
      default: continue
      }
    }
    guard !result.isEmpty else { throw Failed(description: "\(host) has no address") }
    return result
  }
}
