import Foundation
import NIOCore
import Testing

/// Texts that no context has room for, sent by clients that may not wait.
@Suite(.serialized) struct LongTextTests {
  static let text = String(repeating: "a", count: 4_000_000)

  static let bodies = [
    ("/v1/completions", #"{"max_tokens":1,"prompt":"\#(text)"}"#),
    ("/v1/chat/completions", #"{"max_tokens":1,"messages":[{"role":"user","content":"\#(text)"}]}"#),
    ("/tokenize", #"{"content":"\#(text)"}"#),
  ]

  /// Each sends all of it and leaves at once.
  private func leaveEight(_ server: TestServer, path: String, body: String) async throws {
    let bytes = server.client.request("POST", path, body: Array(body.utf8))
    try await withThrowingTaskGroup(of: Void.self) { group in
      for _ in 0..<8 {
        group.addTask {
          let client = try await RawClient.connect(port: server.port)
          try await client.channel.executeThenClose { _, outbound in
            try await outbound.write(ByteBuffer(bytes: bytes))
          }
        }
      }
      try await group.waitForAll()
    }
  }

  @Test(arguments: bodies)
  func othersDoNotWaitForThem(path: String, body: String) async throws {
    try await TestServer.run { server async throws in
      try await leaveEight(server, path: path, body: body)
      let began = ContinuousClock.now
      let reply = try await server.client.post("/v1/completions", ["prompt": "Hello", "max_tokens": 4])
      #expect(reply.status == 200, "\(reply.text)")
      // Without a limit it takes half a minute. (`Benchmarks/fuzz-serve --max-wait` measures.)
      #expect(began.duration(to: .now) < .seconds(10))
    }
  }

  @Test(arguments: bodies)
  func theyAreRefused(path: String, body: String) async throws {
    try await TestServer.run { server async throws in
      let reply = try await server.client.post(path, body)
      #expect(reply.status == 400)
      #expect(reply.error.string("message")?.contains("more than") == true, "\(reply.text.prefix(200))")
      let code = path == "/tokenize" ? "text_too_long" : "context_length_exceeded"
      #expect(reply.error.string("code") == code)
    }
  }

  @Test func tokensThatNoTextHasAreRefusedTogether() async throws {
    try await TestServer.run({ $0.limits.tokenizedTokens = 600 }) { server async throws in
      func detokenize(_ count: Int) async throws -> HTTPReply {
        try await server.client.post("/detokenize", ["tokens": [Int](repeating: 5, count: count)])
      }
      #expect(try await detokenize(600).status == 200)
      #expect(try await detokenize(601).error.string("code") == "text_too_long")
    }
  }
}
