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

extension HostPort {
  /// Takes the address for a moment, as a listener would: nobody should wait for models to load before
  /// hearing that a port is taken.
  ///
  /// - Throws: `ServingError` with what the system says
  public func requireFree() throws {
    var hints = addrinfo()
    hints.ai_flags = AI_NUMERICHOST
    hints.ai_socktype = streamType
    var found: UnsafeMutablePointer<addrinfo>?
    let numeric = host.lowercased() == "localhost" ? "127.0.0.1" : host
    guard getaddrinfo(numeric, "\(port)", &hints, &found) == 0, let address = found?.pointee else {
      throw ServingError(
        .cannotListen,
        "cannot listen on \(self): \"\(host)\" is not an IP address",
        hint: "give an IP address of this machine, or localhost")
    }
    defer { freeaddrinfo(found) }
    let descriptor = socket(address.ai_family, address.ai_socktype, address.ai_protocol)
    defer { close(descriptor) }
    // As listeners set it, so that connections that ended just now do not count.
    var yes: Int32 = 1
    guard descriptor >= 0,
      setsockopt(descriptor, SOL_SOCKET, SO_REUSEADDR, &yes, socklen_t(MemoryLayout<Int32>.size)) == 0,
      bind(descriptor, address.ai_addr, address.ai_addrlen) == 0
    else {
      let problem = errno
      throw ServingError(
        .cannotListen,
        "cannot listen on \(self): \(String(cString: strerror(problem)))",
        hint: "choose another port, or stop the program that has it")
    }
  }
}
