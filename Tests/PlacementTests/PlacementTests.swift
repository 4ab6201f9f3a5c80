import Foundation
import Placement
import Simulator
import StrictYAML
import StudyAnalysis
import Testing

/// Plans of a few short texts, so that a simulation takes a millisecond.
enum Plans {
  static let scenarios = URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
    .deletingLastPathComponent().appending(path: "Scenarios", directoryHint: .isDirectory)

  /// What is written, on what: 40 ms and 5 ms a pass.
  static let scenario = """
    text: {match-rate: 0.8, after-miss: 0.6, texts: 9, length: 60}
    target: {pass: {1: 40ms, 16: 44ms}, prefill: 1ms}
    draft: {pass: {1: 5ms, 32: 8ms}, prefill: 100us}
    worker: {width: 32, candidates: 6, min-probability: 0.001, min-path: 0.001}
    controller: {verify: {width: 12}}

    """

  static func file(_ text: String, folder: URL = scenarios) throws -> PlanFile {
    try PlanFile(try YAMLDocument(parsing: "name: test\n" + text, name: "plan.yaml"), folder: folder)
  }

  static func result(_ text: String, study: StudyData? = nil, jobs: Int = 2) async throws -> PlanResult {
    try await Planner(try file(scenario + text), study: study).run(jobs: jobs)
  }

  /// What `wanspec simulate` says of a scenario: rows by variant, the best of each choice.
  static func simulated(_ text: String) async throws -> [String: ResultRow] {
    let scenario = try Scenario(
      try YAMLDocument(parsing: "name: hand\n" + text, name: "hand.yaml"), folder: scenarios)
    let results = try await Experiment(scenario).run(jobs: 1) { _, _ in }
    let rows = zip(scenario.points, results).map { ResultRow($0, $1!, version: "") }
    return Dictionary(
      uniqueKeysWithValues: ExperimentResults(scenario, rows).entries.map { ($0.row.variant, $0.row) })
  }
}

@Suite struct PlanTests {
  static let star = """
    sites:
    - {region: us-east-1, controller: true}
    - {region: us-east-2, worker: true}
    - {region: eu-west-2, worker: true}
    - {region: ap-south-1, worker: true}
    - {region: sa-east-1, worker: true}
    rtt: {us-east-1: {us-east-2: 13ms, eu-west-2: 76ms, ap-south-1: 300ms}, sa-east-1: {us-east-1: 115ms}}
    """

  @Test func saysWhatTheSimulatorSays() async throws {
    let pair = try #require(try await Plans.result(Self.star).pair("us-east-1", "eu-west-2"))
    let hour = try #require(pair.hours.first)
    #expect(pair.hours.count == 1 && hour.hour == nil)
    let rows = try await Plans.simulated(
      Plans.scenario + """
        link: {rtt: 76ms}
        variants:
        - name: wan
        - {name: plain, changes: {controller: {mode: plain}}}
        - name: sequential
          changes: {controller: {mode: local-sequential}}
          best-of: {controller.draft-length: [2, 3, 4, 5, 6, 7, 8]}
        - {name: parallel, changes: {controller: {mode: local-parallel}}}
        - name: chain
          changes:
            controller:
              mode: local-parallel
              local: {width: 1, candidates: 1, min-probability: 0, min-path: 0, depth: 64}
              verify: {width: 8, min-path: 0}
        """)
    let wan = try #require(rows["wan"])
    let parallel = try #require(
      [rows["parallel"]!, rows["chain"]!].min { $0.millisecondsPerToken < $1.millisecondsPerToken })
    let local = min(rows["sequential"]!.millisecondsPerToken, parallel.millisecondsPerToken)
    #expect(hour.millisecondsPerToken == wan.millisecondsPerToken)
    #expect(hour.plainMillisecondsPerToken == rows["plain"]!.millisecondsPerToken)
    #expect(hour.localMillisecondsPerToken == local)
    #expect(hour.timeToFirstTokenMilliseconds == wan.timeToFirstToken)
    #expect(hour.bytesPerToken == wan.bytesPerToken)
    #expect(hour.localPassesPerToken == wan.localExpansionsPerToken)
    #expect(hour.moved == 1 - wan.localExpansionsPerToken / parallel.localExpansionsPerToken)
    #expect(abs(hour.ratio - local / wan.millisecondsPerToken) < 1e-9)
    #expect(abs(hour.speedup - rows["plain"]!.millisecondsPerToken / wan.millisecondsPerToken) < 1e-9)
    let interval = try #require(hour.ratioInterval)
    #expect(interval.low < hour.ratio && hour.ratio < interval.high)
  }

  /// What `wanspec bench --predict` does: a profile, T(n) scaled to measured plain decoding, one worker, the link.
  @Test func saysWhatABenchmarkPredicts() async throws {
    let recording = "recordings/qwen2.5-coder.jsonl.gz"
    let profile = "profiles/epyc-2-core.json"
    let file = try Plans.file(
      """
      sites: [{region: eu-west-2, controller: true, worker: true}]
      rtt: {eu-west-2: {eu-west-2: 50ms}}
      profile: \(profile)
      plain: 150ms
      text: {recording: \(recording), texts: 6}
      controller: {mode: wan, verify: {width: 16}}
      """)
    let hour = try #require(try await Planner(file).run(jobs: 2).pairs.first?.hours.first)

    let measured = try CostProfile.read(Plans.scenarios.appending(path: profile).path)
    let texts = TextSource.recording(
      path: Plans.scenarios.appending(path: recording).path, tasks: [], limit: 6, joined: false)
    let scenario = try Scenario(
      try YAMLDocument(
        parsing: """
          name: hand
          text: {match-rate: 0.5}
          target: {pass: 1ms}
          draft: {pass: 1ms}
          link: {rtt: 50ms}
          controller: {mode: wan, verify: {width: 16}}
          """, name: "hand"), folder: Plans.scenarios)
    var plan = try #require(scenario.points.first).setup.plan
    let scale = 0.150 / measured.target.pass.seconds(for: 1)!
    plan.targetCost = .init(
      measured: Dictionary(
        uniqueKeysWithValues: measured.target.pass.points.map { ($0.size, $0.duration * scale) }))
    plan.localCost = measured.draft.pass
    plan.workers[0].cost = measured.draft.pass
    plan.workers[0].prefillPerToken = measured.draft.prefill
    plan.targetPrefillPerToken = measured.target.prefill
    plan.contention = measured.contention
    plan.draftContention = measured.draftContention
    let prediction = Simulation.run(plan, try texts.load(seed: 1))
    #expect(abs(hour.millisecondsPerToken / prediction.millisecondsPerToken - 1) < 1e-6)
    #expect(abs(hour.plainMillisecondsPerToken - 150) < 1e-6)
  }

  /// A profile's contention was measured on one machine; a worker elsewhere is another.
  @Test func contentionEndsAtTheSite() async throws {
    func plan(_ extra: String) async throws -> (here: Double, there: Double) {
      let file = try Plans.file(
        """
        sites: [{region: eu-west-2, controller: true, worker: true}, {region: eu-west-1, worker: true}]
        rtt: {eu-west-2: {eu-west-2: 20ms, eu-west-1: 20ms}}
        profile: profiles/epyc-2-core.json
        text: {match-rate: 0.8, texts: 4, length: 40}
        \(extra)
        """)
      let pairs = try await Planner(file).run(jobs: 2).pairs
      return (pairs[0].millisecondsPerToken, pairs[1].millisecondsPerToken)
    }
    let measured = try await plan("")
    #expect(measured.here > measured.there * 1.05)
    let written = try await plan("contention: 1.22\ndraft-contention: 1")
    #expect(written.here == written.there && abs(written.here - measured.here) < 1e-9)
  }

  @Test func fartherIsSlower() async throws {
    let result = try await Plans.result(Self.star)
    let byDistance = result.pairs.sorted { $0.roundTripMilliseconds < $1.roundTripMilliseconds }
    #expect(byDistance.map(\.worker) == ["us-east-2", "eu-west-2", "sa-east-1", "ap-south-1"])
    for (near, far) in zip(byDistance, byDistance.dropFirst()) {
      #expect(near.millisecondsPerToken < far.millisecondsPerToken)
      #expect(near.localMillisecondsPerToken == far.localMillisecondsPerToken)
    }
    #expect(byDistance.allSatisfy { $0.origin == .given && $0.moved == 1 })
    #expect(result.ranked("us-east-1").first?.worker == "us-east-2")
    #expect(byDistance.first?.verdict == .recommended)
    let far = try #require(byDistance.last)
    #expect(far.verdict == .notWorthIt && far.rank == nil)
    #expect(
      far.reason.contains(
        "RTT 300 ms: \(String(format: "%.0f", (1 - far.ratio) * 100))% slower than drafting locally"))
  }

  @Test func bothDirectionsAreTheSame() async throws {
    let result = try await Plans.result(
      """
      sites:
      - {region: us-east-1, controller: true, worker: true}
      - {region: eu-west-2, controller: true, worker: true}
      - {region: ap-south-1, controller: true, worker: true}
      rtt: {us-east-1: {eu-west-2: 76ms}}
      """)
    for a in result.controllers {
      for b in result.workers {
        let (there, back) = (try #require(result.pair(a, b)), try #require(result.pair(b, a)))
        #expect(there.millisecondsPerToken == back.millisecondsPerToken && there.origin == back.origin)
        #expect(there.isSameSite == (there.origin == .sameSite))
      }
    }
    #expect(result.pair("eu-west-2", "ap-south-1")?.origin == .distance, "nobody measured it")
    let guess =
      Region.known["eu-west-2"]!.typicalRoundTrip(to: Region.known["ap-south-1"]!) / .milliseconds(1)
    #expect(abs((result.pair("eu-west-2", "ap-south-1")?.roundTripMilliseconds ?? 0) - guess) <= 0.5)
    // Without prices what counts is work moved, and a worker at the same site moves none.
    #expect(
      result.pairs.filter(\.isSameSite).allSatisfy { $0.verdict == .works && $0.moved == 0 && $0.rank == nil }
    )
  }

  @Test func equalSetupsAreSimulatedOnce() async throws {
    let result = try await Plans.result(
      """
      sites:
      - {region: us-east-1, controller: true}
      - {region: eu-west-2, controller: true, target: {pass: {1: 40ms, 16: 44ms}}}
      - {region: ap-south-1, worker: true}
      - {region: sa-east-1, worker: true, draft: {pass: {1: 5ms, 32: 8000us}}}
      - {region: eu-north-1, worker: true, worker-changes: {worker: {width: 32}}}
      rtt:
        us-east-1: {ap-south-1: 50ms, sa-east-1: 50ms, eu-north-1: 50ms}
        eu-west-2: {ap-south-1: 50ms, sa-east-1: 50ms, eu-north-1: 60ms}
      """)
    // Plain, seven draft lengths, two parallel ways; two round trips.
    #expect(result.simulations == 10 + 2)
    #expect(Set(result.pairs.map(\.millisecondsPerToken)).count == 2)
  }

  /// A slow worker is the worker's matter: what the controller drafts locally stays as it is.
  @Test func hardwareIsItsSites() async throws {
    let result = try await Plans.result(
      """
      sites:
      - {region: us-east-1, controller: true}
      - {region: eu-west-2, controller: true, target: {pass: 80ms}, draft: {pass: 2ms}}
      - {region: ap-south-1, worker: true}
      - {region: sa-east-1, worker: true, draft: {pass: 20ms}}
      - {region: eu-north-1, worker: true, profile: profiles/mi300x8-llama-70b.json}
      rtt:
        us-east-1: {ap-south-1: 30ms, sa-east-1: 30ms, eu-north-1: 30ms}
        eu-west-2: {ap-south-1: 30ms, sa-east-1: 30ms, eu-north-1: 30ms}
      """)
    for controller in result.controllers {
      let pairs = result.pairs.filter { $0.controller == controller }
      #expect(Set(pairs.map(\.localMillisecondsPerToken)).count == 1)
      #expect(Set(pairs.map(\.plainMillisecondsPerToken)) == [controller == "us-east-1" ? 40 : 80])
      #expect(pairs[1].millisecondsPerToken > pairs[0].millisecondsPerToken, "20 ms a pass against 5 ms")
      // 2.64 ms a pass against 5 ms, which a target of 80 ms hides.
      #expect(
        pairs[2].millisecondsPerToken < pairs[0].millisecondsPerToken * (controller == "us-east-1" ? 1 : 1.03)
      )
    }
  }

  @Test func theNumberOfCoresChangesNothing() async throws {
    let text = Self.star + "\nlink: {jitter: {uniform: 5ms}, loss: 0.5%}\n"
    let encoder = JSONEncoder()
    encoder.outputFormatting = .sortedKeys
    let one = try encoder.encode(try await Plans.result(text, jobs: 1))
    let four = try encoder.encode(try await Plans.result(text, jobs: 4))
    #expect(one == four)
    let decoded = try JSONDecoder().decode(PlanResult.self, from: one)
    #expect(try encoder.encode(decoded) == one)
  }

  @Test func progressCountsToTheEnd() async throws {
    let seen = Progress()
    let result = try await Planner(try Plans.file(Plans.scenario + Self.star)).run(jobs: 2) {
      seen.note($0, $1)
    }
    #expect(seen.calls.map(\.0).sorted() == Array(1...result.simulations))
    #expect(Set(seen.calls.map(\.1)) == [result.simulations])
  }

  @Test func cancellingEndsIt() async throws {
    let file = try Plans.file(Plans.scenario + Self.star)
    let task = Task {
      withUnsafeCurrentTask { $0?.cancel() }
      return try await Planner(file).run(jobs: 1)
    }
    await #expect(throws: CancellationError.self) { try await task.value }
  }

  @Test(arguments: ["three-continents.yaml", "busy-days.yaml"]) func shippedPlansAreValid(name: String)
    async throws
  {
    let file = try PlanFile.read(Plans.scenarios.appending(path: "plans/\(name)").path)
    #expect(file.name + ".yaml" == name)
  }
}

/// Calls from any thread.
private final class Progress: @unchecked Sendable {
  private let lock = NSLock()
  private var noted: [(Int, Int)] = []

  func note(_ done: Int, _ total: Int) { lock.withLock { noted.append((done, total)) } }
  var calls: [(Int, Int)] { lock.withLock { noted } }
}
