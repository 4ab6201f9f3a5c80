import Simulator
import SpeculationCore
import Testing

/// The settings that hold without a word are the best there are, or near them: a part of `Scenarios/defaults.yaml`,
/// which has all of the grid.
struct DefaultsTests {
  /// How much slower than the best setting by hand, at each place.
  private static func losses(_ settings: [(path: String, value: String)]) async throws -> [(
    place: String, loss: Double
  )] {
    let results = try await FigureTests.results("defaults.yaml", settings)
    var losses: [(place: String, loss: Double)] = []
    for entry in results.entries where entry.row.variant.hasPrefix("defaults, ") {
      let hardware = entry.row.variant.dropFirst("defaults, ".count)
      let hand = try #require(
        results.entries(of: "by hand, \(hardware)").first { $0.row.place == entry.row.place })
      losses.append(
        (
          "\(hardware), \(entry.row.place.map { $0[1] })",
          entry.row.millisecondsPerToken / hand.row.millisecondsPerToken - 1
        ))
    }
    return losses
  }

  @Test func noSettingByHandIsMuchBetter() async throws {
    let losses = try await Self.losses([
      (
        "sweep",
        """
        {link.rtt: [0ms, 80ms], text: [{recording: recordings/qwen2.5-coder.jsonl.gz, texts: 5},
        {match-rate: 0.7, texts: 3}, {match-rate: 0.9, texts: 3}]}
        """
      )
    ])
    try #require(losses.count == 2 * 3 * 6)
    let sorted = losses.map(\.loss).sorted()
    #expect(sorted[sorted.count / 2] <= 0.03)
    for (place, loss) in losses {
      #expect(loss <= 0.06, "\(place): \(loss * 100)% slower than the best by hand")
    }
  }
}
