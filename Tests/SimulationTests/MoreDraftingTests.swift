import Simulator
import SpeculationCore
import Testing
import WideArea

/// A worker that is faster, or wider, or may hold more never makes a text slower.
struct MoreDraftingTests {
  static let texts: [String: TokenSource] = {
    var recording = try! Recording.read(Shipped.recording)
    recording.texts = Array(recording.texts.prefix(6))
    return [
      "recorded": TokenSource(recording, joined: true, seed: 1),
      "chain of 0.7": EngineTests.texts(0.7, length: 1000, seed: 11),
      "chain of 0.9": EngineTests.texts(0.9, length: 1000, seed: 12),
    ]
  }()

  static func millisecondsPerToken(
    _ text: String, _ draft: Double, width: Int, candidates: Int, nodes: Int, roundTrip: Double
  ) -> Double {
    let limits = DraftLimits(
      passWidth: width, candidates: candidates, minProbability: 0.0001, minPathProbability: 0.0001,
      maxDepth: 256, maxNodes: nodes)
    let plan = SimulationPlan(
      settings: .wideArea(), targetCost: EngineTests.target,
      workers: [
        SimulationPlan.Worker(
          limits: limits, cost: CostCurve(measured: [1: .microseconds(Int64(draft * 1000))]),
          link: LinkModel(roundTripMilliseconds: roundTrip))
      ])
    let result = Simulation.run(plan, texts[text]!)
    #expect(result.statistics.droppedExpansions == 0)
    return result.millisecondsPerToken
  }

  @Test(arguments: ["recorded", "chain of 0.7", "chain of 0.9"], [0.0, 80])
  func neverMakesATextSlower(text: String, roundTrip: Double) {
    // Each may do more than the one before: faster, wider, larger.
    let workers: [(draft: Double, width: Int, candidates: Int, nodes: Int)] = [
      (30, 8, 4, 1024), (15, 8, 4, 1024), (5, 8, 4, 1024), (5, 8, 4, 4096), (5, 32, 8, 4096),
      (5, 128, 8, 4096), (5, 256, 12, 20_000), (1, 256, 12, 20_000),
    ]
    var before = Double.infinity
    for worker in workers {
      let time = Self.millisecondsPerToken(
        text, worker.draft, width: worker.width, candidates: worker.candidates, nodes: worker.nodes,
        roundTrip: roundTrip)
      #expect(time <= before * 1.01, "\(worker): \(time) after \(before)")
      before = time
    }
  }

  /// The least tree against the usual one.
  @Test(arguments: [16, 64, 256])
  func aSmallTreeIsStillOfUse(nodes: Int) {
    let small = Self.millisecondsPerToken(
      "recorded", 5, width: 128, candidates: 8, nodes: nodes, roundTrip: 30)
    let large = Self.millisecondsPerToken(
      "recorded", 5, width: 128, candidates: 8, nodes: 4096, roundTrip: 30)
    #expect(large <= small * 1.01 && small < 20)
  }
}
