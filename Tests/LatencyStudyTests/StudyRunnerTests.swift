import Foundation
import LatencyStudy
import NIOCore
import NIOPosix
import RegionEmulator
import StrictYAML
import Synchronization
import Testing

/// Runs against real servers, one of which accepts and says nothing.
@Suite(.serialized) struct StudyRunnerTests {
  private final class Events: Sendable {
    private let all = Mutex<[StudyEvent]>([])

    func take(_ event: StudyEvent) { all.withLock { $0.append(event) } }

    func contains(_ wanted: (StudyEvent) -> Bool) -> Bool { all.withLock { $0.contains(where: wanted) } }
  }

  private static func silentServer() async throws -> (server: any Channel, url: String) {
    let server = try await ServerBootstrap(group: MultiThreadedEventLoopGroup.singleton)
      .bind(host: "127.0.0.1", port: 0).get()
    return (server, "http://127.0.0.1:\(server.localAddress?.port ?? 0)/v1")
  }

  private static func runner(
    _ store: StudyStore, _ events: Events, concurrency: Int = 2, grace: Duration = .milliseconds(100),
    clock: CampaignClock = .world
  ) throws -> StudyRunner {
    var settings = StudyRunner.Settings(
      source: "eu-west-2", maxRequests: nil, maxUSD: nil, concurrency: concurrency)
    settings.grace = grace
    return try StudyRunner(
      store: store, settings: settings, clock: clock,
      prober: Prober(
        group: MultiThreadedEventLoopGroup.singleton, threads: .singleton, clock: clock, version: "t"),
      credentials: CredentialChain(environment: [:]), version: "t", host: "h", report: { events.take($0) })
  }

  private static func campaign(_ slots: Int, _ urls: [(name: String, url: String)]) throws -> Campaign {
    let targets = urls.map {
      "- {name: \($0.name), region: us-east-1, api: openai-chat, url: '\($0.url)', model: m}"
    }
    return try Campaign(
      YAMLDocument(
        parsing: """
          name: run
          days: \(Double(slots) / 86_400)
          every: 1s
          timeout: 60s
          sources: [eu-west-2]
          targets:
          \(targets.joined(separator: "\n"))
          """, name: "c"))
  }

  /// A target that answers nobody is not left out for it, and costs the other one nothing. An interruption is answered
  /// at once, and what is under way gets its time.
  @Test func aSlowTargetCountsAndHoldsUpNobody() async throws {
    let folder = try TemporaryFolder()
    let (silent, url) = try await Self.silentServer()
    let emulator = try await RegionEmulator.start(
      EmulatedRegions(
        YAMLDocument(
          parsing: """
            name: e
            sources: [eu-west-2]
            links: {eu-west-2: {us-east-1: 0ms}}
            regions: [{region: us-east-1, servers: 50, load: 0, prefill: 5ms, per-token: 1ms}]
            """, name: "s")), host: "127.0.0.1", port: 0, log: nil)
    let campaign = try Self.campaign(
      6,
      [("frozen", url), ("quick", "http://127.0.0.1:\(emulator.port)/eu-west-2/us-east-1/v1")])
    let store = try StudyStore.create(folder.file("s"), campaign: campaign, emulated: nil)
    let events = Events()
    let runner = try Self.runner(store, events)
    let run = Task { try await runner.run() }
    while !events.contains({ if case .draining = $0 { true } else { false } }) {
      try await Task.sleep(for: .milliseconds(20))
    }
    run.cancel()
    #expect(try await run.value == .interrupted)
    #expect(events.contains { if case .draining(2..., .milliseconds(100)) = $0 { true } else { false } })
    let data = try store.data()
    let frozen = try #require(data.pairs.first { $0.target == 0 })
    // Two were under way for longer than anybody waited; the other four were not sent.
    #expect(frozen.requestTTFT == [.infinity, .infinity, .infinity, .infinity])
    #expect(data.pairs.first { $0.target == 1 }?.requestTTFT.count { $0.isFinite } == 6)
    #expect(
      data.exclusions.map { "\($0.outcome) \($0.count) \($0.censored) \($0.example ?? "")" }
        == ["saturated 4 true 2 probes of the target had no answer yet"])
    // They were not sent, and cost nothing.
    let progress = try store.progress(source: "eu-west-2")
    #expect(progress.sent == 6 && progress.stored.count == 10 && progress.missed.isEmpty)
    try await silent.close()
    await emulator.stop()
  }

  /// The clock of the machine is set while a run waits: it says so, goes on with what is due by the new time, and says of
  /// the times between why they were missed.
  @Test func aClockThatIsSetIsFollowed() async throws {
    let folder = try TemporaryFolder()
    let (silent, url) = try await Self.silentServer()
    try await silent.close()
    let campaign = try Self.campaign(63, [("a", url)])
    let store = try StudyStore.create(folder.file("s"), campaign: campaign, emulated: nil)
    let shift = SharedOffset()
    let clock = CampaignClock(acceleration: 1) {
      Int64(Date().timeIntervalSince1970 * 1e9) + shift.value.withLock { $0 }
    }
    let events = Events()
    let runner = try Self.runner(store, events, clock: clock)
    let run = Task { try await runner.run() }
    while !events.contains({ if case .stored = $0 { true } else { false } }) {
      try await Task.sleep(for: .milliseconds(20))
    }
    shift.value.withLock { $0 = 60_000_000_000 }
    #expect(try await run.value == .complete)
    #expect(
      events.contains {
        if case .clockStepped(let seconds) = $0 { (59...61).contains(seconds) } else { false }
      })
    let missed = try store.data().exclusions.filter { $0.outcome == "missed" }
    #expect(missed.map(\.example) == ["the clock was set forward"])
    #expect((57...61).contains(missed.first?.count ?? 0), "\(missed)")
    #expect(try store.progress(source: "eu-west-2").stored.count == 63)
  }

  private final class SharedOffset: Sendable {
    let value = Mutex(Int64(0))
  }
}
