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

/// A port of 127.0.0.1 that refuses connections for as long as this lives: it is taken, and nobody listens. Or the system
/// takes connections there, and nobody ever reads from them.
final class UnheardPort: Sendable {
  let port: Int
  private let descriptor: Int32

  init(accepts: Bool = false) throws {
    let descriptor = socket(AF_INET, streamType, 0)
    var address = sockaddr_in()
    address.sin_family = sa_family_t(AF_INET)
    address.sin_addr.s_addr = UInt32(0x7F00_0001).bigEndian
    var size = socklen_t(MemoryLayout<sockaddr_in>.size)
    let isBound = withUnsafeMutablePointer(to: &address) {
      $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
        bind(descriptor, $0, size) == 0 && getsockname(descriptor, $0, &size) == 0
          && (!accepts || listen(descriptor, 64) == 0)
      }
    }
    self.descriptor = descriptor
    port = Int(in_port_t(bigEndian: address.sin_port))
    if !isBound { throw NotBound() }
  }

  deinit { close(descriptor) }

  struct NotBound: Error {}
}
