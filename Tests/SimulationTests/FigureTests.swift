import Foundation
import Simulator
import SpeculationCore
import Testing

/// The figures that the README and docs/performance.md claim of the simulator, on the shipped recording. They are
/// exact: the same version and seed give the same numbers everywhere.
struct FigureTests {
  static func results(
    _ name: String, _ settings: [(path: String, value: String)]
  ) async throws -> ExperimentResults {
    let scenario = try ScenarioTests.read(name, settings)
    let results = try await Experiment(scenario).run(jobs: 2) { _, _ in }
    return ExperimentResults(
      scenario, zip(scenario.points, results).map { ResultRow($0, $1!, version: "test") })
  }

  private static func row(_ results: ExperimentResults, _ variant: String, _ place: String) throws
    -> ExperimentResults.Entry
  {
    try #require(results.entries(of: variant).first { $0.row.place.contains { $0[1] == place } })
  }

  @Test func aWorkerFarAwayKeepsUp() async throws {
    let results = try await Self.results(
      "round-trip.yaml", [("sweep", "{link.rtt: [80ms, 100ms, 150ms, 160ms]}")])
    func time(_ variant: String, _ place: String) throws -> Double {
      try Self.row(results, variant, place).row.millisecondsPerToken
    }
    // With the settings as they come nothing is drafted locally, and it is as fast as drafting locally.
    #expect(try Self.row(results, "wan", "80ms").row.localExpansionsPerToken == 0)
    #expect(try time("wan", "80ms") <= 8.2)
    #expect(try time("wan", "150ms") <= 10.0)
    #expect(try time("wan", "100ms") <= time("local parallel", "100ms"))
    #expect(try time("wan", "160ms") <= time("local sequential", "160ms"))
    // The operator's dial.
    let near = try Self.row(results, "wan value 23ms", "100ms")
    #expect(near.row.millisecondsPerToken <= (try time("local parallel", "100ms")))
    #expect(try #require(near.moved) >= 0.8)
    let far = try Self.row(results, "wan value 23ms", "150ms")
    #expect(far.row.millisecondsPerToken <= 1.1 * (try time("local parallel", "150ms")))
    #expect(try #require(far.moved) >= 0.7)
  }

  /// The paper's claim: half the passes, no added latency, to about 20 ms.
  @Test func theEntropyPolicyDoesWhatThePaperSays() async throws {
    let results = try await Self.results("entropy.yaml", [("sweep", "{link.rtt: [10ms, 20ms, 70ms]}")])
    for place in ["10ms", "20ms"] {
      let local = try Self.row(results, "local parallel", place)
      let entropy = try Self.row(results, "entropy 1", place)
      #expect(entropy.row.millisecondsPerToken <= 1.02 * local.row.millisecondsPerToken, "\(place)")
      #expect(entropy.row.localExpansionsPerToken <= 0.5 * local.row.localExpansionsPerToken, "\(place)")
    }
    // And where it stops: the work is back locally.
    #expect(try #require(try Self.row(results, "entropy 1", "70ms").moved) < 0.2)
  }

  /// Whatever the network does, the target goes on: never above 1.01 times plain.
  @Test func nothingIsSlowerThanPlain() async throws {
    let results = try await Self.results("extremes.yaml", [])
    for entry in results.entries {
      let speedup = try #require(entry.speedup)
      #expect(speedup >= 1 / 1.01, "\(entry.row.variant) at \(entry.row.place): \(speedup)")
    }
    #expect(results.entries.count > 20)
  }
}
