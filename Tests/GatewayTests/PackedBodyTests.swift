import Foundation
import Gateway
import PackedBytes
import Testing

/// Bodies that their clients have compressed.
@Suite(.serialized) struct PackedBodyTests {
  static let text = "The capital of France is Paris. "

  private func body(_ repeats: Int = 1) -> [UInt8] {
    Array(#"{"content":"\#(String(repeating: Self.text, count: repeats))"}"#.utf8)
  }

  private func send(_ server: TestServer, _ bytes: [UInt8], _ coding: String) async throws -> HTTPReply {
    try await server.client.send(
      server.client.request("POST", "/tokenize", body: bytes, headers: ["Content-Encoding": coding]))
  }

  @Test func theyAreUnpacked() async throws {
    try await TestServer.run { server in
      // The second is long: unpacked where long texts are.
      for repeats in [1, 4096] {
        let plain = try await server.client.send(
          server.client.request("POST", "/tokenize", body: body(repeats)))
        #expect(plain.status == 200)
        for (coding, format) in [
          ("gzip", .gzip), ("x-gzip", .gzip), ("GZIP", .gzip), ("deflate", .zlib), ("deflate", .raw),
        ] as [(String, PackedFormat)] {
          let reply = try await send(server, format.compress(body(repeats)), coding)
          #expect(
            reply.status == 200 && reply.body == plain.body,
            "\(coding) \(format): \(reply.text.prefix(200))")
        }
        #expect(try await send(server, body(repeats), "identity").body == plain.body)
      }
      let half = body().count / 2
      let members = [body().prefix(half), body().dropFirst(half)].flatMap {
        PackedFormat.gzip.compress(Array($0))
      }
      #expect(try await send(server, members, "gzip").status == 200)
    }
  }

  @Test func whatIsNotReadIsSaid() async throws {
    try await TestServer.run { server in
      for coding in ["br", "zstd", "compress", "gzip, gzip", "gzip;q=1"] {
        let reply = try await send(server, body(), coding)
        #expect(reply.status == 415 && reply.headers["accept-encoding"] == "gzip, deflate", "\(coding)")
        #expect(reply.error.string("code") == "unsupported_content_encoding")
      }
      let packed = PackedFormat.gzip.compress(body())
      var flipped = packed
      flipped[packed.count - 6] ^= 1
      for (bytes, message) in [
        (body(), "Content-Encoding"), (Array(packed.dropLast(3)), "before it is complete"),
        ([], "before it is complete"), (packed + [1, 2, 3], "Content-Encoding"),
        (flipped, "Content-Encoding"),
      ] {
        let reply = try await send(server, bytes, "gzip")
        #expect(
          reply.status == 400 && reply.error.string("code") == "invalid_content_encoding", "\(reply.text)")
        #expect(reply.error.string("message")?.contains(message) == true, "\(reply.text)")
      }
    }
  }

  /// A gigabyte in a megabyte: no more of it is made than a body may have.
  @Test func theLimitHoldsForWhatIsUnpacked() async throws {
    try await TestServer.run({ $0.limits.bodyBytes = 100_000 }) { server in
      let fits = Array(#"{"content":"\#(String(repeating: " ", count: 99_986))"}"#.utf8)
      #expect(fits.count == 100_000)
      #expect(try await send(server, PackedFormat.gzip.compress(fits), "gzip").status == 200)
      let over = try await send(server, PackedFormat.gzip.compress(fits + [0x20]), "gzip")
      #expect(over.status == 413 && over.error.string("message")?.contains("unpacked") == true)
      let bomb = PackedFormat.gzip.compress([UInt8](repeating: 0x20, count: 64 << 20))
      try #require(bomb.count < 100_000)
      #expect(try await send(server, bomb, "gzip").status == 413)
      #expect(
        try await send(
          server, PackedFormat.raw.compress([UInt8](repeating: 0x20, count: 64 << 20)), "deflate"
        ).status == 413)
    }
  }
}
