import Console
import ModelBackend
import NodeRuntime
import Simulator
import SpeculationCore
import WideArea

/// What the simulator says of a benchmark's configurations, beside what was measured.
///
/// It is given the texts that the target wrote, what the draft says of them, and pass times measured apart. One
/// thing is taken from the benchmark itself: plain decoding's time per token scales T(n), since the contexts of
/// real prompts are longer than the measurement's. So plain is exact by construction, and no evidence.
package struct BenchmarkPrediction: Sendable {
  package struct Figures: Sendable {
    package var millisecondsPerToken: Double
    package var tokensPerStep: Double
    /// Guesses that a target pass checks.
    package var guessesPerStep: Double

    init(_ millisecondsPerToken: Double, _ statistics: SessionStatistics) {
      self.millisecondsPerToken = millisecondsPerToken
      tokensPerStep = statistics.tokensPerStep
      guessesPerStep = Double(statistics.verifiedNodes) / Double(max(1, statistics.steps))
    }
  }

  package struct Row: Sendable {
    package var configuration: BenchmarkConfiguration
    package var measured: Figures
    package var simulated: Figures

    /// Simulated against measured time, 0 for equal.
    package var error: Double { simulated.millisecondsPerToken / measured.millisecondsPerToken - 1 }
  }

  package var rows: [Row]
  package var profile: CostProfile

  /// - Parameter cache: what the measured runs found in the caches
  package init(
    _ summaries: [BenchmarkSummary], texts: [TokenSource.Text], vocabularySize: Int, profile: CostProfile,
    cache: BenchmarkCache
  ) {
    self.profile = profile
    let source = TokenSource(
      texts: texts, vocabularySize: vocabularySize, elsewhere: texts.flatMap(\.drafts), seed: 1)
    let plain = summaries.plain?.millisecondsPerToken ?? profile.target.pass.seconds(for: 1)! * 1000
    let single =
      profile.target.pass.seconds(for: 1)!
      + profile.target.attention.perToken.inSeconds
      * (Self.meanContext(texts) - Double(profile.target.attention.measuredAt))
    let scale = plain / 1000 / single
    let target = CostCurve(
      measured: Dictionary(
        uniqueKeysWithValues: profile.target.pass.points.map { ($0.size, $0.duration * scale) }))
    rows = summaries.map { summary in
      let configuration = summary.configuration
      let link = LinkModel(roundTripMilliseconds: configuration.roundTrip?.inMilliseconds ?? 0)
      var plan = SimulationPlan(
        settings: configuration.settings(hasLocal: true), targetCost: target, localCost: profile.draft.pass,
        workers: [
          SimulationPlan.Worker(
            limits: configuration.byHand.usesAutopilot ? Autopilot.limits : DraftLimits(),
            cost: profile.draft.pass,
            prefillPerToken: cache.draftKeeps ? .zero : profile.draft.prefill, link: link)
        ])
      plan.targetPrefillPerToken = cache.targetKeeps ? .zero : profile.target.prefill
      plan.targetOutput = profile.target.output * scale
      plan.sharesPrompts = false
      plan.variation = profile.variation
      plan.targetAttention = profile.target.attention
      plan.targetAttention.perToken = profile.target.attention.perToken * scale
      plan.draftAttention = profile.draft.attention
      plan.contention = profile.contention
      plan.draftContention = profile.draftContention
      let result = Simulation.run(plan, source)
      return Row(
        configuration: configuration,
        measured: Figures(summary.millisecondsPerToken, summary.statistics),
        simulated: Figures(result.millisecondsPerToken, result.statistics))
    }
  }

  /// Tokens of text before a token of an answer, on average.
  private static func meanContext(_ texts: [TokenSource.Text]) -> Double {
    let tokens = texts.reduce(0) { $0 + $1.answer.count }
    let before = texts.reduce(0.0) {
      $0 + Double($1.answer.count) * (Double($1.prompt.count) + Double($1.answer.count) / 2)
    }
    return before / Double(max(1, tokens))
  }

  /// Absolute errors of all rows but plain, ascending.
  package var errors: [Double] {
    rows.filter { $0.configuration.mode != .plain }.map { abs($0.error) }.sorted()
  }

  package var text: String {
    var table = TextTable([
      "configuration", "measured ms/token", "simulated", "difference", "measured tokens/step", "simulated",
      "measured guesses/step", "simulated",
    ])
    for row in rows {
      table.add([
        row.configuration.name, row.measured.millisecondsPerToken.fixed(1),
        row.simulated.millisecondsPerToken.fixed(1),
        row.configuration.mode == .plain
          ? "(scale)" : (row.error >= 0 ? "+" : "") + (row.error * 100).fixed(1) + "%",
        row.measured.tokensPerStep.fixed(2), row.simulated.tokensPerStep.fixed(2),
        row.measured.guessesPerStep.fixed(2), row.simulated.guessesPerStep.fixed(2),
      ])
    }
    let errors = self.errors
    let summary =
      errors.isEmpty
      ? ""
      : "\nsimulated against measured: median \((errors[errors.count / 2] * 100).fixed(1))%, "
        + "worst \((errors.last! * 100).fixed(1))% over \(errors.count) configurations"
    let slowed =
      "\nwhile the other computes, passes take \(profile.contention.fixed(2)) (target) and "
      + "\(profile.draftContention.fixed(2)) (draft) times as long, and vary by "
      + "\((profile.variation.target * 100).fixed(0))% and \((profile.variation.draft * 100).fixed(0))%"
    return "Simulator against reality\n" + table.rendered() + slowed + summary
  }

  package var objects: [[String: any Sendable]] {
    rows.map { row in
      [
        "kind": "prediction", "configuration": row.configuration.name,
        "measured_ms_per_token": row.measured.millisecondsPerToken,
        "simulated_ms_per_token": row.simulated.millisecondsPerToken,
        "measured_tokens_per_step": row.measured.tokensPerStep,
        "simulated_tokens_per_step": row.simulated.tokensPerStep,
        "measured_guesses_per_step": row.measured.guessesPerStep,
        "simulated_guesses_per_step": row.simulated.guessesPerStep,
      ]
    }
  }
}

extension Benchmark {
  /// The plain texts of a benchmark with what the draft says of them: what a simulation of it runs on.
  package func simulatedTexts(_ rows: [BenchmarkRow], draft: any DraftModel) async throws -> [TokenSource
    .Text]
  {
    var texts: [TokenSource.Text] = []
    for (index, row) in rows.filter({ $0.configuration.mode == .plain && $0.round == 0 }).enumerated() {
      let prompt = try host.target.promptTokens(row.prompt.prompt, system: nil, raw: false)
      let answer = row.tokens.map(\.token)
      guard !answer.isEmpty else { continue }
      let views = try await TraceRecorder.read(
        answer, after: prompt, with: draft, candidates: 16, sampling: sampling,
        session: SessionID(.max - 1000 - UInt64(index)))
      texts.append(TokenSource.Text(task: row.prompt.task, prompt: prompt, answer: answer, drafts: views))
    }
    return texts
  }
}
