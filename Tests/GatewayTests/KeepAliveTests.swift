import Gateway
import Testing

@Suite(.serialized) struct KeepAliveTests {
  /// Some clients take the empty line after a comment for an event, and an empty event for the end.
  @Test func aCommentIsOneLine() async throws {
    try await TestServer.run({ $0.limits.keepAliveInterval = .milliseconds(4) }) { server in
      // Nothing of it is in the cache, so that reading it takes a while.
      let prompt = (0..<60).map { _ in String(UInt32.random(in: 0 ... .max), radix: 36) }.joined(
        separator: " ")
      let reply = try await server.client.post(
        "/v1/completions", ["prompt": prompt, "max_tokens": 4, "stream": true, "ignore_eos": true])
      #expect(reply.status == 200)
      let comments = reply.text.components(separatedBy: "\n").filter { $0.hasPrefix(":") }
      #expect(!comments.isEmpty && comments.allSatisfy { $0 == ": keep-alive" }, "\(reply.text)")
      #expect(!reply.text.contains(": keep-alive\n\n"))
      #expect(reply.events.last?.string("choices.0.finish_reason") == "length", "\(reply.text)")
      #expect(reply.text.hasSuffix("\n\ndata: [DONE]\n\n"))
    }
  }
}
