import Foundation
import LatencyStudy
import NIOCore
import NIOPosix
import RegionEmulator
import StrictYAML
import Testing

/// Probes of real connections to the emulator, and to nobody.
@Suite(.serialized) struct ProberTests {
  private static func emulatedRegions(_ faults: String, perToken: String = "1ms", keys: String = "") throws
    -> EmulatedRegions
  {
    try EmulatedRegions(
      YAMLDocument(
        parsing: """
          name: test
          sources: [eu-west-2]
          links: {eu-west-2: {us-east-1: 0ms}}
          regions:
          - {region: us-east-1, servers: 500, load: 0, prefill: 20ms, per-token: \(perToken), sigma: 0\(faults)}
          \(keys)
          """, name: "s"))
  }

  /// One order to emulated regions with this fault on every request.
  private func answer(
    _ api: Target.API, fault: String? = nil, timeout: Duration = .seconds(10), warm: Bool = false,
    credential: Credential = .none, keys: String = ""
  ) async throws -> Prober.Answer {
    let faults = fault.map { ", faults: [{kind: \($0), share: 100%}]" } ?? ""
    let emulator = try await RegionEmulator.start(
      Self.emulatedRegions(faults, keys: keys), host: "127.0.0.1", port: 0, log: nil)
    defer { Task { await emulator.stop() } }
    let base = "http://127.0.0.1:\(emulator.port)/eu-west-2/us-east-1" + (api.isBedrock ? "" : "/v1")
    return try await probe(base, api, timeout: timeout, warm: warm, credential: credential)
  }

  private func probe(
    _ url: String, _ api: Target.API = .openAIChat, timeout: Duration = .seconds(5), warm: Bool = false,
    credential: Credential = .none, from local: String? = nil
  ) async throws -> Prober.Answer {
    let campaign = try campaign(
      "prompt: {max-tokens: 8}",
      target:
        "- {name: t, region: us-east-1, api: \(api.rawValue), url: \"\(url)\", model: 'a:0', auth: none}")
    let target = campaign.targets[1]
    let prober = Prober(
      group: MultiThreadedEventLoopGroup.singleton, threads: .singleton, clock: .world, version: "test")
    return try await prober.probe(
      Prober.Order(
        key: ProbeKey(source: "eu-west-2", target: "t", slot: 1), scheduled: 0, target: target,
        endpoint: target.endpoint(from: "eu-west-2"), localAddress: local, prompt: campaign.prompt,
        timeout: timeout,
        warm: warm, credential: credential))
  }

  private func expectWhole(_ record: ProbeRecord, sourceLocation: SourceLocation = #_sourceLocation) throws {
    let phases = try #require(record.phases, sourceLocation: sourceLocation)
    #expect(phases.durations.reduce(0) { $0 + ($1 ?? 0) } == record.total, sourceLocation: sourceLocation)
  }

  @Test(arguments: Target.API.allCases)
  func allPhasesAreStamped(api: Target.API) async throws {
    let record = try await answer(api).records[0]
    #expect(record.outcome == .ok, "\(record.detail ?? "")")
    try expectWhole(record)
    let phases = try #require(record.phases)
    #expect(phases[.dns] == nil && phases[.tls] == nil)
    for phase in [Phase.connect, .written, .headers, .firstEvent, .firstContent, .lastContent, .end] {
      #expect(phases[phase] != nil, "\(phase)")
    }
    // 20 ms to the first token, and 7 ms from there to the last one: never less, but for when the writing is noted.
    let first = try #require(phases.requestTTFT)
    #expect(first >= 18_000_000)
    #expect(first + (try #require(phases[.lastContent])) >= 25_000_000)
    #expect(record.outputTokens == 8 && record.inputTokens == 12)
    #expect(
      record.chunks.reduce(0) { $0 + $1.bytes } == " the sky is blue since short waves scatter".utf8.count)
    #expect(record.requestID == "test-1")
    #expect(record.finishReason == (api.isBedrock ? "max_tokens" : "length"))
    #if os(Linux)
      #expect(try #require(record.tcpRTT) > 0)
    #endif
  }

  @Test func aSecondRequestUsesTheConnectionAgain() async throws {
    let records = try await answer(.openAIChat, warm: true).records
    #expect(records.map(\.key.ordinal) == [0, 1])
    #expect(records.allSatisfy { $0.outcome == .ok })
    try expectWhole(records[1])
    #expect(records[1].phases?[.connect] == nil)
    #expect(try #require(records[1].phases?.requestTTFT) >= 18_000_000)
    #expect(records[0].peer == records[1].peer)
  }

  /// As llama-server does after each stream, whatever its headers say.
  @Test(arguments: ["", "connection: close\r\n"])
  func aConnectionThatIsClosedIsNoFailure(header: String) async throws {
    let events = "data: {\"choices\":[{\"delta\":{\"content\":\"hello\"}}]}\n\ndata: [DONE]\n\n"
    let records = try await stranger(
      "HTTP/1.1 200 OK\r\n\(header)content-length: \(events.utf8.count)\r\n\r\n\(events)", closes: true,
      warm: true)
    #expect(records.map(\.outcome) == [.ok, .missed])
    #expect(records.last?.key.ordinal == 1 && records.last?.total == nil && records.last?.phases == nil)
    #expect(records.last?.detail == "the server closed the connection after the first answer")
  }

  @Test(
    arguments: [
      ("throttle", ProbeOutcome.throttled), ("error", .status), ("unavailable", .status),
      ("forbidden", .credentials),
      ("nothing", .empty), ("reset", .reset), ("truncate", .truncated), ("malformed", .malformed),
      ("crc", .malformed),
      ("exception", .exception), ("at-once", .ok),
    ])
  func everyFaultHasItsName(fault: String, outcome: ProbeOutcome) async throws {
    for api in [Target.API.openAIChat, .bedrockConverse] {
      let answer = try await answer(api, fault: fault)
      let record = answer.records[0]
      // What was truncated within a stream, by a connection that breaks, is a reset or a truncation.
      let expected: Set<ProbeOutcome> = outcome == .reset ? [.reset, .truncated] : [outcome]
      #expect(expected.contains(record.outcome), "\(api) \(fault): \(record.outcome) \(record.detail ?? "")")
      try expectWhole(record)
      if fault == "throttle" { #expect(answer.retryAfter == 1) }
      if fault == "at-once" { #expect(record.isBurst) }
      if outcome != .ok { #expect(record.detail?.isEmpty == false) }
    }
  }

  @Test func aStallEndsWhenTimeIsUp() async throws {
    let record = try await answer(.openAIChat, fault: "stall", timeout: .milliseconds(300)).records[0]
    #expect(record.outcome == .timeout)
    try expectWhole(record)
    #expect(try #require(record.total) >= 299_000_000)
    // Half of the text was there.
    #expect(record.chunks.count >= 1)
    #expect(record.phases?.requestTTFT != nil)
  }

  @Test func wrongKeysAreToldApart() async throws {
    let keys = "keys: {access-key: A, secret-key: S, bearer: B}"
    let right = Credential.keys(SigningKeys(accessKeyID: "A", secretAccessKey: "S", sessionToken: "T"))
    #expect(try await answer(.bedrockInvoke, credential: right, keys: keys).records[0].outcome == .ok)
    #expect(try await answer(.openAIChat, credential: .bearer("B"), keys: keys).records[0].outcome == .ok)
    let wrong = Credential.keys(SigningKeys(accessKeyID: "A", secretAccessKey: "X"))
    let refused = try await answer(.bedrockConverse, credential: wrong, keys: keys).records[0]
    #expect(refused.outcome == .credentials)
    #expect(refused.detail?.contains("InvalidSignatureException") == true)
    #expect(
      try await answer(.openAIChat, credential: .bearer("X"), keys: keys).records[0].outcome == .credentials)
  }

  @Test func whoIsNotThereIsTold() async throws {
    let refused = try await probe("http://127.0.0.1:1/v1").records[0]
    #expect(refused.outcome == .connect)
    try expectWhole(refused)
    let unknown = try await probe("http://nobody.invalid/v1").records[0]
    #expect(unknown.outcome == .dns)
    #expect(unknown.detail?.contains("nobody.invalid") == true)
    try expectWhole(unknown)
  }

  /// A server that is none: it accepts, says what it is told, and closes or stays.
  @Test(
    arguments: [
      ("SSH-2.0-OpenSSH_9.2\r\n", true, ProbeOutcome.malformed), ("", true, .reset), ("", false, .timeout),
      ("HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nhel", true, .reset),
    ])
  func strangersAreTold(bytes: String, closes: Bool, outcome: ProbeOutcome) async throws {
    let record = try await stranger(bytes, closes: closes)[0]
    #expect(record.outcome == outcome, "\(record.outcome) \(record.detail ?? "")")
    try expectWhole(record)
  }

  private static let text = "data: {\"choices\":[{\"delta\":{\"content\":\"hello\"}}]}\n\n"
  private static let done = "data: [DONE]\n\n"
  private static let usage = "data: {\"choices\":[],\"usage\":{\"completion_tokens\":32}}\n\n"

  private static func chunked(_ pieces: String..., head: String = "HTTP/1.1 200 OK") -> String {
    head + "\r\ntransfer-encoding: chunked\r\n\r\n"
      + pieces.map { "\(String($0.utf8.count, radix: 16))\r\n\($0)\r\n" }.joined()
  }

  /// The mark ends an answer: what the connection does then, and what else is said, is no part of it.
  @Test(arguments: [
    (chunked(text, done), false), (chunked(text, done), true), (chunked(text, done, text, text), false),
    (chunked(text, done, "data: {nonsense\n\n"), true), (chunked(text, done) + "zz", true),
    (chunked(text, done, head: "HTTP/1.1 201 Created") + "0\r\n\r\n", false),
  ])
  func theEndMarkEndsAnAnswer(bytes: String, closes: Bool) async throws {
    let record = try await stranger(bytes, closes: closes, timeout: .seconds(20))[0]
    #expect(record.outcome == .ok, "\(record.outcome) \(record.detail ?? "")")
    #expect(record.chunks.reduce(0) { $0 + $1.bytes } == 5)
    // Not when patience with the connection ended.
    #expect(try #require(record.total) < 1_000_000_000)
    try expectWhole(record)
  }

  @Test(arguments: [
    (
      "application/json", "{\"error\": {\"message\": \"out of memory\", \"type\": \"server_error\"}}",
      ProbeOutcome.exception, "server_error: out of memory"
    ),
    ("text/event-stream", "{\"error\": \"no\"}", .exception, "no"),
    (
      "application/json", "{\"choices\": [{\"message\": {\"content\": \"Hello\"}}]}", .malformed,
      "the answer is one body, not a stream (application/json)"
    ),
    ("text/html; charset=utf-8", "<html>Sorry</html>", .malformed, "the answer is a page, not a stream"),
    ("text/event-stream", ": waiting\n\n", .empty, "no text"),
    ("text/event-stream\r\ncontent-encoding: gzip", "\u{1F}?", .malformed, "is compressed (gzip)"),
  ])
  func whatIsNoStreamIsCalledSo(
    type: String, body: String, outcome: ProbeOutcome, detail: String
  ) async throws {
    let head = "HTTP/1.1 200 OK\r\ncontent-type: \(type)\r\ncontent-length: \(body.utf8.count)\r\n\r\n"
    let record = try await stranger(head + body, closes: true)[0]
    #expect(record.outcome == outcome, "\(record.outcome) \(record.detail ?? "")")
    #expect(record.detail?.contains(detail) == true, "\(record.detail ?? "")")
    try expectWhole(record)
  }

  /// What a buffer sent at once has no time between its tokens.
  @Test func aBufferedAnswerHasNoTimePerToken() async throws {
    let record = try await stranger(
      Self.chunked(Self.text, Self.text, Self.usage, Self.done) + "0\r\n\r\n", closes: true)[0]
    #expect(record.outcome == .ok && record.outputTokens == 32 && record.isBurst)
    #expect(record.timePerToken == nil)
  }

  /// What this machine lacks is not the target's fault.
  @Test func anAddressThatIsNotHereIsNobodysFailure() async throws {
    let record = try await probe("http://127.0.0.1:1/v1", from: "192.0.2.1").records[0]
    #expect(record.outcome == .missed, "\(record.outcome)")
    #expect(record.detail?.hasPrefix("this machine: ") == true)
  }

  /// What a probe learns of a server that says this to whoever comes.
  private func stranger(
    _ bytes: String, closes: Bool, warm: Bool = false, timeout: Duration = .milliseconds(300)
  ) async throws -> [ProbeRecord] {
    let listener = try await ServerBootstrap(group: MultiThreadedEventLoopGroup.singleton)
      .childChannelInitializer { channel in
        channel.eventLoop.makeCompletedFuture {
          if bytes.isEmpty, !closes { return }
          channel.writeAndFlush(channel.allocator.buffer(string: bytes)).whenComplete { _ in
            if closes { channel.close(promise: nil) }
          }
        }
      }.bind(host: "127.0.0.1", port: 0).get()
    let port = try #require(listener.localAddress?.port)
    let records = try await probe("http://127.0.0.1:\(port)/v1", timeout: timeout, warm: warm).records
    try await listener.close()
    return records
  }

  @Test func cancellationEndsIt() async throws {
    let emulator = try await RegionEmulator.start(
      Self.emulatedRegions(", faults: [{kind: stall, share: 100%}]"), host: "127.0.0.1", port: 0, log: nil)
    let task = Task {
      try await probe("http://127.0.0.1:\(emulator.port)/eu-west-2/us-east-1/v1", timeout: .seconds(600))
    }
    try await Task.sleep(for: .milliseconds(100))
    task.cancel()
    await #expect(throws: CancellationError.self) { _ = try await task.value }
    await emulator.stop()
  }

  /// A network whose packets are late: the kernel's handshake and its round trip are what the file says. Needs root.
  @Test func delaysOfANetworkAreReal() async throws {
    let emulated = try EmulatedRegions(
      YAMLDocument(
        parsing: """
          name: far
          sources: [eu-west-2]
          links: {eu-west-2: {us-east-1: 40ms}}
          regions: [{region: us-east-1, servers: 500, load: 0, prefill: 20ms, per-token: 1ms, sigma: 0}]
          """, name: "s"))
    let network: DelayedNetwork
    do { network = try DelayedNetwork.start(emulated) } catch { return print("skipped: \(error)") }
    let emulator = try await RegionEmulator.start(
      emulated, host: "0.0.0.0", port: 0, log: nil, isDelayedOutside: true)
    let host = try #require(network.regionAddresses["us-east-1"])
    let answer = try await probe(
      "http://\(host):\(emulator.port)/eu-west-2/us-east-1/v1",
      from: network.sourceAddresses["eu-west-2"])
    await emulator.stop()
    await network.stop()
    let record = answer.records[0]
    #expect(record.outcome == .ok, "\(record.detail ?? "")")
    // Never sooner; how much later is the machine's affair.
    #expect(try #require(record.phases?[.connect]) >= 39_900_000)
    let smallest = try #require(record.tcpMinRTT)
    #expect(smallest >= 39_000 && smallest < 120_000)
    #expect(try #require(record.phases?.requestTTFT) >= 58_000_000)
  }
}
