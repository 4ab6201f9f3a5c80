import Foundation
import Simulator
import SpeculationCore
import SpeculationTesting
import SplitMix
import Testing

/// Random topologies, workloads and faults; the run itself checks after every event.
@Suite struct FaultTests {
  private static let seeds: UInt64 = 2000

  /// At the same time a test that the campaign exercises what it says it does: every kind of fault, and every
  /// consequence of one, at least once.
  @Test func noRuleIsBrokenWhateverHappens() {
    let summary = FaultCampaign.run(seeds: 1..<(Self.seeds + 1), cores: 2)
    if let failure = summary.failure { Issue.record("\(failure)") }
    #expect(summary.runs == Int(Self.seeds))
    #expect(summary.missing.isEmpty)
    for counter in [
      FaultCounts.Counter.acceptedRemote, .acceptedLocal, .acceptedLookup, .pausedCommits, .lateExpansions,
      .forgottenNodes, .mirrorComparisons, .placementChecks, .preemptions, .resumptions, .queued, .refusals,
      .prefillPieces, .sharedPasses, .retriedAlone, .singleFailures, .displacements, .lateReleases,
    ] {
      #expect(summary.counts[counter] > 50, "\(counter.words)")
    }
  }

  /// The seed is the bug report: the same events in the same order, in every process and on however many cores.
  @Test func equalSeedsGiveEqualRuns() {
    let one = FaultCampaign.run(seeds: 500..<600, cores: 1)
    let two = FaultCampaign.run(seeds: 500..<600, cores: 2)
    #expect(one.digest == two.digest)
    #expect(one.counts == two.counts)
    #expect(one.digest != FaultCampaign.run(seeds: 500..<599, cores: 1).digest)
  }

  @Test func plansSurviveBeingWrittenDown() throws {
    for seed: UInt64 in 1...50 {
      let plan = FaultPlan(seed: seed)
      #expect(try FaultPlan(json: plan.json()) == plan)
      #expect(try FaultPlan(json: plan.json(isIndented: true)) == plan)
    }
    let small = FaultPlan(script: ScriptedModel(seed: 7), seed: .max)
    #expect(try FaultPlan(json: small.json()) == small)
  }

  @Test func plansThatMakeNoSenseAreRefused() {
    for change: (inout FaultPlan) -> Void in [
      { $0.controllers = 0 }, { $0.inspectEvery = 0 }, { $0.liveness = 0 }, { $0.sessions[0].prompt = [] },
      { $0.sessions[0].controller = 9 }, { $0.sessions[0].localLimits.candidates = 0 },
      { $0.faults = [FaultPlan.Fault(.crash, subject: 0, at: 0)] }, { $0.servers[0].cells = 1 },
      { $0.servers[0].branches = 0 }, { $0.servers[0].prefillChunk = 0 }, { $0.servers[0].maxSessions = 0 },
    ] {
      var plan = FaultPlan(script: ScriptedModel(seed: 7), seed: 1)
      plan.servers = [FaultPlan.Server()]
      change(&plan)
      #expect(plan.problem != nil)
      #expect(throws: BrokenRule.self) { try plan.run() }
      #expect(throws: FaultPlan.BrokenPlan.self) { try FaultPlan(json: plan.json()) }
    }
  }

  /// A failure must be found before it can be shrunk: a codec that is broken in a way which the checks must see.
  private struct LyingCodec: FrameCodec {
    let honest = PlainFrameCodec()
    func encode(_ items: [WorkerFrameItem]) -> [[UInt8]] { honest.encode(items) }
    func encode(_ items: [ControllerFrameItem]) -> [[UInt8]] { honest.encode(items) }
    func decodeWorkerFrame(_ contents: ArraySlice<UInt8>) throws -> [WorkerFrameItem] {
      try honest.decodeWorkerFrame(contents)
    }
    func decodeControllerFrame(_ contents: ArraySlice<UInt8>) throws -> [ControllerFrameItem] {
      try honest.decodeControllerFrame(contents).map { item in
        guard case .message(.commit(let id, var commit)) = item, commit.tokens.count > 2
        else { return item }
        commit.tokens.reverse()
        return .message(.commit(id, commit))
      }
    }
  }

  @Test func failuresAreFoundAndShrunk() throws {
    let summary = FaultCampaign.run(seeds: 1..<400, cores: 2, codec: LyingCodec())
    let failure = try #require(summary.failure)
    #expect(failure.seed == summary.failedSeeds.first)
    #expect(failure.shrunk.json().count < failure.plan.json().count)
    #expect(failure.shrunk.faults.count <= 1)
    #expect(failure.shrunk.sessions.count == 1)
    #expect(failure.shrunk.workers.count == 1)
    #expect(failure.shrunkBroken.kind == failure.broken.kind)
    #expect(throws: BrokenRule.self) { try failure.shrunk.run(codec: LyingCodec()) }
    // The plan is not at fault.
    _ = try failure.shrunk.run()
  }

  /// Four sessions in a cache of one and a quarter, on one engine that fails now and then: nobody is refused, nobody
  /// fails whose own pass did not, all texts are those of plain decoding (which every run checks).
  @Test func aFullCacheMeansWaiting() throws {
    var counts = FaultCounts()
    try forEachSeed(count: 40) { seed in
      var plan = FaultPlan(script: ScriptedModel(seed: seed, endProbability: 0, agreement: 0.9), seed: seed)
      plan.sessions = (0..<8).map { index in
        var session = FaultPlan.Session()
        session.prompt = (0..<60).map { 1 + TokenID(($0 * 7 + index) % 19) }
        session.maxTokens = 120
        session.start = Microseconds(index) * 20_000
        return session
      }
      var server = FaultPlan.Server()
      server.cells = 250
      server.maxSessions = 1 + Int(seed % 4)
      server.prefillChunk = 16
      server.releaseDelay = 30_000
      server.fullFailure = seed % 2 == 0 ? 0.05 : 0
      plan.servers = [server]
      plan.workers = [FaultPlan.Worker()]
      plan.faultsEnd = 4_000_000
      let outcome = try plan.run()
      counts += outcome.counts
      for session in outcome.sessions where session.finish != .length {
        guard case .failed = session.finish, server.fullFailure > 0 else {
          throw CheckFailure("ends with \(String(describing: session.finish)), \(session.text.count) tokens")
        }
      }
    }
    #expect(counts[.preemptions] > 40)
    #expect(counts[.resumptions] > 40)
    #expect(counts[.refusals] == 0)
    #expect(counts[.prefillPieces] > 40)
  }

  private static var regressions: [URL] {
    let folder = URL(filePath: #filePath).deletingLastPathComponent().appending(path: "Regressions")
    let files = try? FileManager.default.contentsOfDirectory(at: folder, includingPropertiesForKeys: nil)
    return (files ?? []).filter { $0.pathExtension == "json" }.sorted { $0.path < $1.path }
  }

  /// Plans that broke a rule once.
  @Test func regressions() throws {
    #expect(Self.regressions.count >= 3)
    for file in Self.regressions {
      let name = file.deletingPathExtension().lastPathComponent
      let regression = try FaultRegression(json: String(contentsOf: file, encoding: .utf8))
      do {
        _ = try regression.plan.run()
      } catch {
        Issue.record("\(name) (\(regression.about)): \(error.kind.rawValue): \(error)")
      }
    }
  }
}

@Suite struct EventQueueTests {
  @Test func eventsComeInTheOrderOfTimeAndThenOfScheduling() {
    var queue = EventQueue<Int>()
    var random = SplitMix64(seed: 4)
    var expected: [(time: Int64, serial: Int)] = []
    for serial in 0..<500 {
      let time = Int64.random(in: 0...50, using: &random)
      queue.schedule(serial, at: Timestamp(nanoseconds: time))
      expected.append((time, serial))
    }
    #expect(queue.nextTime == expected.map { Timestamp(nanoseconds: $0.time) }.min())
    var found: [Int] = []
    while let next = queue.next() { found.append(next.event) }
    #expect(found == expected.sorted { $0 < $1 }.map(\.serial))
    #expect(queue.isEmpty)
  }
}
