import NIOCore
import NIOHTTP1
import NIOPosix
import NetworkProblems

/// Short questions over HTTP without TLS: a machine's metadata, an emulator's clock.
enum PlainHTTP {
  struct Failed: Error, CustomStringConvertible {
    let description: String
  }

  private static let maxBytes = 64 << 10

  /// - Throws: `Failed`, for any status but 200, too; `CancellationError`
  static func text(
    _ endpoint: Endpoint, _ method: String, _ path: String, headers: [(String, String)] = [],
    timeout: TimeAmount = .seconds(2)
  ) async throws -> String {
    do {
      return try await ask(endpoint, method, path, headers, timeout)
    } catch  where !(error is Failed || error is CancellationError) {
      throw Failed(description: NetworkProblem.words(error))
    }
  }

  private static func ask(
    _ endpoint: Endpoint, _ method: String, _ path: String, _ headers: [(String, String)],
    _ timeout: TimeAmount
  ) async throws -> String {
    let channel = try await ClientBootstrap(group: MultiThreadedEventLoopGroup.singleton)
      .connectTimeout(timeout)
      .connect(host: endpoint.host, port: endpoint.port) { channel in
        channel.eventLoop.makeCompletedFuture {
          try channel.pipeline.syncOperations.addHTTPClientHandlers()
          try channel.pipeline.syncOperations.addHandler(
            NIOHTTPClientResponseAggregator(maxContentLength: maxBytes))
          return try NIOAsyncChannel<NIOHTTPClientResponseFull, HTTPClientRequestPart>(
            wrappingChannelSynchronously: channel)
        }
      }
    let alarm = channel.channel.eventLoop.scheduleTask(in: timeout) { channel.channel.close(promise: nil) }
    defer { alarm.cancel() }
    return try await channel.executeThenClose { inbound, outbound in
      let fields = [("host", endpoint.authority), ("content-length", "0")] + headers
      try await outbound.write(
        .head(
          HTTPRequestHead(
            version: .http1_1, method: HTTPMethod(rawValue: method), uri: endpoint.path + path,
            headers: HTTPHeaders(fields))))
      try await outbound.write(.end(nil))
      for try await answer in inbound {
        guard answer.head.status == .ok else {
          throw Failed(description: "\(endpoint.authority)\(path): status \(answer.head.status.code)")
        }
        return answer.body.map { String(buffer: $0) } ?? ""
      }
      throw Failed(description: "\(endpoint.authority)\(path): no answer in \(timeout)")
    }
  }
}
