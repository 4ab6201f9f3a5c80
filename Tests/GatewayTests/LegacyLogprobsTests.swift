import Foundation
import Gateway
import Testing

/// Log-probabilities as `/v1/completions` has them.
@Suite(.serialized) struct LegacyLogprobsTests {
  private func complete(_ server: TestServer, _ fields: [String: Any]) async throws -> HTTPReply {
    var body: [String: Any] = ["prompt": "Emoji:", "temperature": 0, "max_tokens": 12]
    body.merge(fields) { $1 }
    return try await server.client.post("/v1/completions", body)
  }

  /// Of one choice: what was chosen at each position, and the likeliest.
  private func positions(_ reply: HTTPReply) throws -> [(
    token: String, logprob: Double, top: [String: Double]
  )] {
    let names = try #require(reply.json[path: "choices.0.logprobs.tokens"] as? [String], "\(reply.text)")
    let logprobs = try #require(reply.json[path: "choices.0.logprobs.token_logprobs"] as? [Double])
    let tops = try #require(reply.json[path: "choices.0.logprobs.top_logprobs"] as? [[String: Double]])
    try #require(names.count == tops.count && names.count == logprobs.count && !names.isEmpty)
    return names.indices.map { (names[$0], logprobs[$0], tops[$0]) }
  }

  @Test func partsOfCharactersAreToldApart() async throws {
    try await TestServer.run { server in
      let reply = try await complete(server, ["grammar": #"root ::= "🦊🎉""#, "logprobs": 5])
      let found = try positions(reply)
      #expect(reply.json.string("choices.0.text") == "🦊🎉")
      #expect(found.allSatisfy { (5...6).contains($0.top.count) }, "\(found)")
      #expect(found.allSatisfy { $0.top[$0.token] == $0.logprob }, "\(found)")
      #expect(!reply.text.contains("\u{FFFD}"))
      let parts = found.map(\.token).filter { $0.hasPrefix("bytes:") }
      #expect(
        !parts.isEmpty && parts.allSatisfy { $0.wholeMatch(of: /bytes:(\\x[0-9a-f]{2})+/) != nil }, "\(parts)"
      )
      let bytes = parts.joined().matches(of: /\\x([0-9a-f]{2})/).map { UInt8($0.output.1, radix: 16)! }
      #expect(Array("🦊🎉".utf8).starts(with: bytes.prefix(3)), "\(parts)")
    }
  }

  /// At a high temperature it is seldom among the likeliest.
  @Test(arguments: [0, 1, 3])
  func theChosenTokenIsAmongThem(count: Int) async throws {
    try await TestServer.run { server in
      for streamed in [false, true] {
        let reply = try await complete(
          server, ["temperature": 3, "seed": 3, "logprobs": count, "ignore_eos": true, "stream": streamed])
        var found: [(token: String, logprob: Double, top: [String: Double])] = []
        if streamed {
          for event in reply.events {
            guard let tops = event[path: "choices.0.logprobs.top_logprobs"] as? [[String: Double]] else {
              continue
            }
            for (index, top) in tops.enumerated() {
              found.append(
                (
                  event.string("choices.0.logprobs.tokens.\(index)")!,
                  event[path: "choices.0.logprobs.token_logprobs.\(index)"] as! Double, top
                ))
            }
          }
        } else {
          found = try positions(reply)
        }
        #expect(found.count > 4, "\(reply.text)")
        #expect(found.allSatisfy { $0.top[$0.token] == $0.logprob && $0.top.count <= count + 1 }, "\(found)")
        #expect(found.contains { $0.top.count == count + 1 }, "\(found)")
      }
    }
  }
}
