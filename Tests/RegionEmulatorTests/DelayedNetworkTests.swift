import Foundation
import RegionEmulator
import Testing

/// Real handshakes over a device whose packets are late. Needs Linux and root.
@Suite(.serialized) struct DelayedNetworkTests {
  /// Two pairs, whose round trips differ.
  private func delayed(_ links: String, _ body: (DelayedNetwork, Int) async throws -> Void) async throws {
    let emulated = try emulatedRegions(
      links,
      regions: """
        - {region: us-east-1, servers: 500, load: 0, prefill: 5ms, per-token: 1ms}
        - {region: ap-south-1, servers: 500, load: 0, prefill: 5ms, per-token: 1ms}
        """)
    let network: DelayedNetwork
    do { network = try DelayedNetwork.start(emulated) } catch { return print("skipped: \(error)") }
    do {
      let emulator = try await RegionEmulator.start(
        emulated, host: "0.0.0.0", port: 0, log: nil, isDelayedOutside: true)
      try await body(network, emulator.port)
      await emulator.stop()
      await network.stop()
    } catch {
      await network.stop()
      throw error
    }
  }

  /// The shortest of several handshakes, ms: what the machine adds is left out.
  private func handshake(
    _ network: DelayedNetwork, _ region: String, _ port: Int, times: Int = 5
  ) throws -> Double {
    let (host, local) = (network.regionAddresses[region], network.sourceAddresses["eu-west-2"])
    var best = Double.infinity
    for _ in 0..<times {
      let start = ContinuousClock.now
      let connection = try RawConnection(host: try #require(host), port: port, from: local)
      best = min(best, (ContinuousClock.now - start) / .milliseconds(1))
      connection.get("/clock")
      #expect(connection.read().status == 200)
    }
    return best
  }

  @Test func everyPairHasItsOwnRoundTrip() async throws {
    try await delayed("links: {eu-west-2: {us-east-1: 40ms, ap-south-1: 90ms}}") { network, port in
      let near = try handshake(network, "us-east-1", port)
      let far = try handshake(network, "ap-south-1", port)
      print("handshakes over 40 and 90 ms: \(near) and \(far) ms")
      // Never sooner; the most says only that it is not the other pair's.
      #expect(near >= 39.9 && near < 90)
      #expect(far >= 89.9)
    }
  }

  /// More bytes than fit into a window, both ways over the device: check sums stay right and no packet is lost for good.
  @Test func manyPacketsArriveInOrder() async throws {
    try await delayed("links: {eu-west-2: {us-east-1: 2ms, ap-south-1: 2ms}, jitter: 300us}") {
      network, port in
      let host = try #require(network.regionAddresses["us-east-1"])
      let connection = try RawConnection(
        host: host, port: port, from: network.sourceAddresses["eu-west-2"])
      let prompt = String(repeating: "sky ", count: 200_000)
      connection.post(
        "/eu-west-2/us-east-1/v1/completions",
        "{\"stream\":true,\"prompt\":\"\(prompt)\",\"max_tokens\":1000}")
      let answer = connection.read()
      #expect(answer.status == 200 && answer.isWhole)
      #expect(answer.text.components(separatedBy: "\"text\":\" ").count == 1001)
    }
  }

  /// The device goes when it is stopped: another can have the same addresses.
  @Test func aNetworkLeavesNothingBehind() async throws {
    for _ in 0..<2 {
      try await delayed("links: {eu-west-2: {us-east-1: 1ms, ap-south-1: 1ms}}") { network, port in
        let time = try handshake(network, "us-east-1", port, times: 1)
        #expect(time >= 0.99)
      }
    }
  }
}
