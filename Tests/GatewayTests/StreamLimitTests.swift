import Foundation
import Gateway
import NIOCore
import SplitMix
import Synchronization
import Testing

/// What one key may have under way, whatever its clients do.
@Suite(.serialized) struct StreamLimitTests {
  static let limit = 4

  struct AnyKey: RequestAuthenticator {
    func identify(bearerToken: [UInt8]) async -> KeyIdentity? {
      KeyIdentity(name: String(decoding: bearerToken, as: UTF8.self))
    }
  }

  private func body(_ choices: Int = 1, tokens: Int = 64) -> [UInt8] {
    Array(
      #"{"prompt":"One, two,","max_tokens":\#(tokens),"n":\#(choices),"stream":true,"ignore_eos":true}"#.utf8)
  }

  /// Sends a request, or part of one, reads a little of the answer, and leaves.
  private func storm(_ client: HTTPClient, _ random: inout SplitMix64) async throws {
    let whole = client.request(
      "POST", "/v1/completions", body: body(), headers: ["Connection": "close"])
    let bytes = random.next() % 4 == 0 ? Array(whole.prefix(Int(random.next() % UInt64(whole.count)))) : whole
    let pieces = Int(random.next() % 4)
    let connection = try await RawClient.connect(port: client.port)
    try await connection.channel.executeThenClose { inbound, outbound in
      try? await outbound.write(ByteBuffer(bytes: bytes))
      guard bytes.count == whole.count, pieces > 0 else { return }
      var left = pieces
      do {
        for try await _ in inbound {
          left -= 1
          if left == 0 { break }
        }
      } catch {}
    }
  }

  @Test(arguments: [1, 2] as [UInt64])
  func clientsThatLeaveGiveTheirStreamsBack(seed: UInt64) async throws {
    try await TestServer.run({
      $0.authenticator = AnyKey()
      $0.limits.streamsPerKey = Self.limit
    }) { server async throws in
      var client = server.client
      client.key = "one"
      var most = 0
      try await withThrowingTaskGroup(of: Void.self) { group in
        for lane in 0..<12 {
          group.addTask { [client] in
            var random = SplitMix64(seed: seed << 8 | UInt64(lane))
            for _ in 0..<8 { try await storm(client, &random) }
          }
        }
        for try await _ in group { most = max(most, server.server.runningRequests) }
      }
      #expect(most <= Self.limit, "seed \(seed)")
      // All of it is to be had again at once, and not more.
      let all = client.request("POST", "/v1/completions", body: body(Self.limit, tokens: 2))
      let areBack = await TestServer.wait { (try? await client.send(all))?.status == 200 }
      #expect(areBack, "seed \(seed): streams are lost")
      let more = client.request("POST", "/v1/completions", body: body(Self.limit + 1))
      #expect(try await client.send(more).status == 400)
      #expect(await TestServer.wait { server.metrics.connections == 0 && server.server.runningRequests == 0 })
    }
  }
}
