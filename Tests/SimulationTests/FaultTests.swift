import SpeculationCore
import SpeculationTesting
import Testing

/// Both machines together, over a virtual clock and a faulty network, against plain decoding.
@Suite struct ExchangeTests {
  /// Random trees, delays, policies, sampling settings, faults and lies; the driver checks after every event.
  @Test func textIsPlainTextWhateverHappens() throws {
    try forEachSeed(count: 3000) { seed in _ = try ExchangeDriver.run(ExchangePlan(seed: seed)) }
  }

  @Test func equalSeedsGiveEqualRuns() throws {
    for seed: UInt64 in 1...20 {
      let runs = try (0..<2).map { _ in try ExchangeDriver.run(ExchangePlan(seed: seed)) }
      #expect(runs[0].map(\.statistics) == runs[1].map(\.statistics))
      #expect(runs[0].map(\.elapsed) == runs[1].map(\.elapsed))
    }
  }

  /// The baselines are settings of the same machine, and every one of them gives the same text.
  private enum Mode: CaseIterable { case plain, localSequential, localParallel, entropy, wan }

  private static func run(_ mode: Mode, seed: UInt64, roundTrip: Duration = .milliseconds(30)) throws
    -> SessionReport
  {
    var plan = ExchangePlan(
      script: ScriptedModel(seed: seed, endProbability: 0.002, agreement: 0.9),
      sampling: seed % 2 == 0 ? .greedy : SamplingSettings(temperature: 0.7, seed: seed), maxTokens: 120,
      seed: seed)
    plan.inspectEvery = 64
    var configuration = plan.sessions[0].configuration
    switch mode {
    case .plain: configuration.verification.maxNodes = 0
    case .localSequential:
      plan.sessions[0].hasHomeDraft = true
      configuration.homePolicy = .always
      configuration.homeSchedule = .beforeVerification(length: 5)
      configuration.homeLimits.passWidth = 1
      configuration.homeLimits.candidates = 1
    case .localParallel, .entropy:
      plan.sessions[0].hasHomeDraft = true
      configuration.homePolicy = mode == .entropy ? .entropy(threshold: 0.4) : .always
    case .wan: break
    }
    plan.sessions[0].configuration = configuration
    if mode == .wan || mode == .entropy {
      plan.workers = [ExchangePlan.steadyWorker(delay: (roundTrip / 2)...(roundTrip / 2))]
    }
    return try ExchangeDriver.run(plan)[0]
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
          if statistics.homeExpansions + statistics.acceptedHome > 0 {
            throw CheckFailure("drafts at home: \(statistics)")
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

  /// The entropy policy drafts at home for a part of the places only.
  @Test func policiesOrderTheWorkAtHome() throws {
    var passes: [Mode: Int] = [:]
    for seed: UInt64 in 1...10 {
      for mode in [Mode.localParallel, .entropy, .wan] {
        passes[mode, default: 0] += try Self.run(mode, seed: seed).statistics.homeExpansions
      }
    }
    #expect(passes[.wan] == 0)
    #expect(passes[.entropy]! > 0 && passes[.entropy]! < passes[.localParallel]!)
  }

  /// Lost connections in the middle of the text cost time, and nothing else.
  @Test func aWorkerThatComesAndGoes() throws {
    try forEachSeed(count: 60) { seed in
      var plan = ExchangePlan(
        script: ScriptedModel(seed: seed, endProbability: 0, agreement: 0.95), maxTokens: 80, seed: seed)
      var worker = ExchangePlan.steadyWorker(delay: .milliseconds(5)...(.milliseconds(25)))
      worker.breakage = 0.1
      worker.crashes = seed % 2 == 0
      worker.passFailure = 0.02
      plan.workers = [worker, worker]
      plan.inspectEvery = 2
      _ = try ExchangeDriver.run(plan)
    }
  }

  /// A draft that is always wrong makes nothing wrong.
  @Test func aMisleadingDraft() throws {
    try forEachSeed(count: 40) { seed in
      var plan = ExchangePlan(
        script: ScriptedModel(seed: seed, agreement: 0.95, isMisleading: true), maxTokens: 60, seed: seed)
      plan.workers = [ExchangePlan.steadyWorker(delay: .milliseconds(1)...(.milliseconds(5)))]
      let report = try ExchangeDriver.run(plan)[0]
      if report.statistics.fromTarget != report.text.count { throw CheckFailure("\(report.statistics)") }
    }
  }
}

@Suite struct ScriptedModelTests {
  /// The draft's stated probabilities are true, or every test of estimators on it would mean nothing.
  @Test func theDraftIsCalibrated() {
    let script = ScriptedModel(seed: 3, vocabularySize: 30, endProbability: 0, agreement: 0.8)
    var stated = 0.0
    var matched = 0.0
    let count = 20_000
    for place in 0..<count {
      let hash = script.hash([TokenID(place)], sampling: .greedy)
      let best = script.distribution(hash, candidates: 1).candidates[0]
      stated += Double(best.probability)
      matched += best.token == script.choice(hash) ? 1 : 0
    }
    #expect(abs(stated / Double(count) - 0.8) < 0.01)
    #expect(abs(matched / Double(count) - 0.8) < 0.01)
  }

  @Test(arguments: [2, 3, 4, 20], [false, true])
  func candidatesAreDistinctAndOrdered(_ vocabulary: Int, _ isMisleading: Bool) {
    for agreement in [0, 0.2, 0.9, 1] {
      let script = ScriptedModel(
        seed: 5, vocabularySize: vocabulary, agreement: agreement, isMisleading: isMisleading)
      for place in 0..<200 {
        let hash = script.hash([TokenID(place)], sampling: SamplingSettings(temperature: 1, seed: 9))
        let candidates = script.distribution(hash, candidates: 6).candidates
        #expect(Set(candidates.map(\.token)).count == candidates.count)
        #expect(candidates.map(\.probability) == candidates.map(\.probability).sorted(by: >))
        #expect(candidates.allSatisfy { (0..<TokenID(vocabulary)).contains($0.token) })
        if isMisleading { #expect(!candidates.map(\.token).contains(script.choice(hash))) }
      }
    }
  }

  @Test func verdictsAreThePlainText() {
    let script = ScriptedModel(seed: 8, endProbability: 0)
    let text = script.plain([4, 5], sampling: .greedy, maxTokens: 6)
    let verdicts = script.verdicts(
      prefix: [4, 5], tokens: Array(text.prefix(5)), parents: [-1, 0, 1, 2, 3], sampling: .greedy)
    #expect(verdicts.map(\.token) == text)
  }
}
