import Console
import SpeculationCore

/// One configuration over all its prompts.
package struct BenchmarkSummary: Sendable {
  package var configuration: BenchmarkConfiguration
  package var rows: [BenchmarkRow]
  package var statistics = SessionStatistics()

  package init(_ configuration: BenchmarkConfiguration, rows: [BenchmarkRow]) {
    self.configuration = configuration
    self.rows = rows
    for row in rows { statistics += row.figures.summary.statistics }
  }

  package static func summarize(
    _ rows: [BenchmarkRow], _ configurations: [BenchmarkConfiguration]
  ) -> [BenchmarkSummary] {
    configurations.map { configuration in
      BenchmarkSummary(configuration, rows: rows.filter { $0.configuration == configuration })
    }
  }

  /// All decode time over all tokens after each prompt's first.
  package var millisecondsPerToken: Double {
    let time = rows.reduce(0) { $0 + $1.figures.summary.decodeTime.inMilliseconds }
    let tokens = rows.reduce(0) { $0 + max(0, $1.tokens.count - 1) }
    return time / Double(tokens)
  }

  package var bytesPerToken: Double? {
    let bytes = rows.compactMap(\.figures.networkBytes)
    return bytes.isEmpty ? nil : Double(bytes.reduce(0, +)) / Double(statistics.tokens)
  }

  package var firstGuess: Quantiles? { Quantiles(rows.compactMap(\.figures.summary.timeToFirstGuess)) }
  package var stepOverhead: Quantiles? { Quantiles(rows.flatMap(\.figures.summary.stepOverheads)) }

  package func speed(against other: BenchmarkSummary) -> Double {
    other.millisecondsPerToken / millisecondsPerToken
  }

  /// The slowest prompt's speed against the same prompt in `other`: of a prompt's repeats, the median of the
  /// ratios within each round.
  package func worstSpeed(against other: BenchmarkSummary) -> (speed: Double, prompt: String)? {
    Dictionary(grouping: rows, by: \.prompt.id).compactMap { prompt, rows in
      let speeds = rows.compactMap { row in
        other.rows.first { $0.prompt.id == prompt && $0.round == row.round }
          .map { $0.millisecondsPerToken / row.millisecondsPerToken }
      }.filter { $0.isFinite && $0 > 0 }.sorted()
      guard !speeds.isEmpty else { return nil }
      return (speed: (speeds[(speeds.count - 1) / 2] + speeds[speeds.count / 2]) / 2, prompt: prompt)
    }.min { ($0.speed, $0.prompt) < ($1.speed, $1.prompt) }
  }

  /// How far repeats of one prompt lie apart, slowest time over fastest, at worst: the machine's own noise. nil
  /// without repeats.
  package var spread: Double? {
    Dictionary(grouping: rows, by: \.prompt.id).values.compactMap { rows in
      // A text that is over after its first step has no time per token.
      let times = rows.map(\.millisecondsPerToken).filter { $0.isFinite && $0 > 0 }
      guard times.count > 1 else { return nil }
      return times.max()! / times.min()!
    }.max()
  }

  package var same: Int { rows.count { $0.comparison == .same } }
  package var nearTies: [(prompt: String, index: Int, margin: Float)] {
    rows.compactMap { row in
      if case .nearTie(let index, let margin) = row.comparison { (row.prompt.id, index, margin) } else { nil }
    }
  }
  package var differences: [(prompt: String, index: Int, margin: Float)] {
    rows.compactMap { row in
      if case .different(let index, let margin) = row.comparison {
        (row.prompt.id, index, margin)
      } else {
        nil
      }
    }
  }

  /// "yes", "23/24 + 1 near-tie", "NO: 2 of 24 differ"; "-" unless every text was compared.
  package var sameText: String {
    if configuration.mode == .plain { return "(reference)" }
    if !differences.isEmpty { return "NO: \(differences.count) of \(rows.count) differ" }
    if rows.isEmpty || rows.contains(where: { $0.comparison == nil }) { return "-" }
    let ties = nearTies.count
    return ties == 0 ? "yes" : "\(same)/\(rows.count) + \(ties) near-tie\(ties == 1 ? "" : "s")"
  }
}

extension [BenchmarkSummary] {
  package var plain: BenchmarkSummary? { first { $0.configuration.mode == .plain } }
  package var localParallel: BenchmarkSummary? { first { $0.configuration.mode == .localParallel } }

  /// Share of local parallel's controller draft passes that `summary` saves; nil where no worker drafts.
  package func workMoved(_ summary: BenchmarkSummary) -> Double? {
    guard summary.configuration.mode == .wan,
      let parallel = localParallel?.statistics.localExpansionsPerToken, parallel > 0
    else { return nil }
    return 1 - summary.statistics.localExpansionsPerToken / parallel
  }

  package func table() -> TextTable {
    var table = TextTable([
      "mode", "ms/token", "vs plain", "worst prompt", "tokens/step", "draft passes/token", "work moved",
      "WAN bytes/token", "same text",
    ])
    for summary in self {
      let statistics = summary.statistics
      table.add([
        summary.configuration.name, summary.millisecondsPerToken.fixed(1),
        plain.map { summary.speed(against: $0).fixed(2) + "x" } ?? "-",
        summary.configuration.mode == .plain
          ? "-" : plain.flatMap { summary.worstSpeed(against: $0) }.map { $0.speed.fixed(2) + "x" } ?? "-",
        statistics.tokensPerStep.fixed(2), statistics.localExpansionsPerToken.fixed(2),
        workMoved(summary).map { (100 * $0).fixed(0) + "%" } ?? "-",
        summary.bytesPerToken?.fixed(0) ?? "-", summary.sameText,
      ])
    }
    return table
  }
}
