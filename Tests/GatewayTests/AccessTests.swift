import Gateway
import Testing

/// Who may use a server that asks nobody for a key, and one that does.
@Suite(.serialized) struct AccessTests {
  struct OneKey: RequestAuthenticator {
    func identify(bearerToken: [UInt8]) async -> KeyIdentity? {
      bearerToken == Array("good".utf8) ? KeyIdentity(name: "one") : nil
    }
  }

  static let models = "/v1/models"

  private func status(_ server: TestServer, host: String, _ headers: String = "") async throws -> Int {
    let request = "GET \(Self.models) HTTP/1.1\r\nHost: \(host)\r\n\(headers)\r\n"
    return try await server.client.send(Array(request.utf8)).status
  }

  @Test func onlyNamesOfThisMachineAreAnswered() async throws {
    try await TestServer.run { server async throws in
      for host in [
        "localhost", "LOCALHOST:8080", "127.0.0.1:1", "[::1]:8080", "127.1.2.3", "me.localhost:80",
      ] {
        #expect(try await status(server, host: host) == 200, "\(host)")
      }
      for host in ["evil.example", "evil.example:8080", "127.0.0.1.evil.example", "10.0.0.1", "[::2]"] {
        #expect(try await status(server, host: host) == 403, "\(host)")
      }
      let reply = try await server.client.send(
        Array("GET \(Self.models) HTTP/1.1\r\nHost: x.example\r\n\r\n".utf8))
      #expect(reply.error.string("code") == "host_not_allowed")
      #expect(reply.error.string("message")?.contains("--no-auth") == true)
      let health = "GET /health HTTP/1.1\r\nHost: x.example\r\n\r\n"
      #expect(try await server.client.send(Array(health.utf8)).status == 200)
    }
  }

  @Test func pagesOfOtherOriginsAreRefused() async throws {
    try await TestServer.run { server async throws in
      for origin in ["http://localhost:3000", "http://127.0.0.1", "https://[::1]:1"] {
        #expect(try await status(server, host: "localhost", "Origin: \(origin)\r\n") == 200, "\(origin)")
      }
      for origin in [
        "https://evil.example", "null", "", "http://localhost.evil.example", "http://localhost, http://x",
      ] {
        #expect(try await status(server, host: "localhost", "Origin: \(origin)\r\n") == 403, "\(origin)")
      }
    }
    try await TestServer.run({ $0.allowedOrigin = "https://chat.example" }) { server async throws in
      let own = "Origin: https://chat.example\r\n"
      #expect(try await status(server, host: "localhost", own) == 200)
      #expect(try await status(server, host: "localhost", "Origin: https://evil.example\r\n") == 403)
    }
  }

  /// With keys, a proxy may keep the name that it was asked for; with --no-auth everybody may come.
  @Test func keysOrConsentMakeNamesUnimportant() async throws {
    try await TestServer.run({ $0.authenticator = OneKey() }) { server async throws in
      let key = "Authorization: Bearer good\r\nOrigin: https://chat.example\r\n"
      #expect(try await status(server, host: "api.example", key) == 200)
      #expect(try await status(server, host: "localhost") == 401)
      #expect(try await server.client.get("/metrics").status == 401)
      #expect(
        try await server.client.get("/metrics", headers: ["Authorization": "Bearer good"]).status == 200)
      #expect(try await server.client.get("/health").status == 200)
    }
    try await TestServer.run({ $0.allowsAnyone = true }) { server async throws in
      #expect(try await status(server, host: "api.example", "Origin: https://chat.example\r\n") == 200)
    }
  }

  @Test func nobodyIsOpenByAccident() async throws {
    for (host, isRefused) in [("0.0.0.0", true), ("::", true), ("::1", false), ("localhost", false)] {
      var configuration = TestServer.configuration()
      configuration.host = host
      let isAllowed = (try? configuration.requireAccessAllowed()) != nil
      #expect(isAllowed != isRefused, "\(host)")
      configuration.allowsAnyone = true
      try configuration.requireAccessAllowed()
      configuration.allowsAnyone = false
      configuration.authenticator = OneKey()
      try configuration.requireAccessAllowed()
    }
    let error = await #expect(throws: GatewayError.self) {
      try await TestServer.run({ $0.host = "0.0.0.0" }) { _ in }
    }
    #expect(
      error?.code == .insecure && error?.message.contains("--no-auth") == true, "\(error?.message ?? "")")
  }

  @Test func bodiesAreJSON() async throws {
    try await TestServer.run { server async throws in
      let body = #"{"content":"x"}"#
      for type in ["application/json", "Application/JSON; charset=utf-8", "application/vnd.api+json"] {
        #expect(try await post(server, body, type: type).status == 200, "\(type)")
      }
      for type in ["text/plain", "application/x-www-form-urlencoded", "application/jsonp", "", nil] {
        let reply = try await post(server, body, type: type)
        #expect(reply.status == 415, "\(type ?? "none")")
        #expect(reply.error.string("message")?.contains("Content-Type: application/json") == true)
      }
    }
  }

  private func post(_ server: TestServer, _ body: String, type: String?) async throws -> HTTPReply {
    let header = type.map { "Content-Type: \($0)\r\n" } ?? ""
    let request =
      "POST /tokenize HTTP/1.1\r\nHost: localhost\r\n\(header)Content-Length: \(body.utf8.count)\r\n\r\n\(body)"
    return try await server.client.send(Array(request.utf8))
  }
}
