import CZlib
import Foundation
import Gateway
import Testing

/// Bodies that their clients have compressed.
@Suite(.serialized) struct PackedBodyTests {
  /// - Parameter windowBits: 31 for gzip, 15 for zlib's header, -15 for none
  static func pack(_ bytes: [UInt8], windowBits: Int32) -> [UInt8] {
    var stream = z_stream()
    deflateInit2_(
      &stream, Z_BEST_COMPRESSION, Z_DEFLATED, windowBits, 9, Z_DEFAULT_STRATEGY, ZLIB_VERSION,
      Int32(MemoryLayout<z_stream>.size))
    defer { deflateEnd(&stream) }
    var output = [UInt8](repeating: 0, count: Int(deflateBound(&stream, UInt(bytes.count))))
    var input = bytes
    let left = input.withUnsafeMutableBufferPointer { source in
      output.withUnsafeMutableBufferPointer { sink in
        stream.next_in = source.baseAddress
        stream.avail_in = UInt32(source.count)
        stream.next_out = sink.baseAddress
        stream.avail_out = UInt32(sink.count)
        _ = deflate(&stream, Z_FINISH)
        return Int(stream.avail_out)
      }
    }
    return output.dropLast(left)
  }

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
        for (coding, windowBits) in [
          ("gzip", 31), ("x-gzip", 31), ("GZIP", 31), ("deflate", 15), ("deflate", -15),
        ] as [(String, Int32)] {
          let reply = try await send(server, Self.pack(body(repeats), windowBits: windowBits), coding)
          #expect(
            reply.status == 200 && reply.body == plain.body,
            "\(coding) \(windowBits): \(reply.text.prefix(200))")
        }
        #expect(try await send(server, body(repeats), "identity").body == plain.body)
      }
      let half = body().count / 2
      let members = [body().prefix(half), body().dropFirst(half)].flatMap {
        Self.pack(Array($0), windowBits: 31)
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
      let packed = Self.pack(body(), windowBits: 31)
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
      #expect(try await send(server, Self.pack(fits, windowBits: 31), "gzip").status == 200)
      let over = try await send(server, Self.pack(fits + [0x20], windowBits: 31), "gzip")
      #expect(over.status == 413 && over.error.string("message")?.contains("unpacked") == true)
      let bomb = Self.pack([UInt8](repeating: 0x20, count: 64 << 20), windowBits: 31)
      try #require(bomb.count < 100_000)
      #expect(try await send(server, bomb, "gzip").status == 413)
      #expect(
        try await send(
          server, Self.pack([UInt8](repeating: 0x20, count: 64 << 20), windowBits: -15), "deflate"
        ).status == 413)
    }
  }
}
