import Foundation
import LatencyStudy
import ProcessControl
import RegionEmulator
import StrictYAML
import Testing

/// A emulated in which nothing waits for another.
func emulatedRegions(
  _ extra: String = "",
  regions: String = "- {region: us-east-1, servers: 500, load: 0, prefill: 5ms, per-token: 1ms}"
)
  throws -> EmulatedRegions
{
  let text = "name: test\nsources: [eu-west-2]\nregions:\n\(regions)\n\(extra)"
  return try EmulatedRegions(YAMLDocument(parsing: text, name: "s.yaml"))
}

@Suite struct EmulatedRegionsTests {
  private func refusal(_ extra: String = "", regions: String = "- {region: us-east-1}") -> String {
    do {
      _ = try emulatedRegions(extra, regions: regions)
      return ""
    } catch { return "\(error)" }
  }

  @Test(
    arguments: [
      ("seed: -1", "s.yaml:5: seed: must be"), ("acceleration: 0.5", "s.yaml:5: acceleration: must be"),
      ("start: yesterday", "s.yaml:5: \"yesterday\" is no time"), ("sead: 1", "unknown key \"sead\""),
      ("links: {jitter: 2}", "s.yaml:5: links.jitter"), ("links: {jitter: 2s}", "links.jitter: must be"),
      ("links: {eu-west-2: {us-east-1: fast}}", "links.eu-west-2.us-east-1"),
      ("keys: {access-key: A}", "access-key and secret-key belong together"),
      ("describe: {moon: {latitude: 1}}", "needs \"longitude\""),
    ])
  func badValuesAreRefusedWithTheirLine(extra: String, message: String) {
    #expect(refusal(extra).contains(message), "\(refusal(extra))")
  }

  @Test(
    arguments: [
      ("- {region: us-east-9}", "did you mean"),
      ("- {region: us-east-1, load: 120%}", "regions.0.load: must be"),
      ("- {region: us-east-1, queue: -1}", "regions.0.queue: must be"),
      ("- {region: us-east-1, faults: [{kind: fire, share: 1%}]}", "regions.0.faults.0.kind"),
      (
        "- {region: us-east-1, faults: [{kind: stall, share: 60%}, {kind: reset, share: 60%}]}",
        "more than 100%"
      ),
      ("- {region: us-east-1}\n- {region: us-east-1}", "us-east-1 is there twice"),
      ("  []", "a region at least"),
    ])
  func badRegionsAreRefused(regions: String, message: String) {
    #expect(refusal(regions: regions).contains(message), "\(refusal(regions: regions))")
  }

  @Test func linksMustLeadSomewhere() {
    #expect(
      (try? EmulatedRegions(
        YAMLDocument(
          parsing: "name: a\nsources: [eu-west-2]\nregions: [{region: us-east-1}]\nlinks: {us-west-2: {}}",
          name: "s")))
        == nil)
  }

  /// A round trip is the same from both ends; what is given in the order that counts wins.
  @Test func linksMayBeGivenFromEitherEnd() throws {
    func roundTrips(_ links: String) throws -> [String: [String: Double]] {
      try EmulatedRegions(
        YAMLDocument(
          parsing:
            "name: a\nsources: [eu-west-2, us-east-1]\nregions: [{region: eu-west-2}]\nlinks: {\(links)}",
          name: "s")
      ).roundTrips
    }
    #expect(try roundTrips("eu-west-2: {us-east-1: 80ms}")["us-east-1"]?["eu-west-2"] == 0.08)
    #expect(try roundTrips("us-east-1: {eu-west-2: 70ms}")["us-east-1"]?["eu-west-2"] == 0.07)
    #expect(
      try roundTrips("eu-west-2: {us-east-1: 80ms}, us-east-1: {eu-west-2: 70ms}")["us-east-1"]?["eu-west-2"]
        == 0.07)
    #expect(throws: YAMLError.self) { try roundTrips("us-east-1: {us-east-1: 1ms}") }
  }

  @Test func theLoadFollowsTheLocalDay() throws {
    let emulated = try emulatedRegions(
      regions: "- {region: ap-northeast-1, load: 50%, diurnal: 50%, peak-hour: 15}\n- {region: us-east-1}")
    let site = emulated.sites[0]
    // Tokyo is nine hours ahead: 15:00 there is 6:00 UTC.
    let peak = site.load(at: emulated.start + 6 * 3600, offset: 9)
    let low = site.load(at: emulated.start + 18 * 3600, offset: 9)
    #expect(abs(peak - 0.75) < 1e-9)
    #expect(abs(low - 0.25) < 1e-9)
  }

  /// The campaign that comes with emulated regions is one, and covers it.
  @Test func itsCampaignIsRead() throws {
    let emulated = try emulatedRegions(
      regions: "- {region: us-east-1}\n- {region: eu-west-1}\n- {region: ap-south-1}")
    let text = emulated.campaign(
      address: "127.0.0.1:1", days: 2, every: "30min", locals: ["eu-west-2": "10.77.1.1"])
    let campaign = try Campaign(YAMLDocument(parsing: text, name: "c"))
    #expect(campaign.targets.map(\.region.name) == ["us-east-1", "eu-west-1", "ap-south-1"])
    #expect(campaign.slots == 96)
    #expect(campaign.sources[0].localAddress == "10.77.1.1")
    #expect(campaign.clock == "http://127.0.0.1:1/clock")
  }
}

@Suite struct ServiceQueueTests {
  /// Sigma 0 and a length that is drawn exponentially: M/M/c.
  private func site(servers: Int) throws -> EmulatedRegions.Site {
    try emulatedRegions(
      regions:
        "- {region: us-east-1, servers: \(servers), prefill: 1us, per-token: 1ms, sigma: 0, tokens: 1000}"
    ).sites[0]
  }

  /// Erlang's C: the share of arrivals that wait in M/M/c at utilisation rho.
  private func erlangC(_ servers: Int, _ rho: Double) -> Double {
    let a = rho * Double(servers)
    var term = 1.0
    var sum = 1.0
    for k in 1..<servers {
      term *= a / Double(k)
      sum += term
    }
    let last = term * a / Double(servers) / (1 - rho)
    return last / (sum + last)
  }

  /// Probes take no time and see the queue as Poisson arrivals do (PASTA): their mean wait is C / (c mu (1 - rho)).
  @Test(arguments: [(1, 0.5), (4, 0.7), (8, 0.8)])
  func waitsAreThoseOfTheory(servers: Int, rho: Double) throws {
    var queue = try ServiceQueue(site(servers: servers), seed: 5, start: 0) { _ in rho }
    var sum = 0.0
    let count = 40_000
    for index in 1...count { sum += queue.arrive(at: Double(index) * 0.7, tokens: 1)?.wait ?? 0 }
    let expected = erlangC(servers, rho) / (Double(servers) * (1 - rho))
    #expect(abs(sum / Double(count) / expected - 1) < 0.15, "\(sum / Double(count)) against \(expected)")
  }

  @Test func theSameSeedGivesTheSameWaits() throws {
    func waits(_ seed: UInt64) throws -> [Double] {
      var queue = try ServiceQueue(site(servers: 2), seed: seed, start: 0) { _ in 0.8 }
      return (1...50).compactMap { queue.arrive(at: Double($0), tokens: 10)?.wait }
    }
    #expect(try waits(1) == waits(1))
    #expect(try waits(1) != waits(2))
  }

  /// One server, nobody else: each waits until those before it are done.
  @Test func firstComeFirstServed() throws {
    var queue = try ServiceQueue(site(servers: 1), seed: 1, start: 0) { _ in 0 }
    let visits = [0, 0.01, 0.02].compactMap { queue.arrive(at: $0, tokens: 100) }
    try #require(visits.count == 3)
    let (first, second, third) = (visits[0], visits[1], visits[2])
    #expect(first.wait == 0 && first.ahead == 0)
    #expect(abs(second.wait - 0.09) < 1e-4 && second.ahead == 1)
    #expect(abs(third.wait - 0.18) < 1e-4 && third.ahead == 2)
    #expect(first.gaps.count == 99)
    // After a long silence it is empty.
    #expect(queue.arrive(at: 1e6, tokens: 1)?.wait == 0)
  }

  /// M/M/c/K: with room for so many, the shares of time in each state by the balance of flows; an arrival is turned away
  /// with the probability of the last one, and waits else for the queue that it finds.
  @Test(arguments: [(2, 0, 0.8), (2, 3, 0.9), (4, 2, 0.9)])
  func fullQueuesTurnAwayAsTheorySays(servers: Int, room: Int, rho: Double) throws {
    let places = servers + room
    var weights = [1.0]
    for k in 1...places { weights.append(weights[k - 1] * rho * Double(servers) / Double(min(k, servers))) }
    let total = weights.reduce(0, +)
    let blocked = weights[places] / total
    // Mean service is a second; who finds k >= c ahead waits for k - c + 1 of them to end, c at work.
    var wait = 0.0
    for k in servers..<max(servers, places) {
      wait += weights[k] / (total - weights[places]) * Double(k - servers + 1) / Double(servers)
    }
    let site = try emulatedRegions(
      regions:
        "- {region: us-east-1, servers: \(servers), queue: \(room), prefill: 1us, per-token: 1ms, sigma: 0, "
        + "tokens: 1000}"
    ).sites[0]
    var queue = ServiceQueue(site, seed: 9, start: 0) { _ in rho }
    let count = 40_000
    var waits: [Double] = []
    for index in 1...count {
      // Rare, since a probe that waits takes a place, and turns others away.
      if let visit = queue.arrive(at: Double(index) * 40.3, tokens: 1) { waits.append(visit.wait) }
    }
    let refused = 1 - Double(waits.count) / Double(count)
    #expect(abs(refused - blocked) < 0.01, "\(refused) against \(blocked)")
    let mean = waits.reduce(0, +) / Double(waits.count)
    #expect(abs(mean - wait) < max(0.01, 0.05 * wait), "\(mean) against \(wait)")
  }

  /// The load is what the file says for short requests too: where a request is one to a few tokens, the mean of what is
  /// drawn must be the stated one. Erlang's B of the load, M/G/c/c knows nothing of the distribution.
  @Test(arguments: [1, 2, 5])
  func shortRequestsMakeTheStatedLoad(tokens: Int) throws {
    let (servers, rho) = (3, 0.7)
    var inverse = 1.0
    for k in 1...servers { inverse = 1 + inverse * Double(k) / (rho * Double(servers)) }
    let site = try emulatedRegions(
      regions: "- {region: us-east-1, servers: \(servers), room: 0, prefill: 1us, per-token: 1s, sigma: 0, "
        + "tokens: \(tokens)}"
    ).sites[0]
    var queue = ServiceQueue(site, seed: 3, start: 0) { _ in rho }
    let count = 30_000
    var refused = 0
    // Probes are rare beside the background: they add nothing to the load that is seen.
    for index in 1...count where queue.arrive(at: Double(index) * 20.3 * Double(tokens), tokens: 1) == nil {
      refused += 1
    }
    let share = Double(refused) / Double(count)
    #expect(abs(share - 1 / inverse) < 0.015, "\(share) against \(1 / inverse)")
  }
}

@Suite(.serialized) struct RegionEmulatorTests {
  /// Runs a script with the first Python that has boto3.
  private func bedrockClient(_ arguments: [String]) async throws -> (status: Int32, output: String)? {
    let root = URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
      .deletingLastPathComponent()
    let script = root.appending(path: "Tests/RegionEmulatorTests/bedrock_client.py").path
    func run(_ python: String, _ arguments: [String]) async throws -> (Int32, String) {
      let child = try await ChildProcess.start(
        "python", program: python, arguments: arguments, environment: ["PATH": "/usr/bin:/bin"],
        keptOutput: 1 << 16)
      child.closeInput()
      let status: Int32 = if case .status(let status) = await child.exit() { status } else { -1 }
      return (status, child.output + child.errors)
    }
    for python in [root.appending(path: ".deps/venv/bin/python").path, "/usr/bin/python3"]
    where FileManager.default.isExecutableFile(atPath: python) {
      guard try await run(python, ["-c", "import boto3"]).0 == 0 else { continue }
      return try await run(python, [script] + arguments)
    }
    return nil
  }

  /// AWS's own client reads our frames, finds our errors, and signs as we check.
  @Test func boto3UnderstandsIt() async throws {
    let regions = """
      - {region: us-east-1, servers: 50, load: 0, prefill: 5ms, per-token: 1ms}
      - {region: eu-west-1, servers: 50, load: 0, prefill: 5ms, per-token: 1ms, faults: [{kind: exception, share: 100%}]}
      - {region: ap-south-1, servers: 50, load: 0, faults: [{kind: throttle, share: 100%}]}
      """
    let keys = "keys: {access-key: AKIDEXAMPLE, secret-key: SECRET}"
    let emulator = try await RegionEmulator.start(
      try emulatedRegions(keys, regions: regions), host: "127.0.0.1", port: 0, log: nil)
    let result = try await bedrockClient(["http://127.0.0.1:\(emulator.port)", "eu-west-2"])
    await emulator.stop()
    guard let result else { return print("skipped: boto3 is not installed (dev/bootstrap --tests)") }
    #expect(result.status == 0 && result.output.contains("ok"), "\(result.output)")
  }

  @Test func aPortThatIsTakenIsNamed() async throws {
    let emulator = try await RegionEmulator.start(try emulatedRegions(), host: "127.0.0.1", port: 0, log: nil)
    await #expect(throws: EmulatorError.self) {
      _ = try await RegionEmulator.start(
        try emulatedRegions(), host: "127.0.0.1", port: emulator.port, log: nil)
    }
    await emulator.stop()
    await #expect(throws: EmulatorError.self) {
      _ = try await RegionEmulator.start(
        try emulatedRegions(), host: "127.0.0.1", port: 0, log: "/nonexistent/log")
    }
  }
}
