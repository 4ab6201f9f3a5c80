import Simulator
import SpeculationCore
import SpeculationTesting
import SplitMix
import Testing

/// Both machines together, over a virtual clock and a network of bytes, against plain decoding: what each mode
/// promises, without faults or with a few chosen ones.
@Suite struct ModeTests {
  /// The baselines are settings of the same machine, and every one of them gives the same text.
  private enum Mode: CaseIterable { case plain, localSequential, localParallel, entropy, wan }

  private static func plan(seed: UInt64, agreement: Double, maxTokens: Int) -> FaultPlan {
    var plan = FaultPlan(
      script: ScriptedModel(seed: seed, endProbability: 0.002, agreement: agreement), seed: seed)
    plan.sessions[0].maxTokens = maxTokens
    plan.inspectEvery = 64
    return plan
  }

  private static func steadyWorker(delay: Microseconds, jitter: Microseconds = 0) -> FaultPlan.Worker {
    var worker = FaultPlan.Worker()
    worker.delay = delay
    worker.jitter = jitter
    return worker
  }

  private static func run(_ mode: Mode, seed: UInt64, roundTrip: Microseconds = 30_000) throws
    -> FaultOutcome.Session
  {
    var plan = plan(seed: seed, agreement: 0.9, maxTokens: 120)
    if seed % 2 != 0 {
      plan.sessions[0].temperature = 0.7
      plan.sessions[0].samplingSeed = seed
    }
    switch mode {
    case .plain: plan.sessions[0].maxVerified = 0
    case .localSequential:
      plan.sessions[0].hasLocalDraft = true
      plan.sessions[0].localPolicy = .always
      plan.sessions[0].draftsBefore = 5
      plan.sessions[0].localLimits.passWidth = 1
      plan.sessions[0].localLimits.candidates = 1
    case .localParallel, .entropy:
      plan.sessions[0].hasLocalDraft = true
      plan.sessions[0].localPolicy = mode == .entropy ? .entropy(threshold: 0.4) : .always
    case .wan: break
    }
    if mode == .wan || mode == .entropy { plan.workers = [steadyWorker(delay: roundTrip / 2)] }
    return try plan.run().sessions[0]
  }

  @Test func everyModeGivesTheSameText() throws {
    try forEachSeed(count: 20) { seed in
      let plain = try Self.run(.plain, seed: seed)
      for mode in Mode.allCases {
        let report = try Self.run(mode, seed: seed)
        if report.text != plain.text { throw CheckFailure("\(mode) gives another text") }
        let statistics = report.statistics
        switch mode {
        case .plain:
          if statistics.steps != plain.text.count || statistics.verifiedNodes > 0 {
            throw CheckFailure("plain decoding speculates: \(statistics)")
          }
        case .localSequential, .localParallel:
          if statistics.acceptedRemote + statistics.workerExpansions > 0 {
            throw CheckFailure("a worker out of nowhere: \(statistics)")
          }
        case .wan:
          if statistics.localExpansions + statistics.acceptedLocal > 0 {
            throw CheckFailure("drafts locally: \(statistics)")
          }
        case .entropy: break
        }
      }
    }
  }

  /// Speculation is for speed: on an agreeable draft every mode beats plain decoding, the far worker included.
  @Test func everyModeIsFasterThanPlain() throws {
    var elapsed: [Mode: Duration] = [:]
    for seed: UInt64 in 1...10 {
      for mode in Mode.allCases { elapsed[mode, default: .zero] += try Self.run(mode, seed: seed).elapsed }
    }
    let plain = try #require(elapsed[.plain])
    #expect(elapsed[.localSequential]! * 1.5 < plain)
    #expect(elapsed[.localParallel]! * 2 < plain)
    #expect(elapsed[.entropy]! * 2 < plain)
    #expect(elapsed[.wan]! * 2 < plain)
  }

  /// The entropy policy drafts locally for a part of the places only.
  @Test func policiesOrderTheWorkAtLocal() throws {
    var passes: [Mode: Int] = [:]
    for seed: UInt64 in 1...10 {
      for mode in [Mode.localParallel, .entropy, .wan] {
        passes[mode, default: 0] += try Self.run(mode, seed: seed).statistics.localExpansions
      }
    }
    #expect(passes[.wan] == 0)
    #expect(passes[.entropy]! > 0 && passes[.entropy]! < passes[.localParallel]!)
  }

  /// A draft that is always wrong makes nothing wrong.
  @Test func aMisleadingDraft() throws {
    try forEachSeed(count: 40) { seed in
      var plan = Self.plan(seed: seed, agreement: 0.95, maxTokens: 60)
      plan.script.isMisleading = true
      plan.inspectEvery = 1
      plan.workers = [Self.steadyWorker(delay: 1_000, jitter: 4_000)]
      let report = try plan.run().sessions[0]
      if report.statistics.fromTarget != report.text.count { throw CheckFailure("\(report.statistics)") }
    }
  }

  /// Lost connections in the middle of the text cost time, and nothing else.
  @Test func aWorkerThatComesAndGoes() throws {
    var counts = FaultCounts()
    try forEachSeed(count: 60) { seed in
      var plan = Self.plan(seed: seed, agreement: 0.95, maxTokens: 80)
      plan.script.endProbability = 0
      plan.workers = Array(repeating: Self.steadyWorker(delay: 5_000, jitter: 20_000), count: 2)
      var random = SplitMix64(seed: seed)
      for _ in 0..<12 {
        var fault = FaultPlan.Fault(
          seed % 2 == 0 ? .crash : .cut, subject: Int.random(in: 0...1, using: &random),
          at: Microseconds.random(in: 0...1_500_000, using: &random))
        if fault.kind == .cut { fault.amount = Int.random(in: 0...200, using: &random) }
        fault.duration = 50_000
        plan.faults.append(fault)
      }
      plan.faultsEnd = 2_000_000
      counts += try plan.run().counts
    }
    #expect(counts[.connections] > counts[.sessions] * 4)
    #expect(counts[.acceptedRemote] > counts[.sessions] * 10)
  }
}
