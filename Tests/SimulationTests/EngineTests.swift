import Foundation
import Simulator
import SpeculationCore
import Testing
import WideArea

/// The simulator against what can be worked out by hand.
struct EngineTests {
  static let target = CostCurve(measured: [1: .milliseconds(30)])
  static let draft = CostCurve(measured: [1: .milliseconds(5)])

  static func texts(_ rate: Double, length: Int = 20_000, seed: UInt64 = 7) -> TokenSource {
    TokenSource(MatchChain(afterHit: rate, afterMiss: rate), texts: 1, length: length, seed: seed)
  }

  static let chain = DraftLimits(
    passWidth: 1, candidates: 1, minProbability: 0, minPathProbability: 0, maxDepth: 64)

  static func wan(
    _ roundTrip: Double, limits: DraftLimits = chain, width: Int = 8, link: LinkModel? = nil, count: Int = 1
  ) -> SimulationPlan {
    var plan = SimulationPlan(
      settings: .wideArea(
        verification: VerificationPolicy(rule: .everything, maxNodes: width, minPathProbability: 0),
        minGain: 0),
      targetCost: target,
      workers: Array(
        repeating: SimulationPlan.Worker(
          limits: limits, cost: draft, link: link ?? LinkModel(roundTripMilliseconds: roundTrip)),
        count: count))
    plan.pool.workersPerSession = count
    return plan
  }

  @Test func eventsComeByTimeAndThenByAge() {
    var queue = EventQueue<Int>()
    var random = LinkRandom(seed: 3)
    let times = (0..<2000).map { _ in Int64(random.next() % 50) }
    for (index, time) in times.enumerated() { queue.schedule(index, at: Timestamp(nanoseconds: time)) }
    var order: [Int] = []
    while let (time, event) = queue.next() {
      #expect(time.nanoseconds == times[event])
      order.append(event)
    }
    #expect(order == times.indices.sorted { (times[$0], $0) < (times[$1], $1) })
  }

  @Test func plainTakesOnePassForEachToken() {
    let result = Simulation.run(
      SimulationPlan(settings: .plain, targetCost: Self.target), Self.texts(0.9, length: 500))
    #expect(result.millisecondsPerToken == 30)
    #expect(result.statistics.steps == 500 && result.elapsed == 500 * 30_000_000)
    #expect(result.localExpansionsPerToken == 0 && result.workerExpansions == 0 && result.upBytes == 0)
  }

  /// Chance moves single passes, not their mean; the same seed draws the same.
  @Test func passesVaryAroundTheirCurve() {
    var plan = SimulationPlan(settings: .plain, targetCost: Self.target)
    plan.variation = PassVariation(target: 0.1, draft: 0.1)
    let result = Simulation.run(plan, Self.texts(0.9, length: 5000))
    #expect(abs(result.millisecondsPerToken - 30) < 0.2 && result.millisecondsPerToken != 30)
    #expect(Simulation.run(plan, Self.texts(0.9, length: 5000)) == result)
    var wan = Self.wan(30)
    let steady = Simulation.run(wan, Self.texts(0.9, length: 5000))
    wan.variation = plan.variation
    let varied = Simulation.run(wan, Self.texts(0.9, length: 5000))
    #expect(varied.elapsed != steady.elapsed)
    #expect(abs(varied.millisecondsPerToken / steady.millisecondsPerToken - 1) < 0.1)
  }

  /// Leviathan et al. 2023, equation 1: with independent matches of rate p, k guesses give
  /// (1 - p^(k+1)) / (1 - p) tokens a step, and a step takes k d + T.
  @Test(arguments: [(0.5, 3), (0.8, 5), (0.9, 7), (0.95, 4)])
  func sequentialDraftingIsTheClosedForm(rate: Double, length: Int) {
    let plan = SimulationPlan(
      settings: .localSequential(length: length), targetCost: Self.target, localCost: Self.draft)
    let result = Simulation.run(plan, Self.texts(rate, length: 60_000))
    let tokens = (1 - pow(rate, Double(length + 1))) / (1 - rate)
    let time = (Double(length) * 5 + 30) / tokens
    #expect(abs(result.tokensPerStep / tokens - 1) < 0.02, "\(result.tokensPerStep), expected \(tokens)")
    #expect(
      abs(result.millisecondsPerToken / time - 1) < 0.02, "\(result.millisecondsPerToken), expected \(time)")
    #expect(abs(result.localExpansionsPerToken * tokens / Double(length) - 1) < 0.02)
  }

  /// A perfect draft is limited by nothing but its own speed, however far away: the target never waits.
  @Test(arguments: [0.0, 30, 100, 400])
  func aPerfectDraftHidesAnyRoundTrip(roundTrip: Double) {
    var limits = Self.chain
    limits.maxDepth = 256
    let result = Simulation.run(Self.wan(roundTrip, limits: limits), Self.texts(1, length: 20_000))
    #expect(abs(result.millisecondsPerToken - 5) < 0.2, "\(result.millisecondsPerToken)")
    #expect(result.localExpansionsPerToken == 0)
  }

  @Test func aUselessDraftCostsNothing() {
    let result = Simulation.run(Self.wan(30), Self.texts(0, length: 2000))
    #expect(result.millisecondsPerToken == 30)
  }

  /// On a chain without alternatives a miss leaves the target alone until the news has gone there and back: the
  /// commit waits up to one draft pass at the worker, which then takes one for the new root.
  @Test func aMissCostsARoundTrip() {
    // Hits only, but for one miss in the middle of each text, which no candidate names.
    var source = Self.texts(1, length: 400)
    source.texts[0].answer[200] = 49_999
    let clean = Simulation.run(Self.wan(100), Self.texts(1, length: 400))
    let missed = Simulation.run(Self.wan(100), source)
    let lost = Double(missed.elapsed - clean.elapsed) / 1e6
    // 105 to 110 ms without news are four steps of one token instead of six each; then the worker, which drafts at
    // 5 ms a level, has to overtake: (105 + 5 p) = 30 p.
    #expect((70...160).contains(lost), "a miss cost \(lost) ms")
    #expect(missed.statistics.bubbles >= clean.statistics.bubbles + 3)
  }

  @Test func treesAndMoreWorkersOnlyHelp() {
    let source = Self.texts(0.8, length: 4000)
    let tree = DraftLimits(
      passWidth: 16, candidates: 4, minProbability: 0.001, minPathProbability: 0.001, maxDepth: 64,
      maxNodes: 4096)
    let chain = Simulation.run(Self.wan(60), source)
    let wide = Simulation.run(Self.wan(60, limits: tree, width: 16), source)
    let two = Simulation.run(Self.wan(60, limits: tree, width: 16, count: 2), source)
    #expect(wide.millisecondsPerToken < chain.millisecondsPerToken * 0.8)
    #expect(two.millisecondsPerToken < wide.millisecondsPerToken * 1.02)
    #expect(two.workerExpansions > wide.workerExpansions)
  }

  /// Sessions of one target share its passes; sessions with targets of their own do not wait for each other.
  @Test func sessionsShareWhatTheyAreToldToShare() {
    let source = TokenSource(MatchChain(afterHit: 0.8, afterMiss: 0.8), texts: 8, length: 300, seed: 2)
    var plan = SimulationPlan(
      settings: .plain, targetCost: CostCurve(measured: [1: .milliseconds(30), 4: .milliseconds(60)]))
    plan.sessions = 4
    plan.sharesTarget = false
    #expect(Simulation.run(plan, source).millisecondsPerToken == 30)
    plan.sharesTarget = true
    // The first request does not wait for the others: its first pass is its own.
    #expect(abs(Simulation.run(plan, source).millisecondsPerToken - 60) < 0.1)
  }

  @Test func aSlowLineDelaysMessages() {
    // 20 kbit/s carry some 60 tokens' worth of expansions a second at best.
    var link = LinkModel(roundTripMilliseconds: 20)
    let fast = Simulation.run(Self.wan(20, link: link), Self.texts(0.9, length: 1000))
    link.up.rateBitsPerSecond = 20_000
    let slow = Simulation.run(Self.wan(20, link: link), Self.texts(0.9, length: 1000))
    #expect(slow.millisecondsPerToken > fast.millisecondsPerToken * 1.3)
    #expect(slow.millisecondsPerToken <= 30)
  }

  @Test func contentionAndOverheadAddUp() {
    var plan = Self.wan(0)
    plan.contention = 1.5
    plan.stepOverhead = .milliseconds(2)
    // Too short for the pool to find that the worker is of no use.
    let result = Simulation.run(plan, Self.texts(0.005, length: 30))
    // The worker always drafts, but before the first pass.
    #expect(abs(result.millisecondsPerToken - 47) < 0.5, "\(result.millisecondsPerToken)")
  }

  /// The same plan and texts give the same bytes, twice and from one and two cores.
  @Test func runsAreReproducible() async throws {
    let scenario = try Scenario.read(
      Shipped.scenarios.appendingPathComponent("impairments.yaml").path,
      settings: [("text.texts", "3"), ("sweep", "{link.loss: [0%, 2%]}")])
    let experiment = Experiment(scenario)
    let one = try await experiment.run(jobs: 1) { _, _ in }
    let two = try await experiment.run(jobs: 2) { _, _ in }
    let again = try await experiment.run(jobs: 2) { _, _ in }
    #expect(one == two && two == again)
    let loss = try #require(one.compactMap(\.self).last)
    #expect(loss.statistics.tokens > 100)
  }

  @Test func theTimelineCoversTheRun() {
    var plan = Self.wan(60)
    plan.recordsTimeline = true
    let result = Simulation.run(plan, Self.texts(0.9, length: 200))
    let passes = result.timeline.filter { $0.kind == .verify || $0.kind == .bubble }
    #expect(passes.count == result.statistics.steps)
    #expect(passes.reduce(0) { $0 + $1.committed } == 200)
    #expect(zip(passes, passes.dropFirst()).allSatisfy { $0.end == $1.start })
    let guesses = result.timeline.filter { $0.kind == .guesses }
    #expect(guesses.allSatisfy { $0.end - $0.start == 30_000_000 })
  }
}

struct MatchChainTests {
  /// Below a longer text each token of a pass has more to attend to, guesses as well.
  @Test func longerTextsTakeLonger() {
    let source = TokenSource(MatchChain(afterHit: 0.8, afterMiss: 0.8), texts: 1, length: 400, seed: 2)
    var plan = SimulationPlan(settings: .plain, targetCost: CostCurve(measured: [1: .milliseconds(30)]))
    let flat = Simulation.run(plan, source).millisecondsPerToken
    plan.targetAttention = AttentionCost(perToken: .microseconds(10), measuredAt: 128)
    let added = Simulation.run(plan, source).millisecondsPerToken - flat
    let prompt = source.texts[0].prompt.count
    // The passes after the first, whose texts grow by one token each.
    let expected = 0.01 * (Double(prompt) + Double(source.texts[0].answer.count) / 2 - 128)
    #expect(abs(added - expected) < 0.02, "\(added), not \(expected)")
    var wan = EngineTests.wan(60)
    let quick = Simulation.run(wan, source)
    wan.draftAttention = AttentionCost(perToken: .microseconds(100), measuredAt: 1)
    let slow = Simulation.run(wan, source)
    #expect(slow.statistics.workerExpansions < quick.statistics.workerExpansions)
    #expect(slow.millisecondsPerToken > quick.millisecondsPerToken)
  }

  /// A chain fitted to texts that a chain made is that chain.
  @Test func fittingFindsTheChain() {
    let chain = MatchChain(afterHit: 0.9, afterMiss: 0.6, spread: 0.5, candidates: 8)
    let source = TokenSource(chain, texts: 4, length: 20_000, seed: 5)
    let recording = Recording(
      target: "t", draft: "d", madeBy: "a test", sampling: .greedy, vocabularySize: source.vocabularySize,
      endTokens: [], candidates: 8,
      texts: source.texts.map { text in
        Recording.Text(
          id: "x", task: "y", prompt: text.prompt,
          positions: zip(text.answer, text.drafts).map {
            Recording.Position(target: $0, probability: 1, gap: 1, draft: $1)
          })
      })
    let fitted = MatchChain(fitting: recording)
    #expect(abs(fitted.afterHit - 0.9) < 0.01 && abs(fitted.afterMiss - 0.6) < 0.02)
    #expect(abs(fitted.matchRate - 0.6 / 0.7) < 0.01)
    #expect(abs(fitted.laterRanks[0] - 0.5) < 0.03)
  }

  /// Bursts of misses cost less than the same misses apart: one bubble pays for several.
  @Test func burstsMatter() {
    let apart = TokenSource(MatchChain(afterHit: 0.8, afterMiss: 0.8), texts: 1, length: 20_000, seed: 5)
    let bursts = TokenSource(MatchChain(afterHit: 0.9, afterMiss: 0.4), texts: 1, length: 20_000, seed: 5)
    #expect(abs(MatchChain(afterHit: 0.9, afterMiss: 0.4).matchRate - 0.8) < 0.001)
    let one = Simulation.run(EngineTests.wan(60), apart)
    let other = Simulation.run(EngineTests.wan(60), bursts)
    #expect(other.millisecondsPerToken < one.millisecondsPerToken)
  }
}
