import Foundation
import NIOCore
import NIOPosix
import NIOSSL

/// A client that sends exactly what it is told, over a real socket.
struct RawClient {
  let channel: NIOAsyncChannel<ByteBuffer, ByteBuffer>

  /// - Parameter tls: nil for plaintext
  static func connect(port: Int, tls: NIOSSLContext? = nil) async throws -> RawClient {
    RawClient(
      channel: try await ClientBootstrap(group: MultiThreadedEventLoopGroup.singleton)
        .connect(host: "127.0.0.1", port: port) { channel in
          channel.eventLoop.makeCompletedFuture {
            if let tls {
              let handler = try NIOSSLClientHandler(context: tls, serverHostname: nil)
              try channel.pipeline.syncOperations.addHandler(handler)
            }
            return try NIOAsyncChannel(
              wrappingChannelSynchronously: channel, configuration: .init(isOutboundHalfClosureEnabled: true))
          }
        })
  }

  /// Sends bytes, then reads until the server closes or `isEnough` says so.
  func exchange(
    _ bytes: [UInt8], until isEnough: @escaping @Sendable ([UInt8]) -> Bool = { _ in false }
  ) async throws -> [UInt8] {
    try await channel.executeThenClose { inbound, outbound in
      // The server may have answered and closed before it has everything.
      try? await outbound.write(ByteBuffer(bytes: bytes))
      var received: [UInt8] = []
      do {
        for try await buffer in inbound {
          received += buffer.readableBytesView
          if isEnough(received) { break }
        }
      } catch {
        if received.isEmpty { throw error }
      }
      return received
    }
  }
}

/// A response as it came over the socket.
struct HTTPReply {
  var status: Int
  var headers: [String: String]
  var body: [UInt8]

  var text: String { String(decoding: body, as: UTF8.self) }

  var json: [String: Any] {
    (try? JSONSerialization.jsonObject(with: Data(body))) as? [String: Any] ?? [:]
  }

  /// Of an error response.
  var error: [String: Any] { json["error"] as? [String: Any] ?? [:] }

  /// JSON objects of a stream of server-sent events, comments and `[DONE]` apart.
  var events: [[String: Any]] {
    text.components(separatedBy: "\n\n").compactMap { block in
      let block = block.split(separator: "\n").filter { !$0.hasPrefix(":") }.joined(separator: "\n")
      guard block.hasPrefix("data: "), block != "data: [DONE]" else { return nil }
      return (try? JSONSerialization.jsonObject(with: Data(block.dropFirst(6).utf8))) as? [String: Any]
    }
  }

  struct Malformed: Error { var bytes: String }

  /// - Returns: nil while the response is not complete
  static func parse(_ bytes: [UInt8], isClosed: Bool, isHead: Bool = false) throws -> (
    HTTPReply, rest: [UInt8]
  )? {
    guard let end = bytes.firstRange(of: Array("\r\n\r\n".utf8)) else {
      if isClosed { throw Malformed(bytes: String(decoding: bytes.prefix(400), as: UTF8.self)) }
      return nil
    }
    let lines = String(decoding: bytes[..<end.lowerBound], as: UTF8.self).components(separatedBy: "\r\n")
    let words = lines[0].split(separator: " ")
    guard words.count >= 2, words[0] == "HTTP/1.1", let status = Int(words[1]) else {
      throw Malformed(bytes: lines[0])
    }
    var rest = Array(bytes[end.upperBound...])
    if status == 100 { return try parse(rest, isClosed: isClosed) }
    var headers: [String: String] = [:]
    for line in lines.dropFirst() {
      let parts = line.split(separator: ":", maxSplits: 1)
      guard parts.count == 2 else { throw Malformed(bytes: line) }
      headers[parts[0].lowercased()] = parts[1].trimmingCharacters(in: .whitespaces)
    }
    var reply = HTTPReply(status: status, headers: headers, body: [])
    if isHead || status == 204 { return (reply, rest) }
    if headers["transfer-encoding"] == "chunked" {
      while true {
        guard let line = rest.firstRange(of: Array("\r\n".utf8)) else { break }
        guard let size = Int(String(decoding: rest[..<line.lowerBound], as: UTF8.self), radix: 16) else {
          throw Malformed(bytes: String(decoding: rest.prefix(100), as: UTF8.self))
        }
        guard rest.count >= line.upperBound + size + 2 else { break }
        if size == 0 { return (reply, Array(rest[(line.upperBound + 2)...])) }
        reply.body += rest[line.upperBound..<line.upperBound + size]
        rest.removeFirst(line.upperBound + size + 2)
      }
      if isClosed { throw Malformed(bytes: "the stream broke off: \(reply.text.suffix(200))") }
      return nil
    }
    let length = headers["content-length"].flatMap(Int.init) ?? 0
    guard rest.count >= length else {
      if isClosed { throw Malformed(bytes: "\(rest.count) of \(length) bytes") }
      return nil
    }
    reply.body = Array(rest[..<length])
    return (reply, Array(rest[length...]))
  }
}

/// Requests to one server, each on a connection of its own.
struct HTTPClient {
  let port: Int
  var key: String?
  var tls: NIOSSLContext?

  func request(
    _ method: String, _ path: String, body: [UInt8] = [], headers: [String: String] = [:]
  ) -> [UInt8] {
    var text = "\(method) \(path) HTTP/1.1\r\nHost: localhost\r\n"
    if !body.isEmpty || method == "POST" {
      text += "Content-Type: application/json\r\nContent-Length: \(body.count)\r\n"
    }
    if let key { text += "Authorization: Bearer \(key)\r\n" }
    for (name, value) in headers.sorted(by: { $0.key < $1.key }) { text += "\(name): \(value)\r\n" }
    return Array((text + "\r\n").utf8) + body
  }

  func send(_ bytes: [UInt8], isHead: Bool = false) async throws -> HTTPReply {
    let received = try await RawClient.connect(port: port, tls: tls).exchange(bytes) {
      (try? HTTPReply.parse($0, isClosed: false, isHead: isHead)) != nil
    }
    return try HTTPReply.parse(received, isClosed: true, isHead: isHead)!.0
  }

  func get(_ path: String, headers: [String: String] = [:]) async throws -> HTTPReply {
    try await send(request("GET", path, headers: headers))
  }

  func post(_ path: String, _ body: String, headers: [String: String] = [:]) async throws -> HTTPReply {
    try await send(request("POST", path, body: Array(body.utf8), headers: headers))
  }

  func post(_ path: String, _ body: [String: Any]) async throws -> HTTPReply {
    let data = try JSONSerialization.data(withJSONObject: body, options: [.sortedKeys])
    return try await send(request("POST", path, body: Array(data)))
  }
}
