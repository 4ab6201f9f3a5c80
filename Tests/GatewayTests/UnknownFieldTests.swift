import Foundation
import Gateway
import Testing

/// Fields that nobody knows, over real sockets.
@Suite(.serialized) struct UnknownFieldTests {
  static let header = "x-wanspec-ignored-fields"

  private func post(_ server: TestServer, _ path: String, _ body: String) async throws -> HTTPReply {
    try await server.client.post(path, body)
  }

  @Test func theyArePassedOverAndNamed() async throws {
    try await TestServer.run { server in
      let chat = #"""
        {"messages":[{"role":"user","weight":1,"content":[{"type":"text","text":"Hi","colour":{}}]},
        {"role":"user","weight":0,"content":"Hi"}],"max_tokens":1,"temprature":1,"options":{"a":[]}}
        """#
      let reply = try await post(server, "/v1/chat/completions", chat)
      #expect(reply.status == 200, "\(reply.text)")
      #expect(
        reply.headers[Self.header]
          == "messages[].content[].colour, messages[].weight, temprature (did you mean temperature?), options"
      )
      let stream = try await post(
        server, "/v1/completions", #"{"prompt":"Hi","max_tokens":1,"stream":true,"xyzzy":1}"#)
      #expect(stream.status == 200 && stream.headers[Self.header] == "xyzzy")
      let tokens = try await post(server, "/tokenize", #"{"content":"Hi","y":1}"#)
      #expect(tokens.status == 200 && tokens.headers[Self.header] == "y")
      let known = try await post(server, "/v1/completions", #"{"prompt":"Hi","max_tokens":1,"store":true}"#)
      #expect(known.status == 200 && known.headers[Self.header] == nil)
      let wrong = try await post(server, "/v1/completions", #"{"prompt":"Hi","max_token":1,"n":0}"#)
      #expect(wrong.status == 400 && wrong.error.string("param") == "n")
      let metrics = try await server.client.get("/metrics").text
      #expect(metrics.contains(#"wanspec_http_ignored_fields_total{route="/v1/chat/completions"} 5"#))
      #expect(metrics.contains(#"wanspec_http_ignored_fields_total{route="/tokenize"} 1"#))
    }
  }

  /// Long texts are read elsewhere.
  @Test func alsoInLongTexts() async throws {
    try await TestServer.run { server in
      let text = String(repeating: "word ", count: TextWork.longBytes / 4)
      let reply = try await post(server, "/tokenize", #"{"content":"\#(text)","y":1}"#)
      #expect(reply.status == 200 && reply.headers[Self.header] == "y")
    }
  }

  @Test func namesAreHarmlessAndFew() async throws {
    try await TestServer.run { server in
      let names = [#"a,b"#, #"c\r\nSet-Cookie: x"#, #"d\u0000(\"\\é"#, String(repeating: "e", count: 500)]
      let odd = names.map { #","\#($0)":1"# }.joined()
      let reply = try await post(server, "/tokenize", #"{"content":"Hi"\#(odd)}"#)
      #expect(reply.status == 200 && reply.headers["set-cookie"] == nil)
      let parts = try #require(reply.headers[Self.header]).components(separatedBy: ", ")
      #expect(parts.count == 4, "\(parts)")
      #expect(Array(parts.prefix(3)) == ["a?b", "c??Set-Cookie:?x", "d?????"])
      #expect(parts.allSatisfy { $0.utf8.count <= 128 })
      let many = (0..<500).map { #","field-\#($0)":1"# }.joined()
      let short = try await post(server, "/tokenize", #"{"content":"Hi"\#(many)}"#)
      let told = try #require(short.headers[Self.header]).components(separatedBy: ", ")
      #expect(told.count == UnknownFields.maxNames + 1 && told.last == "...")
      #expect(
        try await server.client.get("/metrics").text.contains(
          #"wanspec_http_ignored_fields_total{route="/tokenize"} 504"#))
    }
  }

  @Test func aStrictServerRefusesThem() async throws {
    try await TestServer.run({ $0.isStrictAboutFields = true }) { server in
      for (path, body, param) in [
        ("/v1/completions", #"{"prompt":"Hi","max_tokens":1,"temprature":1}"#, "temprature"),
        (
          "/v1/chat/completions", #"{"messages":[{"role":"user","content":"x","weight":1}]}"#,
          "messages[0].weight"
        ),
        ("/tokenize", #"{"content":"Hi","y":1}"#, "y"),
      ] {
        let reply = try await post(server, path, body)
        #expect(reply.status == 400 && reply.error.string("code") == "unknown_parameter", "\(reply.text)")
        #expect(reply.error.string("param") == param && reply.headers[Self.header] == nil)
      }
      let hint = try await post(server, "/v1/completions", #"{"prompt":"Hi","max_tokens":1,"temprature":1}"#)
      #expect(hint.error.string("message")?.hasSuffix("did you mean temperature?") == true)
      let known = try await post(
        server, "/v1/completions", #"{"prompt":"Hi","max_tokens":1,"store":true,"cache_prompt":false}"#)
      #expect(known.status == 200)
    }
  }

  /// A field of this server's own is never meant for another one.
  @Test func inOwnFieldsTheyAreErrors() async throws {
    try await TestServer.run { server in
      let reply = try await post(
        server, "/v1/completions", #"{"prompt":"Hi","max_tokens":1,"speculation":{"mod":"off"}}"#)
      #expect(reply.status == 400 && reply.error.string("param") == "speculation.mod")
    }
  }
}
