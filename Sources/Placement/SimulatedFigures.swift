import Simulator

/// What a plan keeps of a simulation.
struct SimulatedFigures: Sendable {
  var millisecondsPerToken: Double
  var localPassesPerToken: Double
  var timeToFirstToken: Double
  var bytesPerToken: Double
  /// Nanoseconds of decoding, by text.
  var decodeTimes: [Double]

  init(_ result: SimulationResult) {
    millisecondsPerToken = result.millisecondsPerToken
    localPassesPerToken = result.localExpansionsPerToken
    timeToFirstToken = result.meanTimeToFirstToken
    bytesPerToken = result.bytesPerToken
    decodeTimes = Array(repeating: 0, count: (result.sessions.map(\.text).max() ?? -1) + 1)
    for session in result.sessions { decodeTimes[session.text] += Double(session.decodeTime) }
  }
}

/// What a controller does without a worker.
struct LocalFigures: Sendable {
  var plain: SimulatedFigures
  /// The fastest way of drafting locally, and what it is.
  var best: SimulatedFigures
  var method: String
  /// Draft passes for each token of the faster parallel way: what counts as all of the draft work.
  var parallelPassesPerToken: Double

  /// - Parameter runs: points and what they came to; the first of equals wins
  /// - Returns: nil when a baseline is missing
  init?(_ runs: [(point: Scenario.Point, figures: SimulatedFigures)]) {
    func fastest(_ names: String...) -> (point: Scenario.Point, figures: SimulatedFigures)? {
      runs.filter { names.contains($0.point.variant) }
        .min { $0.figures.millisecondsPerToken < $1.figures.millisecondsPerToken }
    }
    guard let plain = fastest(PairScenario.plain),
      let parallel = fastest(PairScenario.parallel, PairScenario.chain),
      let best = fastest(PairScenario.sequential, PairScenario.parallel, PairScenario.chain)
    else { return nil }
    self.plain = plain.figures
    self.best = best.figures
    method = best.point.variant + (best.point.choice.first.map { ", \($0.value) guesses" } ?? "")
    parallelPassesPerToken = parallel.figures.localPassesPerToken
  }
}
