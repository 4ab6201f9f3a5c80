import Foundation

#if canImport(Glibc)
  import Glibc
#elseif canImport(Musl)
  import Musl
#elseif canImport(Darwin)
  import Darwin
#endif

/// A client that knows nothing of HTTP libraries: bytes in, bytes out, and how the connection ended.
final class RawConnection {
  enum Ending: Equatable { case open, closed, reset }

  private let descriptor: Int32
  private(set) var received: [UInt8] = []
  private(set) var ending = Ending.open

  /// - Parameters:
  ///   - patience: seconds without a byte after which reading gives up; the connection is then still open
  ///   - local: the address to connect from
  init(host: String = "127.0.0.1", port: Int, from local: String? = nil, patience: Double = 5) throws {
    #if canImport(Darwin)
      let kind = SOCK_STREAM
    #else
      let kind = Int32(SOCK_STREAM.rawValue)
    #endif
    descriptor = socket(AF_INET, kind, 0)
    guard descriptor >= 0 else { throw POSIXError(.EMFILE) }
    var time = timeval()
    time.tv_sec = Int(patience)
    time.tv_usec = .init((patience - patience.rounded(.down)) * 1e6)
    setsockopt(descriptor, SOL_SOCKET, SO_RCVTIMEO, &time, socklen_t(MemoryLayout<timeval>.size))
    if let local {
      try Self.withAddress(local, 0) { address, size in try Self.check(bind(descriptor, address, size)) }
    }
    try Self.withAddress(host, port) { address, size in try Self.check(connect(descriptor, address, size)) }
  }

  deinit { close(descriptor) }

  private static func check(_ result: Int32) throws {
    if result != 0 { throw POSIXError(POSIXErrorCode(rawValue: errno) ?? .EIO) }
  }

  private static func withAddress(
    _ host: String, _ port: Int, _ body: (UnsafePointer<sockaddr>, socklen_t) throws -> Void
  ) throws {
    var address = sockaddr_in()
    address.sin_family = sa_family_t(AF_INET)
    address.sin_port = in_port_t(UInt16(port).bigEndian)
    inet_pton(AF_INET, host, &address.sin_addr)
    try withUnsafePointer(to: &address) {
      try $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
        try body($0, socklen_t(MemoryLayout<sockaddr_in>.size))
      }
    }
  }

  func write(_ text: String) {
    let bytes = Array(text.utf8)
    var sent = 0
    while sent < bytes.count {
      let count = bytes[sent...].withUnsafeBytes {
        send(descriptor, $0.baseAddress, $0.count, Int32(MSG_NOSIGNAL))
      }
      if count <= 0 { return }
      sent += count
    }
  }

  func post(_ path: String, _ body: String, headers: [String] = []) {
    let fields = (["POST \(path) HTTP/1.1", "host: test", "content-length: \(body.utf8.count)"] + headers)
    write(fields.joined(separator: "\r\n") + "\r\n\r\n" + body)
  }

  func get(_ path: String) { write("GET \(path) HTTP/1.1\r\nhost: test\r\n\r\n") }

  /// Reads until there is an answer, or the connection ends, or patience does.
  func read() -> Answer {
    while Answer.parse(received)?.isWhole != true, ending == .open {
      var buffer = [UInt8](repeating: 0, count: 1 << 16)
      let count = recv(descriptor, &buffer, buffer.count, 0)
      if count > 0 {
        received += buffer[..<count]
      } else if count == 0 {
        ending = .closed
      } else if errno == ECONNRESET {
        ending = .reset
      } else {
        break
      }
    }
    let answer = Answer.parse(received) ?? Answer(status: 0, headers: [:], body: [], isWhole: false)
    if answer.isWhole { received = [] }
    return answer
  }
}

/// One HTTP/1.1 answer, as far as it came.
struct Answer {
  var status: Int
  /// By lower-case name.
  var headers: [String: String]
  /// Without the framing of chunks.
  var body: [UInt8]
  /// Whether the framing says that it is complete.
  var isWhole: Bool

  var text: String { String(decoding: body, as: UTF8.self) }

  var json: [String: Any] {
    (try? JSONSerialization.jsonObject(with: Data(body))) as? [String: Any] ?? [:]
  }

  static func parse(_ bytes: [UInt8]) -> Answer? {
    guard let end = index(of: "\r\n\r\n", in: bytes[...]) else { return nil }
    let lines = String(decoding: bytes[..<end], as: UTF8.self).split(separator: "\r\n")
    guard let first = lines.first,
      let status = first.split(separator: " ").dropFirst().first.flatMap({ Int($0) })
    else { return nil }
    var headers: [String: String] = [:]
    for line in lines.dropFirst() {
      let parts = line.split(separator: ":", maxSplits: 1)
      headers[parts[0].lowercased()] = parts.count > 1 ? parts[1].trimmingCharacters(in: .whitespaces) : ""
    }
    let rest = bytes[(end + 4)...]
    if let length = headers["content-length"].flatMap({ Int($0) }) {
      return Answer(
        status: status, headers: headers, body: Array(rest.prefix(length)), isWhole: rest.count >= length)
    }
    var (body, isWhole) = ([UInt8](), false)
    var place = rest.startIndex
    while let line = index(of: "\r\n", in: rest[place...]) {
      guard let size = Int(String(decoding: rest[place..<line], as: UTF8.self), radix: 16) else { break }
      let start = line + 2
      guard start + size + 2 <= rest.endIndex else { break }
      if size == 0 { isWhole = true }
      body += rest[start..<(start + size)]
      place = start + size + 2
      if isWhole { break }
    }
    return Answer(status: status, headers: headers, body: body, isWhole: isWhole)
  }

  private static func index(of text: String, in bytes: ArraySlice<UInt8>) -> Int? {
    let wanted = Array(text.utf8)
    guard bytes.count >= wanted.count else { return nil }
    return (bytes.startIndex...(bytes.endIndex - wanted.count)).first { bytes[$0...].starts(with: wanted) }
  }
}

/// A device that has no space, as /dev/full.
///
/// - Returns: whether it can be opened; not without root, and only on Linux
func makeFullDevice(_ path: String) -> Bool {
  #if os(Linux)
    // Major 1, minor 7 (Linux's list of devices).
    guard mknod(path, S_IFCHR | 0o600, 1 << 8 | 7) == 0 else { return false }
    let descriptor = open(path, O_WRONLY | O_CLOEXEC)
    guard descriptor >= 0 else { return false }
    close(descriptor)
    return true
  #else
    return false
  #endif
}
