import Gateway
import Testing

/// What browsers are told about pages that call the API.
@Suite(.serialized) struct CrossOriginTests {
  static let origin = "https://chat.example"

  private func preflight(
    _ server: TestServer, origin: String, asks headers: String? = nil
  ) async throws -> HTTPReply {
    var fields = ["Origin": origin, "Access-Control-Request-Method": "POST"]
    if let headers { fields["Access-Control-Request-Headers"] = headers }
    return try await server.client.send(
      server.client.request("OPTIONS", "/v1/chat/completions", headers: fields))
  }

  private func allowed(_ reply: HTTPReply) -> [String] {
    (reply.headers["access-control-allow-headers"] ?? "").components(separatedBy: ", ").map {
      $0.lowercased()
    }
  }

  /// The official JavaScript client sends headers of its own with every call.
  @Test(arguments: [Self.origin, "*"])
  func aPageMaySendWhatItAsksFor(allowedOrigin: String) async throws {
    try await TestServer.run({ $0.allowedOrigin = allowedOrigin }) { server in
      let wanted = [
        "authorization", "content-type", "x-stainless-os", "x-stainless-lang", "dangerously-allow-browser",
      ]
      let reply = try await preflight(server, origin: Self.origin, asks: wanted.joined(separator: ","))
      #expect(reply.status == 204 && reply.headers["access-control-allow-origin"] == allowedOrigin)
      #expect(Set(wanted).isSubset(of: allowed(reply)), "\(reply.headers)")
      #expect(reply.headers["access-control-allow-methods"]?.contains("POST") == true)
      #expect(reply.headers["vary"]?.contains("Access-Control-Request-Headers") == true)
      let plain = try await preflight(server, origin: Self.origin)
      #expect(plain.status == 204 && allowed(plain).contains("authorization"))
    }
  }

  @Test func onlyTheAllowedOriginHearsOfIt() async throws {
    try await TestServer.run({
      $0.allowedOrigin = Self.origin
      $0.authenticator = AccessTests.OneKey()
    }) { server in
      for other in ["https://evil.example", "https://chat.example.evil", "null"] {
        let reply = try await preflight(server, origin: other, asks: "x-secret")
        #expect(reply.headers["access-control-allow-headers"] == nil, "\(other)")
        #expect(reply.headers["access-control-allow-methods"] == nil, "\(other)")
      }
    }
    try await TestServer.run { server in
      let reply = try await preflight(server, origin: "http://localhost:1", asks: "x-own")
      #expect(reply.status == 405 && reply.headers["access-control-allow-headers"] == nil)
    }
  }

  @Test func whatIsNoNameIsNotEchoed() async throws {
    try await TestServer.run({ $0.allowedOrigin = Self.origin }) { server in
      let odd = try await preflight(
        server, origin: Self.origin,
        asks: "x-good, x bad, x(worse), \(String(repeating: "y", count: 400)),,*x, X-Good")
      #expect(allowed(odd) == ["authorization", "content-type", "x-request-id", "x-good", "x", "*x"])
      let many = (0..<500).map { "x-\($0)" }.joined(separator: ",")
      #expect(allowed(try await preflight(server, origin: Self.origin, asks: many)).count == 64)
    }
  }

  @Test func aPageMayReadTheHeadersThatAreMadeForIt() async throws {
    try await TestServer.run({ $0.allowedOrigin = Self.origin }) { server in
      let reply = try await server.client.post(
        "/tokenize", #"{"content":"x","y":1}"#, headers: ["Origin": Self.origin])
      let exposed = try #require(reply.headers["access-control-expose-headers"]).lowercased()
      for name in ["x-request-id", "x-wanspec-ignored-fields"] {
        #expect(reply.headers[name] != nil && exposed.contains(name))
      }
    }
  }
}
