import Foundation
import Testing

/// What the first line of a request and its Host header ask for, byte by byte.
@Suite(.serialized) struct HTTPVersionTests {
  /// Everything until the server closes the connection.
  private func exchange(_ server: TestServer, _ request: String) async throws -> String {
    String(
      decoding: try await RawClient.connect(port: server.port).exchange(Array(request.utf8)), as: UTF8.self)
  }

  private func completion(_ version: String, _ fields: String = "", headers: String = "") -> String {
    let body = #"{"prompt":"One, two,","max_tokens":4,"temperature":0\#(fields)}"#
    return
      "POST /v1/completions HTTP/\(version)\r\nHost: localhost\r\nContent-Type: application/json\r\n\(headers)"
      + "Content-Length: \(body.utf8.count)\r\n\r\n\(body)"
  }

  @Test func oldClientsGetNoChunks() async throws {
    try await TestServer.run { server async throws in
      for headers in ["", "Connection: keep-alive\r\n", "Expect: 100-continue\r\n"] {
        let answer = try await exchange(server, completion("1.0", #","stream":true"#, headers: headers))
        let parts = answer.components(separatedBy: "\r\n\r\n")
        try #require(parts.count == 2, "\(answer)")
        #expect(parts[0].hasPrefix("HTTP/1.0 200") || parts[0].hasPrefix("HTTP/1.1 200"), "\(parts[0])")
        #expect(!parts[0].lowercased().contains("transfer-encoding"))
        #expect(parts[0].lowercased().contains("connection: close"))
        #expect(parts[1].hasPrefix("data: ") && parts[1].hasSuffix("data: [DONE]\n\n"), "\(parts[1])")
      }
    }
  }

  @Test func theirConnectionsEnd() async throws {
    try await TestServer.run { server async throws in
      for headers in ["", "Host: localhost\r\n", "Connection: keep-alive\r\n"] {
        let answer = try await exchange(server, "GET /v1/models HTTP/1.0\r\n\(headers)\r\n")
        #expect(answer.hasPrefix("HTTP/1.") && answer.contains(" 200 ") && answer.hasSuffix("}"), "\(answer)")
      }
      // What comes behind it is not answered.
      let two = "GET /health HTTP/1.0\r\n\r\nGET /health HTTP/1.1\r\nHost: localhost\r\n\r\n"
      #expect(try await exchange(server, two).components(separatedBy: "HTTP/1.").count == 2)
      // Behind a request of HTTP/1.1, its answer comes first and whole.
      let behind = completion("1.1", #","stream":true"#) + "GET /health HTTP/1.0\r\n\r\n"
      let answer = try await exchange(server, behind)
      #expect(answer.hasPrefix("HTTP/1.1 200") && answer.contains("0\r\n\r\nHTTP/1.0 200"), "\(answer)")
    }
  }

  @Test func aRequestIsForOneHost() async throws {
    try await TestServer.run { server async throws in
      for hosts in [
        "Host: localhost\r\nHost: localhost\r\n", "Host: localhost\r\nhost: evil.example\r\n", "",
      ] {
        let answer = try await exchange(server, "GET /v1/models HTTP/1.1\r\n\(hosts)\r\n")
        #expect(answer.hasPrefix("HTTP/1.1 400") && answer.contains("Host header"), "\(answer)")
      }
    }
  }
}
